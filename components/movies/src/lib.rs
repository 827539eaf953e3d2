//! The movies of the theatre.
//!
//! | route | answer |
//! |---|---|
//! | `/movies` | every movie, by id |
//! | `/movies?id=<a>&id=<b>` | those movies, by id |
//! | `/movies/<id>` | one movie, with its uri |
//! | `/movies/top?limit=<n>&offset=<m>` | the best rated, best first, with their uris |
//!
//! ```sh
//! curl 'http://127.0.0.1:3000/movies/top?limit=5'
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Error;
use serde_json::Value;
use service_kit::sibling::encode_segment;
use service_kit::{DataFile, Problem, Record, Records, Request, Response, Route, get, records};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

/// The most `id` parameters of a request. The service `users` relies on it.
const MAX_IDS: usize = 100;

/// The largest `limit`: enough to find movies that somebody who has booked [`MAX_IDS`] of
/// them has not.
const MAX_LIMIT: usize = 200;

static MOVIES: DataFile<Movies> = DataFile::new("data/cinema/movies.json", parse);

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
    if ids.is_empty() {
        return Response::json(movies);
    }
    if ids.len() > MAX_IDS {
        return Err(Problem::bad_request(format!(
            "The query parameter `id` is given {} times; at most {MAX_IDS} are allowed.",
            ids.len()
        )));
    }
    let mut chosen = BTreeMap::new();
    chosen.extend(ids.iter().filter_map(|id| movies.get_key_value(&**id)));
    Response::json(&chosen)
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

/// The movies, best rated first.
fn ranking(movies: &Movies) -> Vec<(&String, &Record<Movie>)> {
    let mut ranking = Vec::from_iter(movies);
    ranking.sort_unstable_by(|(a_id, a), (b_id, b)| {
        let by_rating = b.known.rating.0.total_cmp(&a.known.rating.0);
        by_rating.then_with(|| (&a.known.title, a_id).cmp(&(&b.known.title, b_id)))
    });
    ranking
}

/// All fields of a movie, and its uri.
fn with_uri<'a>(id: &str, movie: &'a Record<Movie>) -> BTreeMap<&'a str, Cow<'a, Value>> {
    let uri = Value::from(format!("/movies/{}", encode_segment(id)));
    let mut fields = BTreeMap::new();
    fields.extend(movie.fields.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value))));
    fields.insert("uri", Cow::Owned(uri));
    fields
}

/// The movies by id.
type Movies = Records<Movie>;

fn parse(text: &str) -> serde_json::Result<Movies> {
    let movies: Movies = records(text)?;
    match movies.iter().find(|(key, movie)| **key != movie.known.id) {
        None => Ok(movies),
        Some((key, movie)) => {
            let id = &movie.known.id;
            Err(Error::custom(format!("the movie at the key `{key}` has the id `{id}`")))
        }
    }
}

/// The fields of a movie that this service knows.
#[derive(Deserialize)]
struct Movie {
    id: String,
    title: String,
    #[expect(dead_code, reason = "read only to check that it is there")]
    director: String,
    rating: Rating,
}

/// On a scale from 1 to 10.
#[derive(Deserialize)]
#[serde(try_from = "f64")]
struct Rating(f64);

impl TryFrom<f64> for Rating {
    type Error = String;

    fn try_from(rating: f64) -> Result<Self, String> {
        if (1.0..=10.0).contains(&rating) {
            Ok(Self(rating))
        } else {
            Err(format!("rating {rating} is not on the scale from 1 to 10"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ratings_are_ranked_by_title_and_then_by_id() {
        let movies = parse(
            r#"{
                "c": {"id": "c", "title": "B", "director": "", "rating": 8},
                "b": {"id": "b", "title": "A", "director": "", "rating": 8.0},
                "a": {"id": "a", "title": "B", "director": "", "rating": 8},
                "d": {"id": "d", "title": "Z", "director": "", "rating": 9.5}
            }"#,
        )
        .unwrap();
        let ranking = ranking(&movies).into_iter().map(|(id, _)| id);
        assert_eq!(ranking.collect::<Vec<_>>(), ["d", "b", "a", "c"]);
    }

    #[test]
    fn a_rating_off_the_scale_is_an_error() {
        for rating in ["0.9", "10.1", "-3"] {
            let record =
                format!(r#"{{"id": "", "title": "", "director": "", "rating": {rating}}}"#);
            assert!(parse(&format!(r#"{{"a": {record}}}"#)).is_err(), "{rating}");
        }
    }
}
