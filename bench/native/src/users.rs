//! Who goes to this theatre, what they have booked, and what they might like.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::uri::Authority;
use axum::response::Response;
use axum::routing::get;
use futures::future::{try_join, try_join_all};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::http::{Answer, Call, Fields, Name, Problem, complete, json};
use crate::read;
use crate::sibling::{Sibling, segment};

/// How many movies `movies` gives at most for one request.
const MAX_MOVIES: usize = 100;

/// How many movies are suggested.
const SUGGESTIONS: usize = 3;

/// The users as they stand in the file, and whom to ask about them.
struct Users {
    records: BTreeMap<String, Fields>,
    bookings: Sibling,
    movies: Sibling,
}

/// What this service understands of a user.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read only to check the shape of the file")]
struct User {
    id: String,
    name: String,
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

/// A movie as this service shows it, its fields sorted; of one that `movies`
/// does not know, only where it would be.
#[derive(Serialize)]
struct Described<'a> {
    rating: Option<&'a Number>,
    title: Option<&'a str>,
    uri: String,
}

pub fn router(data: &Path, bookings: Authority, movies: Authority) -> Result<Router> {
    read::<BTreeMap<String, User>>(data, "users.json")?;
    let users = Users {
        records: read(data, "users.json")?,
        bookings: Sibling::new("bookings", bookings),
        movies: Sibling::new("movies", movies),
    };
    let routes = Router::new()
        .route("/users", get(all))
        .route("/users/{username}", get(one))
        .route("/users/{username}/bookings", get(bookings_of))
        .route("/users/{username}/suggested", get(suggestions_for))
        .with_state(&*Box::leak(Box::new(users)));
    Ok(complete(routes))
}

async fn all(State(users): State<&'static Users>, call: Call) -> Response {
    call.respond(json(&users.records))
}

async fn one(State(users): State<&'static Users>, Name(username): Name, call: Call) -> Response {
    call.respond(users.one(&username).and_then(json))
}

async fn bookings_of(
    State(users): State<&'static Users>,
    Name(username): Name,
    call: Call,
) -> Response {
    call.respond(users.bookings_of(&call, &username).await)
}

async fn suggestions_for(
    State(users): State<&'static Users>,
    Name(username): Name,
    call: Call,
) -> Response {
    call.respond(users.suggestions_for(&call, &username).await)
}

impl Users {
    fn one(&self, username: &str) -> Result<&Fields, Problem> {
        self.records.get(username).ok_or_else(|| {
            Problem::NotFound(format!("No user is called `{username}`. GET /users lists them all."))
        })
    }

    async fn bookings_of(&self, call: &Call, username: &str) -> Answer {
        self.one(username)?;
        let bookings = self.booked_by(call, username).await?;
        if bookings.is_empty() {
            return Err(Problem::NotFound(format!("The user `{username}` has no bookings.")));
        }
        let movies = self.movies_of(call, &distinct(&bookings)).await?;
        let dates = bookings.iter().map(|(date, ids)| {
            let booked = ids.iter().map(|id| Described::of(id, movies.get(id)));
            (date, booked.collect::<Vec<_>>())
        });
        json(&dates.collect::<BTreeMap<_, _>>())
    }

    /// Asks both siblings at once: the first page of the ranking is enough for
    /// whoever has booked fewer movies than there are on it.
    async fn suggestions_for(&self, call: &Call, username: &str) -> Answer {
        self.one(username)?;
        let (bookings, mut ranking) =
            try_join(self.booked_by(call, username), self.top_movies(call, 0)).await?;
        let booked = distinct(&bookings);
        if ranking.len() == MAX_MOVIES {
            let further = (MAX_MOVIES..booked.len() + SUGGESTIONS).step_by(MAX_MOVIES);
            let pages = try_join_all(further.map(|offset| self.top_movies(call, offset))).await?;
            ranking.extend(pages.into_iter().flatten());
        }
        let unseen = ranking.iter().filter(|movie| !booked.contains(movie.id.as_str()));
        let suggested = unseen.take(SUGGESTIONS);
        let described = suggested.map(|movie| Described::of(&movie.id, Some(movie)));
        json(&described.collect::<Vec<_>>())
    }

    /// What `bookings` says of a user who exists: nothing, if they have none.
    async fn booked_by(&self, call: &Call, username: &str) -> Result<Bookings, Problem> {
        let path = format!("/bookings/{}", segment(username));
        Ok(self.bookings.get(call, &path).await?.unwrap_or_default())
    }

    /// What `movies` says of `ids`, asked side by side for a hundred each.
    async fn movies_of(
        &self,
        call: &Call,
        ids: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Movie>, Problem> {
        let ids: Vec<_> = ids.iter().copied().collect();
        let pages = ids.chunks(MAX_MOVIES).map(|ids| async {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(ids.iter().map(|id| ("id", id)))
                .finish();
            self.movies.get_found::<BTreeMap<_, _>>(call, &format!("/movies?{query}")).await
        });
        Ok(try_join_all(pages).await?.into_iter().flatten().collect())
    }

    /// One page of the movies, best first.
    async fn top_movies(&self, call: &Call, offset: usize) -> Result<Vec<Movie>, Problem> {
        let path = format!("/movies/top?limit={MAX_MOVIES}&offset={offset}");
        self.movies.get_found(call, &path).await
    }
}

fn distinct(bookings: &Bookings) -> BTreeSet<&str> {
    bookings.values().flatten().map(String::as_str).collect()
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
