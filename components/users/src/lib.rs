//! Who goes to this theatre, what they have booked, and what they might like.
//!
//! | route | answer | asks |
//! |---|---|---|
//! | `/users` | every user, by name | |
//! | `/users/<username>` | one user | |
//! | `/users/<username>/bookings` | the movies that a user has booked, by date | `bookings`, then `movies` |
//! | `/users/<username>/suggested` | the three best rated movies not yet booked | `bookings` and `movies` |
//!
//! ```sh
//! curl http://127.0.0.1:3000/users/dwight_schrute/suggested
//! ```

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{try_join, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use service_kit::sibling::{query, segment};
use service_kit::{
    Answer, Bundle, Call, Problem, Record, Records, Reply, Route, Sibling, get, get_async, service,
};

const BOOKINGS: Sibling = Sibling("bookings");
const MOVIES: Sibling = Sibling("movies");

/// How many movies `movies` gives at most for one request.
const MAX_MOVIES: usize = 100;

/// How many movies are suggested.
const SUGGESTIONS: usize = 3;

static USERS: Bundle<Records<User>> = Bundle::new("/data/cinema/users.json", Records::parse);

service!(route);

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        ["users"] => get(|| Reply::json(USERS.get()?)),
        ["users", username] => get(move || Reply::json(user(USERS.get()?, username)?)),
        ["users", username, "bookings"] => get_async(call, async move {
            user(USERS.get()?, username)?;
            bookings_of(call, username).await
        }),
        ["users", username, "suggested"] => get_async(call, async move {
            user(USERS.get()?, username)?;
            suggestions_for(call, username).await
        }),
        _ => Route::Unknown,
    }
}

fn user<'a>(users: &'a Records<User>, username: &str) -> Result<&'a Record<User>, Problem> {
    users.get(username).ok_or_else(|| {
        Problem::NotFound(format!("No user is called `{username}`. GET /users lists them all."))
    })
}

async fn bookings_of(call: &Call, username: &str) -> Answer {
    let bookings = booked_by(call, username).await?;
    if bookings.is_empty() {
        return Err(Problem::NotFound(format!("The user `{username}` has no bookings.")));
    }
    let movies = movies_of(call, &distinct(&bookings)).await?;
    Reply::json(&describe(&bookings, &movies))
}

/// Both siblings are asked at once: the first page of the ranking is enough
/// for whoever has booked fewer movies than there are on it.
async fn suggestions_for(call: &Call, username: &str) -> Answer {
    let (bookings, mut ranking) = try_join(booked_by(call, username), top_movies(call, 0)).await?;
    let booked = distinct(&bookings);
    if ranking.len() == MAX_MOVIES {
        let further = (MAX_MOVIES..booked.len() + SUGGESTIONS).step_by(MAX_MOVIES);
        let pages = try_join_all(further.map(|offset| top_movies(call, offset))).await?;
        ranking.extend(pages.into_iter().flatten());
    }
    Reply::json(&suggest(&ranking, &booked))
}

/// The movies of `bookings`, each in its place.
fn describe<'a>(
    bookings: &'a Bookings,
    movies: &'a BTreeMap<String, Movie>,
) -> BTreeMap<&'a str, Vec<Described<'a>>> {
    let mut described = BTreeMap::new();
    for (date, ids) in bookings {
        let booked = ids.iter().map(|id| Described::of(id, movies.get(id)));
        described.insert(date.as_str(), booked.collect());
    }
    described
}

/// The first movies of `ranking` that are not among the `booked` ones.
fn suggest<'a>(ranking: &'a [Movie], booked: &BTreeSet<&str>) -> Vec<Described<'a>> {
    let unseen = ranking.iter().filter(|movie| !booked.contains(movie.id.as_str()));
    unseen.take(SUGGESTIONS).map(|movie| Described::of(&movie.id, Some(movie))).collect()
}

/// What `bookings` says of a user who exists: nothing, if they have none.
async fn booked_by(call: &Call, username: &str) -> Result<Bookings, Problem> {
    let path = format!("/bookings/{}", segment(username));
    Ok(BOOKINGS.get(call, &path).await?.unwrap_or_default())
}

/// What `movies` says of `ids`, asked side by side for a hundred each.
async fn movies_of(call: &Call, ids: &BTreeSet<&str>) -> Result<BTreeMap<String, Movie>, Problem> {
    let ids: Vec<_> = ids.iter().copied().collect();
    let pages = ids.chunks(MAX_MOVIES).map(|ids| async {
        let path = format!("/movies?{}", query("id", ids.iter().copied()));
        MOVIES.get_found::<BTreeMap<_, _>>(call, &path).await
    });
    let mut movies = BTreeMap::new();
    for mut page in try_join_all(pages).await? {
        movies.append(&mut page);
    }
    Ok(movies)
}

/// One page of the movies, best first.
async fn top_movies(call: &Call, offset: usize) -> Result<Vec<Movie>, Problem> {
    let path = format!("/movies/top?limit={MAX_MOVIES}&offset={offset}");
    MOVIES.get_found(call, &path).await
}

fn distinct(bookings: &Bookings) -> BTreeSet<&str> {
    let mut ids = BTreeSet::new();
    ids.extend(bookings.values().flatten().map(String::as_str));
    ids
}

/// What this service understands of a user.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read only to check the shape of the file")]
struct User {
    id: String,
    name: String,
    /// In Unix seconds.
    last_active: u64,
}

/// The ids of the movies that a user has booked, by date, as `bookings` says.
type Bookings = BTreeMap<String, Vec<String>>;

/// What this service needs of what `movies` says of a movie.
#[derive(Deserialize)]
struct Movie {
    id: String,
    title: String,
    rating: Number,
}

/// A movie as this service shows it; of one that `movies` does not know, only
/// where it would be.
#[derive(Serialize)]
struct Described<'a> {
    rating: Option<&'a Number>,
    title: Option<&'a str>,
    uri: String,
}

impl<'a> Described<'a> {
    fn of(id: &str, movie: Option<&'a Movie>) -> Self {
        Self {
            rating: movie.map(|movie| &movie.rating),
            title: movie.map(|movie| movie.title.as_str()),
            uri: format!("/movies/{}", segment(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movie(id: &str) -> Movie {
        Movie { id: id.into(), title: id.to_uppercase(), rating: 5.into() }
    }

    #[test]
    fn what_is_booked_is_not_suggested_and_the_order_stays() {
        let ranking = ["a", "b", "c", "d", "e"].map(movie);
        let suggested = suggest(&ranking, &BTreeSet::from(["b", "x"]));
        let titles: Vec<_> = suggested.iter().map(|movie| movie.title).collect();
        assert_eq!(titles, [Some("A"), Some("C"), Some("D")]);
        assert_eq!(suggest(&ranking, &BTreeSet::from(["a", "b", "c", "d"])).len(), 1);
    }

    #[test]
    fn an_unknown_movie_keeps_its_place() {
        let bookings = Bookings::from([("20151201".into(), vec!["x".into(), "a".into()])]);
        let movies = BTreeMap::from([("a".into(), movie("a"))]);
        let described = describe(&bookings, &movies);
        let titles: Vec<_> = described["20151201"].iter().map(|movie| movie.title).collect();
        assert_eq!(titles, [None, Some("A")]);
        assert_eq!(described["20151201"][0].uri, "/movies/x");
    }
}
