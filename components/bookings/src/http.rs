//! What clients and siblings ask by HTTP.

use std::collections::BTreeMap;

use futures::future::join;
use serde::Serialize;
use service_kit::sibling::encode_segment;
use service_kit::table::ATTEMPTS;
use service_kit::{Problem, Request, Response, Route, Sibling, Value, Variable, get};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

use super::{FILE, TABLE, bookings_of};

static USERS: Sibling = Sibling::new("users", "users_url");
static SHOWTIMES: Sibling = Sibling::new("showtimes", "showtimes_url");

/// How many seats each show has.
static SEATS: Variable<u32> = Variable::new("seats", Some("100"), "a number of seats");

struct Service;

impl Guest for Service {
    async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
        service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
    }
}

wasip3::http::service::export!(Service);

fn route(request: &Request) -> Route<'_> {
    match request.segments()[..] {
        ["bookings"] => get(list_bookings()),
        ["bookings", username] => get(list_bookings_of(username)),
        ["bookings", username, date, movie] => {
            let booking = Booking::new(username, date, movie);
            get(show_booking(booking.clone())).put_and_delete(
                request,
                &TABLE,
                book(request, booking.clone()),
                cancel(request, booking),
            )
        }
        ["seats", date] => get(show_seats(date)),
        _ => Route::NOT_FOUND,
    }
}

async fn list_bookings() -> Result<Response, Problem> {
    let query = "SELECT username, date, movie FROM bookings ORDER BY id";
    let Some(rows) = TABLE.read(query, []).await? else { return Response::json(FILE.read()?) };
    let mut bookings = BTreeMap::<&str, BTreeMap<&str, Vec<&str>>>::new();
    for row in &rows {
        let dates = bookings.entry(row.get(0)?).or_default();
        dates.entry(row.get(1)?).or_default().push(row.get(2)?);
    }
    Response::json(&bookings)
}

async fn list_bookings_of(username: &str) -> Result<Response, Problem> {
    let bookings = bookings_of(username).await?.ok_or_else(|| {
        Problem::not_found(format!("`{username}` has no bookings. GET /bookings lists them all."))
    })?;
    Response::json(&bookings)
}

async fn show_booking(booking: Booking<'_>) -> Result<Response, Problem> {
    if booking.exists().await? { Response::json(&booking) } else { Err(booking.not_found()) }
}

async fn book(request: &Request, booking: Booking<'_>) -> Result<Response, Problem> {
    let seats = *SEATS.get().await?;
    let response = Response::json(&booking)?;
    let conditions = request.conditions();
    if let Err(problem) = booking.check_references(request).await {
        // What is booked stays booked, whatever has become of the user and the show.
        if !booking.exists().await? {
            return Err(problem);
        }
        conditions.check_write(Some(response.etag()))?;
        return Ok(response.put(booking.uri, false));
    }
    let may_create = conditions.allow_write(None);
    for _ in 0..ATTEMPTS {
        if may_create && booking.insert(seats).await? {
            return Ok(response.put(booking.uri, true));
        }
        let (is_booked, taken) = booking.state().await?;
        conditions.check_write(is_booked.then(|| response.etag()))?;
        if is_booked {
            return Ok(response.put(booking.uri, false));
        }
        if taken >= seats {
            let date = booking.date;
            return Err(Problem::conflict(
                "SoldOut",
                format!(
                    "All {seats} seats are booked. GET /seats/{date} shows which shows have some left."
                ),
            ));
        }
        // Somebody has cancelled since the booking was refused.
    }
    Err(TABLE.changed_too_often())
}

async fn cancel(request: &Request, booking: Booking<'_>) -> Result<Response, Problem> {
    // The tag of a booking never changes, so the conditions can be checked before the statement.
    let response = Response::json(&booking)?;
    if let Err(problem) = request.conditions().check_write(Some(response.etag())) {
        return Err(if booking.exists().await? { problem } else { booking.not_found() });
    }
    if booking.delete().await? { Ok(Response::no_content()) } else { Err(booking.not_found()) }
}

