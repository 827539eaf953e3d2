//! Which component gets a request, and what it is told of it.

use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;
use support::request;

use crate::{seen, send};

fn show(path: &str) -> Value {
    let reply = send(request(Method::GET, path));
    assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
    reply.json()
}

#[test]
fn a_component_is_told_its_route() {
    for (path, name, value) in [
        ("/guest/a/b?do=show", "spin-path-info", "/a/b"),
        ("/guest/a/b/?do=show", "spin-path-info", "/a/b/"),
        ("/guest?do=show", "spin-path-info", ""),
        ("/guest/?do=show", "spin-path-info", "/"),
        ("/guest/a?do=show", "spin-matched-route", "/guest/..."),
        ("/guest/a?do=show", "spin-raw-component-route", "/guest/..."),
        ("/guest/a?do=show", "spin-component-route", "/guest"),
        ("/guest/a?do=show", "spin-base-path", "/"),
        ("/exact?do=show", "spin-matched-route", "/exact"),
        ("/exact?do=show", "spin-path-info", ""),
        ("/exact/?do=show", "spin-matched-route", "/exact"),
        ("/named/a%20b/c?do=show", "spin-path-match-first-name", "a%20b"),
        ("/named/a%20b/c?do=show", "spin-path-info", "/c"),
        ("/named/a/c?do=show", "spin-component-route", "/named/:first_name"),
    ] {
        assert_eq!(seen(&show(path), name).as_deref(), Some(value), "{path}: {name}");
    }
}

#[test]
fn a_component_is_told_the_whole_url_and_the_client() {
    let shown = show("/guest/a?do=show&x=%20");
    let url = seen(&shown, "spin-full-url").unwrap();
    assert!(url.starts_with("http://") && url.ends_with("/guest/a?do=show&x=%20"), "{url}");
    assert_eq!(shown["uri"], url);
    assert!(seen(&shown, "spin-client-addr").unwrap().starts_with("127.0.0.1:"));
}

#[test]
fn what_a_client_makes_up_comes_before_what_is_true() {
    let mut spoofed = request(Method::GET, "/guest/a?do=show");
    spoofed.headers_mut().insert("spin-path-info", HeaderValue::from_static("/spoofed"));
    assert_eq!(seen(&send(spoofed).json(), "spin-path-info").as_deref(), Some("/a"));
}

#[test]
fn headers_of_the_connection_do_not_reach_a_component() {
    let mut with_headers = request(Method::GET, "/guest?do=show");
    let headers = with_headers.headers_mut();
    headers.insert("connection", HeaderValue::from_static("close"));
    headers.insert("x-other", HeaderValue::from_static("kept"));
    let shown = send(with_headers).json();
    assert_eq!(seen(&shown, "connection"), None);
    // Spin 4.1 shows it, as long as it is built on wasmtime 47.
    if std::env::var_os("APP_URL").is_none() {
        assert_eq!(seen(&shown, "host"), None);
    }
    assert_eq!(seen(&shown, "x-other").as_deref(), Some("kept"));
}

#[test]
fn a_path_without_a_route_is_an_empty_404() {
    for path in ["/", "/nope", "/exact/more", "/guestx", "/named", "/hidden"] {
        let reply = send(request(Method::GET, path));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::NOT_FOUND, ""), "{path}");
    }
}

#[test]
fn the_well_known_paths_answer() {
    let health = send(request(Method::GET, "/.well-known/spin/health"));
    assert_eq!((health.status, health.body.as_str()), (StatusCode::OK, "OK"));
    let info = send(request(Method::GET, "/.well-known/spin/info"));
    assert_eq!(info.header("content-type"), "application/json");
    assert_eq!(info.json(), serde_json::json!({"name": "guest", "version": "1.2.3"}));
    let other = send(request(Method::GET, "/.well-known/spin/other"));
    assert_eq!((other.status, other.body.as_str()), (StatusCode::NOT_FOUND, ""));
}

#[test]
fn an_error_and_a_panic_are_an_empty_500() {
    for action in ["fail", "panic"] {
        let reply = crate::ask(action, "");
        let empty_500 = (StatusCode::INTERNAL_SERVER_ERROR, "");
        assert_eq!((reply.status, reply.body.as_str()), empty_500, "{action}");
    }
}

#[test]
fn a_body_reaches_a_component() {
    let mut with_body = request(Method::POST, "/guest?do=body");
    *with_body.body_mut() = host::full("x".repeat(300_000));
    assert_eq!(send(with_body).body, "300000");
}
