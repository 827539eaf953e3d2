//! Who has booked which films, and for when.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use crate::http::{Answer, Call, Name, Problem, complete, json};
use crate::read;

/// The ids of the movies that each user has booked, by date.
type Bookings = BTreeMap<String, BTreeMap<String, Vec<String>>>;

pub fn router(data: &Path) -> Result<Router> {
    let bookings: Bookings = read(data, "bookings.json")?;
    let routes = Router::new()
        .route("/bookings", get(all))
        .route("/bookings/{username}", get(one))
        .with_state(&*Box::leak(Box::new(bookings)));
    Ok(complete(routes))
}

async fn all(State(bookings): State<&'static Bookings>, call: Call) -> Response {
    call.respond(json(bookings))
}

async fn one(
    State(bookings): State<&'static Bookings>,
    Name(username): Name,
    call: Call,
) -> Response {
    call.respond(bookings_of(bookings, &username))
}

fn bookings_of(bookings: &Bookings, username: &str) -> Answer {
    let bookings = bookings.get(username).ok_or_else(|| {
        Problem::NotFound(format!("No bookings of `{username}`. GET /bookings lists them all."))
    })?;
    json(bookings)
}
