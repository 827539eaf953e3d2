//! The functions that a composed sibling calls: `cinema:movies/catalog` of
//! `contract/wit/services.wit`.

use contract::movies::catalog::{self, Guest};
use service_kit::call::answer;
use service_kit::{CallError, Context, Problem, Record};

use super::{MAX_LIMIT, MOVIES, Movie, ranking, with_ids};

const ID: &str = env!("CARGO_PKG_NAME");

struct Service;

impl Guest for Service {
    async fn get_movies(
        context: Context,
        ids: Vec<String>,
    ) -> Result<Vec<catalog::Movie>, CallError> {
        let movies = async {
            let movies = with_ids(MOVIES.read()?, &ids)?;
            Ok(movies.into_iter().map(|(id, movie)| summary(id, movie)).collect())
        };
        answer(&context, ID, "get-movies", movies).await
    }

    async fn top(context: Context, limit: u32) -> Result<Vec<catalog::Movie>, CallError> {
        let top = async {
            let limit = limit as usize;
            if limit > MAX_LIMIT {
                let detail = format!("The limit is {limit}; at most {MAX_LIMIT} is allowed.");
                return Err(Problem::bad_request(detail));
            }
            let top = ranking(MOVIES.read()?).into_iter().take(limit);
            Ok(top.map(|(id, movie)| summary(id, movie)).collect())
        };
        answer(&context, ID, "top", top).await
    }
}

contract::movies::export!(Service);

fn summary(id: &str, movie: &Record<Movie>) -> catalog::Movie {
    catalog::Movie {
        id: id.to_owned(),
        title: movie.known.title.clone(),
        // `Movie` has checked that it is there; this is how the file writes it.
        rating: movie.fields["rating"].to_string(),
    }
}
