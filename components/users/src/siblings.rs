//! Asks the siblings by HTTP: where they are components or processes of their own.

use std::collections::{BTreeMap, BTreeSet};

use service_kit::sibling::{encode_query, encode_segment};
use service_kit::{Problem, Request, Sibling};

use super::{Bookings, MAX_BOOKED, Movie, SUGGESTIONS};

pub static BOOKINGS: Sibling = Sibling::new("bookings", "bookings_url");
static MOVIES: Sibling = Sibling::new("movies", "movies_url");

/// The bookings of a user; `bookings` answers 404 for one who has none.
pub async fn fetch_bookings(request: &Request, username: &str) -> Result<Bookings, Problem> {
    let path = format!("/bookings/{}", encode_segment(username));
    Ok(BOOKINGS.get(request, &path).await?.unwrap_or_default())
}

/// The movies with those ids.
pub async fn fetch_movies(
    request: &Request,
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Movie>, Problem> {
    let path = format!("/movies?{}", encode_query("id", ids.iter().copied()));
    MOVIES.get_required(request, &path).await
}

/// The best rated movies, best first: enough for a user who has booked the best ones.
pub async fn fetch_ranking(request: &Request) -> Result<Vec<Movie>, Problem> {
    let path = format!("/movies/top?limit={}", MAX_BOOKED + SUGGESTIONS);
    MOVIES.get_required(request, &path).await
}
