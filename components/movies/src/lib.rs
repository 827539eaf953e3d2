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

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};
use service_kit::sibling::encode_segment;
use service_kit::{DataFile, Problem, Record, Records, Request, Response, Route, get, service};

/// The most `id` parameters of a request, and its largest `limit`. The service
/// `users` relies on it.
const MAX_MOVIES: usize = 100;

static MOVIES: DataFile<Movies> = DataFile::new("data/cinema/movies.json", Movies::parse);

service!(route);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["movies"] => get(async move { list_movies(MOVIES.read()?, request) }),
        // Before `id`, which would match `top`, too.
        ["movies", "top"] => get(async move { list_top_movies(MOVIES.read()?, request) }),
        ["movies", id] => get(async move { show_movie(MOVIES.read()?, id) }),
        _ => Route::UNKNOWN,
    }
}

fn list_movies(movies: &Movies, request: &Request) -> Result<Response, Problem> {
    let ids = request.parameters("id")?;
    if ids.is_empty() {
        return Response::json(&movies.records);
    }
    if ids.len() > MAX_MOVIES {
        return Err(Problem::BadRequest(format!(
            "The query parameter `id` is given {} times; at most {MAX_MOVIES} are allowed.",
            ids.len()
        )));
    }
    let mut chosen = BTreeMap::new();
    chosen.extend(ids.iter().filter_map(|id| Some((id, movies.records.get(id)?))));
    Response::json(&chosen)
}

fn list_top_movies(movies: &Movies, request: &Request) -> Result<Response, Problem> {
    let limit = request.number_parameter("limit", 1..=MAX_MOVIES as u64, 3)? as usize;
    let offset = request.number_parameter("offset", 0..=u64::MAX, 0)?;
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let top = movies.ranking().iter().skip(offset).take(limit);
    Response::json(&top.map(|index| WithUri(&movies.records.all()[*index])).collect::<Vec<_>>())
}

fn show_movie(movies: &Movies, id: &str) -> Result<Response, Problem> {
    let movie = movies.records.get(id).ok_or_else(|| {
        Problem::NotFound(format!("No movie has the id `{id}`. GET /movies lists them all."))
    })?;
    Response::json(&WithUri(movie))
}

/// The movies of the data file.
struct Movies {
    records: Records<Movie>,
    /// The indices of the records, best rated first; sorted when first needed.
    ranking: OnceLock<Vec<usize>>,
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
#[derive(Clone, Copy, Deserialize)]
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

impl Movies {
    fn parse(text: &'static str) -> serde_json::Result<Self> {
        let records = Records::<Movie>::parse(text)?;
        if let Some(movie) = records.all().iter().find(|movie| movie.key != movie.known.id) {
            let (key, id) = (&movie.key, &movie.known.id);
            let message = format!("the movie at the key `{key}` has the id `{id}`");
            return Err(serde::de::Error::custom(message));
        }
        Ok(Self { records, ranking: OnceLock::new() })
    }

    fn ranking(&self) -> &[usize] {
        self.ranking.get_or_init(|| {
            let movies = self.records.all();
            let mut ranking = Vec::from_iter(0..movies.len());
            ranking.sort_unstable_by(|a, b| {
                let (a, b) = (&movies[*a], &movies[*b]);
                let by_rating = b.known.rating.0.total_cmp(&a.known.rating.0);
                by_rating.then_with(|| (&a.known.title, &a.key).cmp(&(&b.known.title, &b.key)))
            });
            ranking
        })
    }
}

/// All fields of a movie, and its uri.
struct WithUri<'a>(&'a Record<Movie>);

impl Serialize for WithUri<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let uri = format!("/movies/{}", encode_segment(&self.0.key)).into();
        let mut fields = BTreeMap::new();
        fields.extend(self.0.fields().map_err(S::Error::custom)?);
        let name = "uri".to_owned();
        fields.insert(&name, &uri);
        fields.serialize(serializer)
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
        let ranking =
            movies.ranking().iter().map(|index| movies.records.all()[*index].key.as_str());
        assert_eq!(ranking.collect::<Vec<_>>(), ["d", "b", "a", "c"]);
    }

    #[test]
    fn a_rating_off_the_scale_is_an_error() {
        for rating in ["0.9", "10.1", "-3"] {
            let record =
                format!(r#"{{"id": "", "title": "", "director": "", "rating": {rating}}}"#);
            assert!(Movies::parse(format!(r#"{{"a": {record}}}"#).leak()).is_err(), "{rating}");
        }
    }
}
