//! HTTP to the letter: preconditions, caching, negotiation, CORS, request ids.

use std::collections::BTreeMap;

use http::header::{ACCEPT, HeaderName, IF_MATCH, IF_NONE_MATCH, ORIGIN};
use http::{HeaderValue, Method, Request, StatusCode};
use support::{Reply, request};

use crate::conventions::allow;
use crate::openapi::{paths, reads};
use crate::{expect_problem, get, send};

const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Paths that get a problem, with its status.
const PROBLEMS: [(&str, u16); 6] = [
    ("/nope", 404),
    ("/users/nobody", 404),
    ("/users/nobody/bookings", 404),
    ("/movies/no-such-movie", 404),
    ("/movies/top?limit=x", 400),
    ("/movies/%FF", 400),
];

fn get_with(path: &str, name: HeaderName, value: &str) -> Reply {
    send(with(request(Method::GET, path), name, value))
}

fn with(mut request: Request<host::Body>, name: HeaderName, value: &str) -> Request<host::Body> {
    request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
    request
}

fn preflight(path: &str) -> Request<host::Body> {
    let asks = HeaderName::from_static("access-control-request-method");
    let preflight = with(request(Method::OPTIONS, path), ORIGIN, "https://a.example");
    with(preflight, asks, "GET")
}

#[test]
fn if_none_match_with_the_current_tag_is_304_weak_listed_or_star() {
    for path in paths() {
        let first = get(&path);
        let etag = first.header("etag");
        assert!(etag.starts_with('"') && etag.len() > 2, "{path}: {etag}");
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        for tags in [etag, &format!("W/{etag}"), &format!("\"x\", {etag}"), "*"] {
            for method in [Method::GET, Method::HEAD] {
                let reply = send(with(request(method, &path), IF_NONE_MATCH, tags));
                assert_eq!(reply.status, StatusCode::NOT_MODIFIED, "{path} {tags}");
                assert_eq!(reply.body, "");
                assert_eq!(reply.header("etag"), etag);
                assert_eq!(reply.header("cache-control"), "no-cache");
                assert_eq!(reply.header("vary"), first.header("vary"));
            }
        }
    }
}

#[test]
fn if_none_match_with_other_tags_is_200() {
    for path in paths() {
        let first = get(&path);
        for tags in ["\"x\"", "W/\"x\", \"y\"", "", "garbage,,\""] {
            let reply = get_with(&path, IF_NONE_MATCH, tags);
            assert_eq!((reply.status, &reply.body), (StatusCode::OK, &first.body), "{path} {tags}");
        }
    }
}

#[test]
fn if_match_with_the_current_tag_listed_or_star_is_200() {
    for path in paths() {
        let first = get(&path);
        let etag = first.header("etag");
        for tags in [etag, &format!("\"x\", {etag}"), &format!("W/\"x\",{etag}"), "*"] {
            for method in [Method::GET, Method::HEAD] {
                let reply = send(with(request(method.clone(), &path), IF_MATCH, tags));
                assert_eq!(reply.status, StatusCode::OK, "{method} {path} {tags}");
                assert_eq!(reply.header("etag"), etag, "{method} {path} {tags}");
            }
        }
    }
}

#[test]
fn if_match_with_a_stale_tag_is_412() {
    for path in paths() {
        for tags in ["\"x\"", "\"x\", W/\"y\"", "", "garbage,,\""] {
            for method in [Method::GET, Method::HEAD] {
                let reply = send(with(request(method.clone(), &path), IF_MATCH, tags));
                assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED, "{method} {path} {tags}");
                assert_eq!(reply.header("etag"), "", "{method} {path} {tags}");
            }
            let detail = expect_problem(&get_with(&path, IF_MATCH, tags), 412, &path);
            assert!(detail.contains("`If-Match`"), "{path}: {detail}");
        }
    }
}

#[test]
fn if_match_with_the_weak_form_of_the_current_tag_is_412() {
    for path in paths() {
        let weak = format!("W/{}", get(&path).header("etag"));
        expect_problem(&get_with(&path, IF_MATCH, &weak), 412, &path);
    }
}

