//! HTTP to the letter: validators, caching, CORS, request ids.

use http::header::{HeaderName, IF_NONE_MATCH};
use http::{HeaderValue, Method, Request, StatusCode};

use crate::home::ROUTES;
use crate::support::{Reply, request};
use crate::{expect_problem, get, send};

fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|(_, path)| *path).chain(["/", "/openapi.json"])
}

fn get_with(path: &str, name: HeaderName, value: &str) -> Reply {
    send(with(request(Method::GET, path), name, value))
}

fn with(mut request: Request<host::Body>, name: HeaderName, value: &str) -> Request<host::Body> {
    request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
    request
}

#[test]
fn what_the_client_has_already_is_not_sent_again() {
    for path in paths() {
        let first = get(path);
        let etag = first.header("etag");
        assert!(etag.starts_with('"') && etag.len() > 2, "{path}: {etag}");
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        for tags in [etag, &format!("W/{etag}"), &format!("\"x\", {etag}"), "*"] {
            for method in [Method::GET, Method::HEAD] {
                let reply = send(with(request(method, path), IF_NONE_MATCH, tags));
                assert_eq!(reply.status, StatusCode::NOT_MODIFIED, "{path} {tags}");
                assert_eq!(reply.body, "");
                assert_eq!(reply.header("etag"), etag);
                assert_eq!(reply.header("cache-control"), "no-cache");
                assert_eq!(reply.header("vary"), first.header("vary"));
            }
        }
        for tags in ["\"x\"", "W/\"x\", \"y\"", "", "garbage,,\""] {
            let reply = get_with(path, IF_NONE_MATCH, tags);
            assert_eq!((reply.status, &reply.body), (StatusCode::OK, &first.body), "{path} {tags}");
        }
    }
}

#[test]
fn several_lines_of_tags_are_one_list() {
    let etag = get("/movies").header("etag").to_owned();
    let request = with(request(Method::GET, "/movies"), IF_NONE_MATCH, "\"x\"");
    assert_eq!(send(with(request, IF_NONE_MATCH, &etag)).status, StatusCode::NOT_MODIFIED);
}

#[test]
fn another_content_has_another_tag_and_the_same_has_the_same() {
    let tags: std::collections::BTreeSet<_> =
        paths().map(|path| get(path).header("etag").to_owned()).collect();
    assert_eq!(tags.len(), paths().count(), "{tags:?}");
    assert_eq!(get("/movies").header("etag"), get("/movies").header("etag"));
}

#[test]
fn a_problem_is_sent_whatever_the_client_has() {
    let reply = get_with("/movies/no-such-movie", IF_NONE_MATCH, "*");
    expect_problem(&reply, 404, "/movies/no-such-movie");
    assert_eq!(reply.header("etag"), "");
}

#[test]
fn head_has_the_status_and_the_headers_of_get_and_no_body() {
    for path in
        paths().chain(["/nope", "/users/nobody", "/movies/no-such-movie", "/movies/top?limit=x"])
    {
        let (mut head, mut get) = (send(request(Method::HEAD, path)), get(path));
        for headers in [&mut head.headers, &mut get.headers] {
            headers.remove("date");
            headers.remove("x-request-id");
        }
        assert_eq!((head.status, head.headers), (get.status, get.headers), "{path}");
    }
}

#[test]
fn options_names_the_methods_and_has_no_body() {
    for path in paths() {
        let reply = send(request(Method::OPTIONS, path));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, ""), "{path}");
        assert_eq!(reply.header("allow"), "GET, HEAD, OPTIONS", "{path}");
        assert_eq!(reply.header("access-control-allow-methods"), "", "{path}");
    }
    expect_problem(&send(request(Method::OPTIONS, "/nope")), 404, "/nope");
    let reply = send(with(request(Method::OPTIONS, "/movies"), IF_NONE_MATCH, "*"));
    assert_eq!(reply.status, StatusCode::OK, "preconditions are for GET and HEAD");
}

#[test]
fn any_origin_may_read() {
    let asking = HeaderName::from_static("access-control-request-method");
    let headers = HeaderName::from_static("access-control-request-headers");
    for path in paths() {
        let preflight =
            with(request(Method::OPTIONS, path), http::header::ORIGIN, "https://a.example");
        let preflight = with(preflight, asking.clone(), "GET");
        let reply = send(with(preflight, headers.clone(), "if-none-match, x-request-id"));
        assert!(reply.status.is_success(), "{path}");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, HEAD"),
            ("access-control-allow-headers", "*"),
            ("access-control-max-age", "86400"),
        ] {
            assert_eq!(reply.header(name), value, "{path}: {name}");
        }
        assert_eq!(get(path).header("access-control-allow-origin"), "*", "{path}");
    }
    assert_eq!(get("/nope").header("access-control-allow-origin"), "*");
}

#[test]
fn what_is_accepted_changes_the_index_alone() {
    let html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for path in paths() {
        let plain = get(path);
        for accept in ["application/json", "image/png", "text/plain;q=0", html] {
            let reply = get_with(path, http::header::ACCEPT, accept);
            assert_eq!(reply.status, StatusCode::OK, "{path} {accept}");
            let is_page = path == "/" && accept == html;
            assert_eq!(reply.body != plain.body, is_page, "{path} {accept}");
            assert_eq!(reply.header("vary"), if path == "/" { "accept" } else { "" }, "{path}");
        }
    }
    let page = get_with("/", http::header::ACCEPT, html);
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert_ne!(page.header("etag"), get("/").header("etag"));
}

#[test]
fn content_is_what_it_says_it_is() {
    for path in paths().chain(["/nope"]) {
        assert_eq!(get(path).header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[test]
fn a_request_id_is_echoed_or_made() {
    let name = HeaderName::from_static("x-request-id");
    for path in ["/movies", "/nope", "/users/dwight_schrute/bookings"] {
        assert_eq!(get_with(path, name.clone(), "abc-1").header("x-request-id"), "abc-1");
        let made = get(path).header("x-request-id").to_owned();
        assert_ne!(made, get(path).header("x-request-id"), "made ids differ");
        for bad in ["a b", &"x".repeat(129)] {
            let reply = get_with(path, name.clone(), bad);
            assert_ne!(reply.header("x-request-id"), bad);
            assert_ne!(reply.header("x-request-id"), "");
        }
    }
}
