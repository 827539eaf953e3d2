//! What holds for every service alike.

use http::{Method, StatusCode};

use crate::home::ROUTES;
use crate::support::request;
use crate::{expect_problem, get, get_problem, send};

#[test]
fn another_method_is_not_allowed_on_a_known_path() {
    for path in ROUTES.iter().map(|(_, path)| *path).chain(["/"]) {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let reply = send(request(method.clone(), path));
            expect_problem(&reply, 405, path);
            assert_eq!(reply.header("allow"), "GET, HEAD, OPTIONS", "{method} {path}");
        }
    }
}

#[test]
fn another_method_on_an_unknown_path_is_not_found() {
    expect_problem(&send(request(Method::POST, "/nope")), 404, "/nope");
    expect_problem(&send(request(Method::DELETE, "/movies/a/b")), 404, "/movies/a/b");
}

#[test]
fn a_trailing_slash_changes_nothing() {
    for (_, path) in ROUTES {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let plain = get(&format!("{path}?{query}"));
        let slash = get(&format!("{path}/?{query}"));
        assert_eq!((slash.status, slash.body), (plain.status, plain.body), "{path}");
    }
}

#[test]
fn segments_are_percent_decoded() {
    assert_eq!(get("/users/chris%5Frivers").body, get("/users/chris_rivers").body);
    assert_eq!(get("/%6Dovies/top").status, StatusCode::NOT_FOUND, "routes are not decoded");
}

#[test]
fn an_encoded_slash_stays_inside_its_segment() {
    let detail = get_problem("/users/chris_rivers%2Fbookings", 404);
    assert!(detail.contains("`chris_rivers/bookings`"), "{detail}");
}

#[test]
fn a_segment_that_is_not_utf8_or_too_long_is_a_bad_request() {
    get_problem("/users/%FF%FE", 400);
    let long = "x".repeat(257);
    get_problem(&format!("/users/{long}/bookings"), 400);
}

#[test]
fn headers_that_a_client_makes_up_change_nothing() {
    let mut spoofed = request(Method::GET, "/users/chris_rivers");
    for name in ["spin-path-info", "spin-full-url", "spin-matched-route", "spin-client-addr"] {
        spoofed.headers_mut().insert(name, "/nobody".parse().unwrap());
    }
    assert_eq!(send(spoofed).body, get("/users/chris_rivers").body);
}

#[test]
fn a_body_on_a_get_is_ignored() {
    let mut with_body = request(Method::GET, "/movies/top");
    *with_body.body_mut() = host::full("x".repeat(100_000));
    assert_eq!(send(with_body).body, get("/movies/top").body);
}
