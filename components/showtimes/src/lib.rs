//! Which films are shown on which date.
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

use service_kit::{Answer, Bundle, Call, Problem, Reply, Route, get, parse, service};

/// The ids of the movies of each date.
type Showtimes = BTreeMap<String, Vec<String>>;

static SHOWTIMES: Bundle<Showtimes> = Bundle::new("/data/cinema/showtimes.json", parse);

service!(route);

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        ["showtimes"] => get(|| Reply::json(SHOWTIMES.get()?)),
        ["showtimes", date] => get(move || movies_on(SHOWTIMES.get()?, date)),
        _ => Route::Unknown,
    }
}

fn movies_on(showtimes: &Showtimes, date: &str) -> Answer {
    let movies = showtimes.get(date).ok_or_else(|| {
        Problem::NotFound(format!(
            "Nothing is shown on `{date}`. Dates are written YYYYMMDD; GET /showtimes lists them all."
        ))
    })?;
    Reply::json(movies)
}
