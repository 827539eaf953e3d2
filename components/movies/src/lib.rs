//! The films that the theatre knows.
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

use std::collections::BTreeMap;

use serde::Deserialize;
use service_kit::sibling::segment;
use service_kit::{
    Answer, Bundle, Call, Fields, Parsed, Problem, Records, Reply, Response, Route, get, serve,
};
use spin_sdk::http::Request;
use spin_sdk::http_service;

/// How many movies one request may ask for.
const MAX_MOVIES: usize = 100;

static MOVIES: Bundle<Movies> = Bundle::new("/data/cinema/movies.json", Movies::parse);

#[http_service]
async fn handle(request: Request) -> Response {
    serve(request, route).await
}

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        ["movies"] => get(|| movies(MOVIES.get()?, call)),
        ["movies", "top"] => get(|| top_movies(MOVIES.get()?, call)),
        ["movies", id] => get(move || movie(MOVIES.get()?, id)),
        _ => Route::Unknown,
    }
}

fn movies(movies: &Movies, call: &Call) -> Answer {
    let ids = call.parameters("id")?;
    if ids.is_empty() {
        return Reply::json(movies.records.whole());
    }
    if ids.len() > MAX_MOVIES {
        return Err(Problem::BadRequest(format!(
            "The query parameter `id` is given {} times; at most {MAX_MOVIES} movies can be chosen.",
            ids.len()
        )));
    }
    let known = ids.iter().filter_map(|id| Some((id, movies.records.get(id)?)));
    Reply::json(&known.collect::<BTreeMap<_, _>>())
}

fn top_movies(movies: &Movies, call: &Call) -> Answer {
    let limit = call.number("limit", 1..=MAX_MOVIES as u64, 3)? as usize;
    let offset = call.number("offset", 0..=u64::MAX, 0)?;
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let top = movies.ranking.iter().skip(offset).take(limit);
    Reply::json(&top.filter_map(|id| movies.with_uri(id)).collect::<Vec<_>>())
}

fn movie(movies: &Movies, id: &str) -> Answer {
    let movie = movies.with_uri(id).ok_or_else(|| {
        Problem::NotFound(format!("No movie has the id `{id}`. GET /movies lists them all."))
    })?;
    Reply::json(&movie)
}

/// The movies, and their ids from the best rated to the worst.
struct Movies {
    records: Records<Movie>,
    ranking: Vec<String>,
}

/// What this service understands of a movie.
#[derive(Deserialize)]
struct Movie {
    id: String,
    title: String,
    #[serde(rename = "director")]
    _director: String,
    rating: Rating,
}

/// On a scale of 1 to 10.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Rating(f64);

impl TryFrom<f64> for Rating {
    type Error = String;

    fn try_from(rating: f64) -> Result<Self, String> {
        if (1.0..=10.0).contains(&rating) {
            Ok(Self(rating))
        } else {
            Err(format!("rating {rating} is not on the scale of 1 to 10"))
        }
    }
}

impl Movies {
    fn parse(text: &str) -> Parsed<Self> {
        let records = Records::<Movie>::parse(text)?;
        if let Some((key, movie)) = records.known().iter().find(|(key, movie)| **key != movie.id) {
            let message = format!("the movie at the key `{key}` has the id `{}`", movie.id);
            return Err(serde::de::Error::custom(message));
        }
        let mut ranked: Vec<_> = records.known().iter().collect();
        ranked.sort_by(|(a_id, a), (b_id, b)| {
            let by_rating = b.rating.0.total_cmp(&a.rating.0);
            by_rating.then_with(|| (&a.title, a_id).cmp(&(&b.title, b_id)))
        });
        let ranking = ranked.into_iter().map(|(id, _)| id.clone()).collect();
        Ok(Self { records, ranking })
    }

    fn with_uri(&self, id: &str) -> Option<Fields> {
        let mut movie = self.records.get(id)?.clone();
        movie.insert("uri".into(), format!("/movies/{}", segment(id)).into());
        Some(movie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ratings_are_ranked_by_title_and_then_by_id() {
        let movies = Movies::parse(
            r#"{
                "c": {"id": "c", "title": "B", "director": "", "rating": 8},
                "b": {"id": "b", "title": "A", "director": "", "rating": 8.0},
                "a": {"id": "a", "title": "B", "director": "", "rating": 8},
                "d": {"id": "d", "title": "Z", "director": "", "rating": 9.5}
            }"#,
        )
        .unwrap();
        assert_eq!(movies.ranking, ["d", "b", "a", "c"]);
    }

    #[test]
    fn a_rating_off_the_scale_is_an_error() {
        for rating in ["0.9", "10.1", "-3"] {
            let record =
                format!(r#"{{"id": "", "title": "", "director": "", "rating": {rating}}}"#);
            assert!(Movies::parse(&format!(r#"{{"a": {record}}}"#)).is_err(), "{rating}");
        }
    }
}
