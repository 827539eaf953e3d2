//! The films that the theatre knows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::http::{Answer, Call, Fields, Name, Problem, complete, json};
use crate::read;
use crate::sibling::segment;

/// How many movies one request may ask for.
const MAX_MOVIES: usize = 100;

/// The movies as they stand in the file; with their uris, from the best rated
/// to the worst; and the place of each in that ranking, by id.
struct Movies {
    whole: BTreeMap<String, Fields>,
    ranked: Vec<Fields>,
    places: BTreeMap<String, usize>,
}

/// What this service understands of a movie.
#[derive(Deserialize)]
struct Movie {
    id: String,
    title: String,
    #[serde(rename = "director")]
    _director: String,
    rating: f64,
}

pub fn router(data: &Path) -> Result<Router> {
    let movies = Movies::new(&read(data, "movies.json")?, read(data, "movies.json")?)?;
    let routes = Router::new()
        .route("/movies", get(some))
        .route("/movies/top", get(top))
        .route("/movies/{id}", get(one))
        .with_state(&*Box::leak(Box::new(movies)));
    Ok(complete(routes))
}

async fn some(State(movies): State<&'static Movies>, call: Call) -> Response {
    call.respond(movies.some(&call))
}

async fn top(State(movies): State<&'static Movies>, call: Call) -> Response {
    call.respond(movies.top(&call))
}

async fn one(State(movies): State<&'static Movies>, Name(id): Name, call: Call) -> Response {
    call.respond(movies.one(&id))
}

impl Movies {
    fn new(known: &BTreeMap<String, Movie>, whole: BTreeMap<String, Fields>) -> Result<Self> {
        for (key, movie) in known {
            ensure!(*key == movie.id, "the movie at the key `{key}` has the id `{}`", movie.id);
            let rating = movie.rating;
            ensure!(
                (1.0..=10.0).contains(&rating),
                "the rating {rating} of `{key}` is off the scale"
            );
        }
        let mut ranking: Vec<_> = known.values().collect();
        ranking.sort_by(|a, b| {
            let by_rating = b.rating.total_cmp(&a.rating);
            by_rating.then_with(|| (&a.title, &a.id).cmp(&(&b.title, &b.id)))
        });
        let with_uri = |movie: &&Movie| {
            let mut fields = whole[&movie.id].clone();
            fields.insert("uri".into(), format!("/movies/{}", segment(&movie.id)).into());
            fields
        };
        let ranked = ranking.iter().map(with_uri).collect();
        let places = ranking.iter().enumerate().map(|(place, movie)| (movie.id.clone(), place));
        Ok(Self { places: places.collect(), ranked, whole })
    }

    /// Those that the query chooses, or all.
    fn some(&self, call: &Call) -> Answer {
        let ids = call.parameters("id")?;
        if ids.is_empty() {
            return json(&self.whole);
        }
        if ids.len() > MAX_MOVIES {
            return Err(Problem::BadRequest(format!(
                "The query parameter `id` is given {} times; at most {MAX_MOVIES} movies can be chosen.",
                ids.len()
            )));
        }
        let known = ids.iter().filter_map(|id| Some((id, self.whole.get(&**id)?)));
        json(&known.collect::<BTreeMap<_, _>>())
    }

    fn top(&self, call: &Call) -> Answer {
        let limit = call.number("limit", 1..=MAX_MOVIES, 3)?;
        let offset = call.number("offset", 0..=usize::MAX, 0)?;
        let from_offset = self.ranked.get(offset..).unwrap_or_default();
        json(&&from_offset[..limit.min(from_offset.len())])
    }

    fn one(&self, id: &str) -> Answer {
        let place = self.places.get(id).ok_or_else(|| {
            Problem::NotFound(format!("No movie has the id `{id}`. GET /movies lists them all."))
        })?;
        json(&self.ranked[*place])
    }
}
