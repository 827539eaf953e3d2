//! The way in: which routes there are, and a proper answer where there is none.
//!
//! | route | answer |
//! |---|---|
//! | `/` | the uri of every resource of the application |
//! | whatever no other service claims | a problem, 404 |
//!
//! ```sh
//! curl http://127.0.0.1:3000/
//! ```

use std::collections::BTreeMap;

use serde::Serialize;
use service_kit::{Answer, Call, Reply, Response, Route, get, serve};
use spin_sdk::http::Request;
use spin_sdk::http_service;

/// Every route of the application, by the name of the resource behind it.
const RESOURCES: [(&str, &str); 18] = [
    ("movies", "/movies"),
    ("movie", "/movies/<id>"),
    ("movies_by_id", "/movies?id=<a>&id=<b>"),
    ("top_movies", "/movies/top?limit=<n>&offset=<m>"),
    ("showtimes", "/showtimes"),
    ("showtimes_of_date", "/showtimes/<date>"),
    ("bookings", "/bookings"),
    ("bookings_of_user", "/bookings/<username>"),
    ("users", "/users"),
    ("user", "/users/<username>"),
    ("user_bookings", "/users/<username>/bookings"),
    ("user_suggested", "/users/<username>/suggested"),
    ("todo", "/todo"),
    ("todo_users", "/todo/users"),
    ("todo_user", "/todo/users/<username>"),
    ("todo_user_lists", "/todo/users/<username>/lists"),
    ("todo_lists", "/todo/lists"),
    ("todo_lists_of_user", "/todo/lists/<username>"),
];

#[http_service]
async fn handle(request: Request) -> Response {
    serve(request, route).await
}

fn route(call: &Call) -> Route<'_> {
    match call.segments()[..] {
        [] => get(index),
        _ => Route::Unknown,
    }
}

fn index() -> Answer {
    Reply::json(&Index { uri: "/", subresource_uris: BTreeMap::from(RESOURCES) })
}

#[derive(Serialize)]
struct Index {
    uri: &'static str,
    subresource_uris: BTreeMap<&'static str, &'static str>,
}
