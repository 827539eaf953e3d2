//! Who has booked which films, and for when.
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

use service_kit::{Answer, Bundle, Call, Problem, Reply, Route, get, parse, service};

/// The ids of the movies that each user has booked, by date.
type Bookings = BTreeMap<String, BTreeMap<String, Vec<String>>>;

static BOOKINGS: Bundle<Bookings> = Bundle::new("/data/cinema/bookings.json", parse);

service!(route);

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        ["bookings"] => get(|| Reply::json(BOOKINGS.get()?)),
        ["bookings", username] => get(move || bookings_of(BOOKINGS.get()?, username)),
        _ => Route::Unknown,
    }
}

fn bookings_of(bookings: &Bookings, username: &str) -> Answer {
    let bookings = bookings.get(username).ok_or_else(|| {
        Problem::NotFound(format!("No bookings of `{username}`. GET /bookings lists them all."))
    })?;
    Reply::json(bookings)
}
