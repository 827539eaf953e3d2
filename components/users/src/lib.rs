//! The users of the theatre, what they have booked, and what they might like.
//!
//! | route | answer | asks |
//! |---|---|---|
//! | `/users` | every user, by username | |
//! | `/users/<username>` | one user | |
//! | `/users/<username>/bookings` | the movies that a user has booked, by date | `bookings`, then `movies` |
//! | `/users/<username>/suggested` | the three best rated movies not yet booked | `bookings` and `movies` |
//!
//! ```sh
//! curl http://127.0.0.1:3000/users/dwight_schrute/suggested
//! ```

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use service_kit::sibling::encode_segment;
use service_kit::{DataFile, Problem, Record, Records, Request, Response, Route, get, records};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

use self::siblings::{BOOKINGS, fetch_bookings, fetch_movies, fetch_ranking};

// Siblings are asked by HTTP, or called as functions if they are composed with this component.
#[cfg_attr(feature = "composed", path = "siblings_composed.rs")]
mod siblings;

/// How many different movies the bookings of a user may name: as many as `movies` sends
/// for one request.
const MAX_BOOKED: usize = 100;

/// How many movies are suggested.
const SUGGESTIONS: usize = 3;

static USERS: DataFile<Records<User>> = DataFile::new("data/cinema/users.json", records);

struct Service;

impl Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["users"] => get(async move { Response::json(USERS.read()?) }),
        ["users", username] => get(async move { Response::json(find_user(username)?) }),
        ["users", username, "bookings"] => get(show_bookings_of(request, username)),
        ["users", username, "suggested"] => get(suggest_movies_to(request, username)),
        _ => Route::NOT_FOUND,
    }
}

fn find_user(username: &str) -> Result<&'static Record<User>, Problem> {
    USERS.read()?.get(username).ok_or_else(|| {
        Problem::not_found(format!("No user is called `{username}`. GET /users lists them all."))
    })
}

async fn show_bookings_of(request: &Request, username: &str) -> Result<Response, Problem> {
    find_user(username)?;
    let bookings = fetch_bookings(request, username).await?;
    if bookings.is_empty() {
        return Err(Problem::not_found(format!("The user `{username}` has no bookings.")));
    }
    let movies = fetch_movies(request, &movie_ids(&bookings)?).await?;
    Response::json(&summarize(&bookings, &movies))
}

/// Asks both siblings at once.
async fn suggest_movies_to(request: &Request, username: &str) -> Result<Response, Problem> {
    find_user(username)?;
    let (bookings, ranking) =
        try_join(fetch_bookings(request, username), fetch_ranking(request)).await?;
    Response::json(&suggest(&ranking, &movie_ids(&bookings)?))
}

/// The movies of `bookings`, by date and in the same order.
fn summarize<'a>(
    bookings: &'a Bookings,
    movies: &'a BTreeMap<String, Movie>,
) -> BTreeMap<&'a str, Vec<MovieSummary<'a>>> {
    let mut summaries = BTreeMap::new();
    for (date, ids) in bookings {
        let movies = ids.iter().map(|id| MovieSummary::of(id, movies.get(id)));
        summaries.insert(date.as_str(), movies.collect());
    }
    summaries
}

/// The first movies of `ranking` that are not `booked`.
fn suggest<'a>(ranking: &'a [Movie], booked: &BTreeSet<&str>) -> Vec<MovieSummary<'a>> {
    let unseen = ranking.iter().filter(|movie| !booked.contains(movie.id.as_str()));
    unseen.take(SUGGESTIONS).map(|movie| MovieSummary::of(&movie.id, Some(movie))).collect()
}

/// The ids of the movies in `bookings`, each once.
///
/// # Errors
/// [`Problem::bad_gateway`] if they are more than [`MAX_BOOKED`].
fn movie_ids(bookings: &Bookings) -> Result<BTreeSet<&str>, Problem> {
    let ids = BTreeSet::from_iter(bookings.values().flatten().map(String::as_str));
    if ids.len() > MAX_BOOKED {
        let cause = format!("{} different movies booked, at most {MAX_BOOKED}", ids.len());
        return Err(Problem::bad_gateway(BOOKINGS.id(), cause));
    }
    Ok(ids)
}

/// The fields of a user that this service knows.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read only to check the shape of the file")]
struct User {
    id: String,
    name: String,
    /// In Unix seconds.
    last_active: u64,
}

/// The ids of the movies that a user has booked, by date, as `bookings` sends
/// them.
type Bookings = BTreeMap<String, Vec<String>>;

/// The fields of a movie that this service needs, as `movies` sends it.
#[derive(Deserialize)]
struct Movie {
    id: String,
    title: String,
    rating: Number,
}

/// A movie as this service sends it. Of a movie that `movies` does not know,
/// there is only the uri.
#[derive(Serialize)]
struct MovieSummary<'a> {
    rating: Option<&'a Number>,
    title: Option<&'a str>,
    uri: String,
}

impl<'a> MovieSummary<'a> {
    fn of(id: &str, movie: Option<&'a Movie>) -> Self {
        Self {
            rating: movie.map(|movie| &movie.rating),
            title: movie.map(|movie| movie.title.as_str()),
            uri: format!("/movies/{}", encode_segment(id)),
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
    fn booked_movies_are_not_suggested_and_the_order_stays() {
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
        let summaries = summarize(&bookings, &movies);
        let titles: Vec<_> = summaries["20151201"].iter().map(|movie| movie.title).collect();
        assert_eq!(titles, [None, Some("A")]);
        assert_eq!(summaries["20151201"][0].uri, "/movies/x");
    }
}
