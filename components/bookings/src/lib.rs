//! Who has booked which movies, and for which date.
//!
//! | route | answer |
//! |---|---|
//! | `/bookings` | the bookings of every user |
//! | `/bookings/<username>` | the ids of the movies that a user has booked, by date |
//!
//! ```sh
//! curl http://127.0.0.1:3000/bookings/dwight_schrute
//! ```

use std::collections::BTreeMap;

use service_kit::{DataFile, Problem, Request, Response, Route, get, service};

static BOOKINGS: DataFile<Bookings> =
    DataFile::new("data/cinema/bookings.json", serde_json::from_str);

service!(route);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["bookings"] => get(async move { Response::json(BOOKINGS.read()?) }),
        ["bookings", username] => get(async move { show_bookings_of(BOOKINGS.read()?, username) }),
        _ => Route::Unknown,
    }
}

fn show_bookings_of(bookings: &Bookings, username: &str) -> Result<Response, Problem> {
    let bookings = bookings.get(username).ok_or_else(|| {
        Problem::NotFound(format!("`{username}` has no bookings. GET /bookings lists them all."))
    })?;
    Response::json(bookings)
}

/// The ids of the movies that each user has booked, by date.
type Bookings = BTreeMap<String, BTreeMap<String, Vec<String>>>;