async fn show_seats(date: &str) -> Result<Response, Problem> {
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::not_found(format!(
            "There is no date `{date}`. Dates are written YYYYMMDD."
        )));
    }
    let seats = *SEATS.get().await?;
    let query = "SELECT movie, booked FROM booked_seats WHERE date = ? AND booked > 0";
    let rows = TABLE.read(query, [date.into()]).await?;
    let mut shows = BTreeMap::<&str, Seats>::new();
    if let Some(rows) = &rows {
        for row in rows {
            let left = seats.saturating_sub(row.get(1)?);
            shows.insert(row.get(0)?, Seats { left, seats });
        }
    } else {
        for movie in FILE.read()?.values().filter_map(|dates| dates.get(date)).flatten() {
            let show = shows.entry(movie).or_insert(Seats { left: seats, seats });
            show.left = show.left.saturating_sub(1);
        }
    }
    Response::json(&shows)
}

/// A seat for a user, at the show of a movie on a date.
#[derive(Clone, Serialize)]
struct Booking<'a> {
    date: &'a str,
    movie: &'a str,
    uri: String,
    username: &'a str,
}

/// How many seats a show has, and how many of them nobody has booked.
#[derive(Serialize)]
struct Seats {
    left: u32,
    seats: u32,
}

impl<'a> Booking<'a> {
    fn new(username: &'a str, date: &'a str, movie: &'a str) -> Self {
        let segments = [username, date, movie].map(encode_segment).join("/");
        Self { date, movie, uri: format!("/bookings/{segments}"), username }
    }

    /// The parameters that identify it in a statement.
    fn key(&self) -> [Value; 3] {
        [self.username.into(), self.date.into(), self.movie.into()]
    }

    /// Asks `users` and `showtimes` whether the user and the show exist.
    async fn check_references(&self, request: &Request) -> Result<(), Problem> {
        let user = format!("/users/{}", encode_segment(self.username));
        let shows = format!("/showtimes/{}", encode_segment(self.date));
        let (has_user, movies) =
            join(USERS.exists(request, &user), SHOWTIMES.get::<Vec<String>>(request, &shows)).await;
        if !has_user? {
            return Err(Problem::not_found(format!(
                "No user is called `{}`. GET /users lists them all.",
                self.username
            )));
        }
        if !movies?.unwrap_or_default().iter().any(|movie| movie == self.movie) {
            let detail = format!(
                "The movie `{}` is not shown on `{}`. GET /showtimes lists the shows.",
                self.movie, self.date
            );
            return Err(Problem::conflict("NotShown", detail));
        }
        Ok(())
    }

    async fn exists(&self) -> Result<bool, Problem> {
        let query = "SELECT id FROM bookings WHERE username = ? AND date = ? AND movie = ?";
        if let Some(rows) = TABLE.read(query, self.key()).await? {
            return Ok(!rows.is_empty());
        }
        let dates = FILE.read()?.get(self.username);
        let movies = dates.and_then(|dates| dates.get(self.date));
        Ok(movies.is_some_and(|movies| movies.iter().any(|movie| movie == self.movie)))
    }

    /// Books, if a seat is left. One statement decides and writes, so that nobody else
    /// books the last seat in between.
    async fn insert(&self, seats: u32) -> Result<bool, Problem> {
        let statement = "INSERT INTO bookings (username, date, movie) SELECT ?1, ?2, ?3
            WHERE coalesce((SELECT booked FROM booked_seats WHERE date = ?2 AND movie = ?3), 0) < ?4
            ON CONFLICT DO NOTHING RETURNING id";
        let [username, date, movie] = self.key();
        Ok(!TABLE.write(statement, [username, date, movie, seats.into()]).await?.is_empty())
    }

    async fn delete(&self) -> Result<bool, Problem> {
        let statement =
            "DELETE FROM bookings WHERE username = ? AND date = ? AND movie = ? RETURNING id";
        Ok(!TABLE.write(statement, self.key()).await?.is_empty())
    }

    /// Whether there is this booking, and how many seats of the show are taken.
    async fn state(&self) -> Result<(bool, u32), Problem> {
        let query = "SELECT
            EXISTS (SELECT 1 FROM bookings WHERE username = ?1 AND date = ?2 AND movie = ?3),
            coalesce((SELECT booked FROM booked_seats WHERE date = ?2 AND movie = ?3), 0)";
        let rows = TABLE.read(query, self.key()).await?.unwrap_or_default();
        rows.first().map_or(Ok((false, 0)), |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn not_found(&self) -> Problem {
        let Self { date, movie, username, .. } = self;
        Problem::not_found(format!("`{username}` has not booked the movie `{movie}` on `{date}`."))
    }
}
