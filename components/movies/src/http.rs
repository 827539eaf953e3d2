//! What clients and siblings ask by HTTP.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use service_kit::sibling::encode_segment;
use service_kit::{Problem, Record, Request, Response, Route, get};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

use super::{MAX_LIMIT, MOVIES, Movie, Movies, ranking, with_ids};

struct Service;

impl Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["movies"] => get(async move { list_movies(MOVIES.read()?, request) }),
        // Before `id`, which would match `top`, too.
        ["movies", "top"] => get(async move { list_top_movies(MOVIES.read()?, request) }),
        ["movies", id] => get(async move { show_movie(MOVIES.read()?, id) }),
        _ => Route::NOT_FOUND,
    }
}

fn list_movies(movies: &Movies, request: &Request) -> Result<Response, Problem> {
    let ids = request.parameters("id")?;
    if ids.is_empty() { Response::json(movies) } else { Response::json(&with_ids(movies, &ids)?) }
}

fn list_top_movies(movies: &Movies, request: &Request) -> Result<Response, Problem> {
    let limit = request.number_parameter("limit", 1..=MAX_LIMIT, 3)?;
    let offset = request.number_parameter("offset", 0..=usize::MAX, 0)?;
    let top = ranking(movies).into_iter().skip(offset).take(limit);
    Response::json(&top.map(|(id, movie)| with_uri(id, movie)).collect::<Vec<_>>())
}

fn show_movie(movies: &Movies, id: &str) -> Result<Response, Problem> {
    let movie = movies.get(id).ok_or_else(|| {
        Problem::not_found(format!("No movie has the id `{id}`. GET /movies lists them all."))
    })?;
    Response::json(&with_uri(id, movie))
}

/// All fields of a movie, and its uri.
fn with_uri<'a>(id: &str, movie: &'a Record<Movie>) -> BTreeMap<&'a str, Cow<'a, Value>> {
    let uri = Value::from(format!("/movies/{}", encode_segment(id)));
    let mut fields = BTreeMap::new();
    fields.extend(movie.fields.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value))));
    fields.insert("uri", Cow::Owned(uri));
    fields
}