#[test]
fn if_match_is_evaluated_before_if_none_match() {
    for path in paths() {
        let etag = get(&path).header("etag").to_owned();
        for (if_match, if_none_match, status) in [
            ("\"x\"", etag.as_str(), 412),
            ("\"x\"", "*", 412),
            ("\"x\"", "\"x\"", 412),
            (&etag, &etag, 304),
            ("*", &etag, 304),
            (&etag, "\"x\"", 200),
        ] {
            let request = with(request(Method::GET, &path), IF_MATCH, if_match);
            let reply = send(with(request, IF_NONE_MATCH, if_none_match));
            assert_eq!(reply.status, status, "{path}: {if_match}, {if_none_match}");
        }
    }
}

#[test]
fn several_lines_of_tags_are_one_list() {
    let etag = get("/movies").header("etag").to_owned();
    for (name, status) in [(IF_NONE_MATCH, 304), (IF_MATCH, 200)] {
        let request = with(request(Method::GET, "/movies"), name.clone(), "\"x\"");
        assert_eq!(send(with(request, name, &etag)).status, status);
    }
}

#[test]
fn preconditions_do_not_change_a_problem() {
    for (path, status) in PROBLEMS {
        for (name, tags) in [(IF_MATCH, "\"x\""), (IF_MATCH, "*"), (IF_NONE_MATCH, "*")] {
            let reply = get_with(path, name, tags);
            expect_problem(&reply, status, path);
            assert_eq!(reply.header("etag"), "", "{path}");
        }
    }
}

#[test]
fn different_content_has_different_tags_and_the_same_content_the_same_tag() {
    let mut tags = BTreeMap::new();
    for path in paths() {
        let reply = get(&path);
        let content = (reply.header("content-type").to_owned(), reply.body.clone());
        let etag = reply.header("etag").to_owned();
        assert_eq!(get(&path).header("etag"), etag, "{path}");
        assert_eq!(*tags.entry(content).or_insert(etag.clone()), etag, "{path}");
    }
    let different: std::collections::BTreeSet<_> = tags.values().collect();
    assert_eq!(different.len(), tags.len(), "{different:?}");
}

#[test]
fn problems_must_not_be_stored() {
    for (path, status) in PROBLEMS {
        let reply = get(path);
        expect_problem(&reply, status, path);
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
    }
    for path in paths() {
        for reply in [
            send(request(Method::PATCH, &path)),
            get_with(&path, IF_MATCH, "\"x\""),
            send(request(Method::OPTIONS, &path)),
        ] {
            assert_eq!(reply.header("cache-control"), "no-store", "{path}: {}", reply.status);
        }
    }
}

#[test]
fn head_has_the_status_and_the_headers_of_get_and_no_body() {
    let problems = PROBLEMS.iter().map(|(path, _)| (*path).to_owned());
    for path in paths().into_iter().chain(problems) {
        let (mut head, mut get) = (send(request(Method::HEAD, &path)), get(&path));
        for headers in [&mut head.headers, &mut get.headers] {
            headers.remove("date");
            headers.remove("server-timing");
            headers.remove("x-request-id");
        }
        assert_eq!((head.status, head.headers), (get.status, get.headers), "{path}");
        assert_eq!(head.body, "", "{path}");
    }
}

#[test]
fn options_names_the_methods_and_has_no_body() {
    for operation in reads() {
        let path = &operation.example;
        let reply = send(request(Method::OPTIONS, path));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, ""), "{path}");
        assert_eq!(reply.header("allow"), allow(&operation), "{path}");
        assert_eq!(reply.header("access-control-allow-methods"), "", "{path}");
    }
}

#[test]
fn options_on_an_unknown_path_is_404() {
    expect_problem(&send(request(Method::OPTIONS, "/nope")), 404, "/nope");
}

