//! Conventions that every service follows: methods, paths, headers and bodies.

use http::{Method, StatusCode};
use support::request;

use crate::openapi::{Operation, operations, paths, reads};
use crate::{expect_problem, get, get_problem, send};

/// The methods that the path of `operation` takes.
pub fn allow(operation: &Operation) -> &'static str {
    let writes = operations().any(|other| other.path == operation.path && other.method == "PUT");
    if writes { "DELETE, GET, HEAD, OPTIONS, PUT" } else { "GET, HEAD, OPTIONS" }
}

#[test]
fn another_method_on_a_known_path_is_405() {
    for operation in reads() {
        let (path, allow) = (&operation.example, allow(&operation));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if !allow.contains(method.as_str()) {
                let reply = send(request(method.clone(), path));
                expect_problem(&reply, 405, path);
                assert_eq!(reply.header("allow"), allow, "{method} {path}");
            }
        }
    }
}

#[test]
fn another_method_on_an_unknown_path_is_404() {
    expect_problem(&send(request(Method::POST, "/nope")), 404, "/nope");
    expect_problem(&send(request(Method::DELETE, "/movies/a/b")), 404, "/movies/a/b");
}

#[test]
fn a_trailing_slash_changes_nothing() {
    for path in paths() {
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let plain = get(&format!("{path}?{query}"));
        let slash = get(&format!("{path}/?{query}"));
        assert_eq!((slash.status, slash.body), (plain.status, plain.body), "{path}");
    }
}

#[test]
fn a_path_with_an_empty_segment_is_404_for_every_method() {
    for path in ["/users//bookings", "/todo/users//lists", "/movies//x", "/todo//users"] {
        for method in [Method::GET, Method::OPTIONS, Method::POST] {
            let detail = expect_problem(&send(request(method, path)), 404, path);
            assert!(detail.contains("No service answers"), "{path}: {detail}");
        }
    }
}

#[test]
fn segments_are_percent_decoded() {
    assert_eq!(get("/users/chris%5Frivers").body, get("/users/chris_rivers").body);
    assert_eq!(get("/%6Dovies/top").status, StatusCode::NOT_FOUND, "the router does not decode");
}

#[test]
fn an_encoded_slash_stays_inside_its_segment() {
    let detail = get_problem("/users/chris_rivers%2Fbookings", 404);
    assert!(detail.contains("`chris_rivers/bookings`"), "{detail}");
}

#[test]
fn a_segment_that_is_not_utf8_is_400() {
    get_problem("/users/%FF%FE", 400);
}

#[test]
fn a_segment_has_at_most_256_characters_whatever_their_size_in_bytes() {
    for character in ["x", "%C3%A9", "%F0%9F%8E%AC"] {
        let longest = character.repeat(256);
        get_problem(&format!("/users/{longest}"), 404);
        get_problem(&format!("/users/{longest}/bookings"), 404);
        for path in [format!("/users/{longest}{character}"), format!("/{longest}{character}")] {
            let detail = get_problem(&path, 400);
            assert!(detail.contains("longer than 256 characters"), "{path}: {detail}");
        }
    }
}

#[test]
fn spin_headers_of_a_client_change_nothing() {
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

#[test]
fn a_name_of_dots_is_400_for_every_method() {
    for path in [
        "/users/.",
        "/users/..",
        "/users/%2e",
        "/users/%2E%2e/bookings",
        "/todo/lists/luckas/..",
        "/todo/lists/luckas/.%2E",
        "/bookings/peter_curley/20151201/..",
        "/nowhere/..",
    ] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let reply = send(request(method.clone(), path));
            assert_eq!(reply.status, 400, "{method} {path}: {reply:?}");
        }
        assert!(get_problem(path, 400).contains("`.` or `..`"), "{path}");
    }
    for path in ["/users/...", "/users/.a", "/todo/lists/luckas/a."] {
        assert_eq!(get(path).status, 404, "{path}");
    }
}
