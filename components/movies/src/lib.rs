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

use serde::Deserialize;
use serde::de::Error;
use service_kit::{DataFile, Problem, Record, Records, records};

pub mod http;
pub mod wit;

/// The most ids of a request. The service `users` relies on it.
const MAX_IDS: usize = 100;

/// The largest `limit`. It exceeds [`MAX_IDS`], so that a ranking still has movies that a user
/// has not booked.
const MAX_LIMIT: usize = 200;

static MOVIES: DataFile<Movies> = DataFile::new("data/cinema/movies.json", parse);

/// The movies with those ids; an id that no movie has is left out.
///
/// # Errors
/// [`Problem::bad_request`] if they are more than [`MAX_IDS`].
fn with_ids<'a>(
    movies: &'a Movies,
    ids: &[impl AsRef<str>],
) -> Result<BTreeMap<&'a String, &'a Record<Movie>>, Problem> {
    if ids.len() > MAX_IDS {
        return Err(Problem::bad_request(format!(
            "`id` is given {} times; at most {MAX_IDS} are allowed.",
            ids.len()
        )));
    }
    Ok(ids.iter().filter_map(|id| movies.get_key_value(id.as_ref())).collect())
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
