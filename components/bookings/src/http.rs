//! What clients and siblings ask by HTTP.

use std::collections::BTreeMap;

use serde::Serialize;
use service_kit::table::ATTEMPTS;
use service_kit::{Problem, Request, Response, Route, Variable, get};
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{self, ErrorCode};

use super::{Booking, FILE, TABLE, bookings_of};

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
            get(show(booking.clone())).put_and_delete(
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

async fn show(booking: Booking<'_>) -> Result<Response, Problem> {
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
        let (is_booked, taken) = booking.show_state().await?;
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
    Err(TABLE.contended())
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
    let mut shows = BTreeMap::<&str, Show>::new();
    if let Some(rows) = &rows {
        for row in rows {
            let left = seats.saturating_sub(row.get(1)?);
            shows.insert(row.get(0)?, Show { left, seats });
        }
    } else {
        for movie in FILE.read()?.values().filter_map(|dates| dates.get(date)).flatten() {
            let show = shows.entry(movie).or_insert(Show { left: seats, seats });
            show.left = show.left.saturating_sub(1);
        }
    }
    Response::json(&shows)
}

/// How many seats a show has, and how many of them nobody has booked.
#[derive(Serialize)]
struct Show {
    left: u32,
    seats: u32,
}
