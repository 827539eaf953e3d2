//! `/`

use http::StatusCode;
use std::collections::BTreeSet;

use crate::{get, get_json, get_problem};

/// Every route of the application, with an example.
pub const ROUTES: [(&str, &str); 18] = [
    ("/movies", "/movies"),
    ("/movies/<id>", "/movies/267eedb8-0f5d-42d5-8f43-72426b9fb3e6"),
    ("/movies?id=<a>&id=<b>", "/movies?id=7daf7208-be4d-4944-a3ae-c1c2f516f3e6"),
    ("/movies/top?limit=<n>&offset=<m>", "/movies/top?limit=5&offset=2"),
    ("/showtimes", "/showtimes"),
    ("/showtimes/<date>", "/showtimes/20151201"),
    ("/bookings", "/bookings"),
    ("/bookings/<username>", "/bookings/chris_rivers"),
    ("/users", "/users"),
    ("/users/<username>", "/users/chris_rivers"),
    ("/users/<username>/bookings", "/users/dwight_schrute/bookings"),
    ("/users/<username>/suggested", "/users/chris_rivers/suggested"),
    ("/todo", "/todo"),
    ("/todo/users", "/todo/users"),
    ("/todo/users/<username>", "/todo/users/aniket"),
    ("/todo/users/<username>/lists", "/todo/users/aniket/lists"),
    ("/todo/lists", "/todo/lists"),
    ("/todo/lists/<username>", "/todo/lists/saurabh_badhwar"),
];

#[test]
fn the_index_names_every_route() {
    let index = get_json("/");
    assert_eq!(index["uri"], "/");
    let uris = index["subresource_uris"].as_object().unwrap();
    assert_eq!(uris["movies"], "/movies");
    assert_eq!(uris["movie"], "/movies/<id>");
    let named: BTreeSet<_> = uris.values().map(|uri| uri.as_str().unwrap()).collect();
    let routes = ROUTES.iter().map(|(route, _)| *route).chain(["/openapi.json"]);
    assert_eq!(named, routes.collect());
}

#[test]
fn every_route_answers() {
    for (_, example) in ROUTES {
        assert_eq!(get(example).status, StatusCode::OK, "{example}");
    }
}

#[test]
fn what_no_service_claims_is_a_problem() {
    for path in [
        "/nope",
        "/movie",
        "/moviesx",
        "/movies/a/b",
        "/movies//a",
        "/showtimes/20151201/creed",
        "/bookings/chris_rivers/20151201",
        "/users/chris_rivers/friends",
        "/users/chris_rivers/bookings/20151201",
        "/todo/nope",
        "/todo/users/aniket/lists/school",
        "/todo/lists/aniket/school",
        "/index.html",
    ] {
        let detail = get_problem(path, 404);
        assert!(detail.contains("GET /"), "{path}: {detail}");
    }
}