#[test]
fn options_ignores_preconditions() {
    for (name, tags) in [(IF_NONE_MATCH, "*"), (IF_MATCH, "\"x\"")] {
        let reply = send(with(request(Method::OPTIONS, "/movies"), name, tags));
        assert_eq!(reply.status, StatusCode::OK);
    }
}

#[test]
fn a_preflight_succeeds_at_any_path_even_an_unknown_or_malformed_one() {
    let too_long = format!("/{}", "x".repeat(257));
    let others = PROBLEMS.iter().map(|(path, _)| (*path).to_owned()).chain([too_long]);
    for path in paths().into_iter().chain(others) {
        let headers = HeaderName::from_static("access-control-request-headers");
        let reply = send(with(preflight(&path), headers, "if-none-match, x-request-id"));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, ""), "{path}");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, HEAD"),
            ("access-control-allow-headers", "*"),
            ("access-control-max-age", "86400"),
            ("cache-control", ""),
        ] {
            assert_eq!(reply.header(name), value, "{path}: {name}");
        }
    }
}

#[test]
fn a_page_of_any_origin_may_read_every_response_and_its_headers() {
    let problems = PROBLEMS.iter().map(|(path, _)| (*path).to_owned());
    for path in paths().into_iter().chain(problems) {
        let reply = get(&path);
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{path}");
        let exposed = reply.header("access-control-expose-headers");
        assert_eq!(exposed, "etag, retry-after, x-request-id", "{path}");
    }
}

#[test]
fn only_the_index_negotiates_and_varies_by_accept() {
    for path in paths() {
        let plain = get(&path);
        for accept in ["application/json", "image/png", "text/plain;q=0", HTML] {
            let reply = get_with(&path, ACCEPT, accept);
            assert_eq!(reply.status, StatusCode::OK, "{path} {accept}");
            let is_page = path == "/" && accept == HTML;
            assert_eq!(reply.body != plain.body, is_page, "{path} {accept}");
            let fresh = with(request(Method::GET, &path), ACCEPT, accept);
            let not_modified = send(with(fresh, IF_NONE_MATCH, reply.header("etag")));
            assert_eq!(not_modified.status, StatusCode::NOT_MODIFIED, "{path} {accept}");
            let vary = if path == "/" { "accept" } else { "" };
            for reply in [&plain, &reply, &not_modified] {
                assert_eq!(reply.header("vary"), vary, "{path} {accept}");
            }
        }
    }
    for (path, _) in PROBLEMS {
        assert_eq!(get_with(path, ACCEPT, HTML).header("vary"), "", "{path}");
    }
}

#[test]
fn the_page_and_the_json_of_the_index_have_different_tags() {
    let page = get_with("/", ACCEPT, HTML);
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    let json = get("/");
    assert_ne!(page.header("etag"), json.header("etag"));
    let stale = get_with("/", IF_NONE_MATCH, page.header("etag"));
    assert_eq!((stale.status, stale.body), (StatusCode::OK, json.body));
}

#[test]
fn browsers_must_not_guess_the_content_type() {
    let problems = PROBLEMS.iter().map(|(path, _)| (*path).to_owned());
    for path in paths().into_iter().chain(problems) {
        assert_eq!(get(&path).header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[test]
fn a_valid_request_id_is_echoed_and_any_other_replaced() {
    let name = HeaderName::from_static("x-request-id");
    for path in ["/movies", "/nope", "/movies/%FF", "/users/dwight_schrute/bookings"] {
        let longest = "x".repeat(128);
        for id in ["abc-1", &longest] {
            assert_eq!(get_with(path, name.clone(), id).header("x-request-id"), id);
        }
        let generated = get(path).header("x-request-id").to_owned();
        assert_ne!(generated, get(path).header("x-request-id"), "generated ids differ");
        for invalid in ["", "a b", &"x".repeat(129)] {
            let reply = get_with(path, name.clone(), invalid);
            assert_ne!(reply.header("x-request-id"), invalid);
            assert_ne!(reply.header("x-request-id"), "");
        }
    }
}
