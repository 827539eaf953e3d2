//! Which movies are shown on which date.
//!
//! | route | answer |
//! |---|---|
//! | `/showtimes` | the ids of the movies of every date |
//! | `/showtimes/<date>` | the ids of the movies of one date, `YYYYMMDD` |
//!
//! ```sh
//! curl http://127.0.0.1:3000/showtimes/20151201
//! ```

use std::collections::BTreeMap;

use service_kit::{DataFile, Problem, Request, Response, Route, get, parse};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

static SHOWTIMES: DataFile<Showtimes> = DataFile::new("data/cinema/showtimes.json", parse);

struct Service;

impl Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["showtimes"] => get(async move { Response::json(SHOWTIMES.read()?) }),
        ["showtimes", date] => get(async move { list_movies_on(SHOWTIMES.read()?, date) }),
        _ => Route::NOT_FOUND,
    }
}

fn list_movies_on(showtimes: &Showtimes, date: &str) -> Result<Response, Problem> {
    let movies = showtimes.get(date).ok_or_else(|| {
        Problem::not_found(format!(
            "No movie is shown on `{date}`. Dates are written YYYYMMDD; GET /showtimes lists them."
        ))
    })?;
    Response::json(movies)
}

/// The ids of the movies of each date.
type Showtimes = BTreeMap<String, Vec<String>>;
