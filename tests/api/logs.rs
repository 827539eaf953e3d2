//! What services write to standard error, and to which trace a request belongs.

use std::sync::{Arc, Mutex};

use http::{HeaderValue, Method, Response};
use serde_json::Value;
use support::{Lines, request};

use crate::{application, loader, send_to};

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACE_PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The object that a request for suggestions logs, whose sibling fails.
fn logged(trace_parent: &'static str) -> Value {
    let lines = Lines::default();
    let failing = |_| async { Response::builder().status(500).body(host::empty()).unwrap() };
    let app = loader().log(lines.log()).replace("movies", failing).load().expect("an application");
    let mut request = request(Method::GET, "/users/dwight_schrute/suggested");
    request.headers_mut().insert("x-request-id", HeaderValue::from_static("the-id"));
    request.headers_mut().insert("traceparent", HeaderValue::from_static(trace_parent));
    assert_eq!(send_to(&app, request).status, 503);
    let text = lines.text();
    let [line] = &text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    serde_json::from_str(line.strip_prefix("users: ").expect("a line of it")).expect("JSON")
}

#[test]
fn a_failure_is_a_line_with_a_json_object() {
    let event = logged(TRACE_PARENT);
    let time = event["time"].as_str().expect("a time");
    let digits = |char: char| if char.is_ascii_digit() { '0' } else { char };
    assert_eq!(time.chars().map(digits).collect::<String>(), "0000-00-00T00:00:00.000Z");
    let expected = serde_json::json!({
        "time": time,
        "level": "error",
        "component": "users",
        "request_id": "the-id",
        "trace_id": TRACE_ID,
        "message": "GET /users/dwight_schrute/suggested: movies: /movies/top: status 500",
    });
    assert_eq!(event, expected);
}

#[test]
fn a_trace_that_is_malformed_is_not_logged() {
    for malformed in [
        "",
        "00",
        "00-x-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ] {
        assert_eq!(logged(malformed).get("trace_id"), None);
    }
}

#[test]
fn what_is_logged_without_a_request_has_no_id() {
    let lines = Lines::default();
    let copy = support::copy(&application());
    support::edit(&copy.path().join("spin.toml"), "sqlite_databases = [\"default\"]\n", "");
    let app = support::loader(copy.path()).log(lines.log());
    let app = app.load().expect("an application");
    assert_eq!(send_to(&app, request(Method::GET, "/bookings")).status, 200);
    let text = lines.text();
    let event: Value =
        serde_json::from_str(text.strip_prefix("bookings: ").expect("a line")).expect("JSON");
    assert_eq!((&event["level"], &event["component"]), (&"warn".into(), &"bookings".into()));
    assert!(
        event["message"].as_str().is_some_and(|message| message.contains("read-only")),
        "{event}"
    );
    assert_eq!(event.get("request_id"), None);
}

#[test]
fn a_sibling_gets_the_trace_of_the_request_unchanged() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answering = loader().load().expect("an application");
    let app = loader().replace("movies", {
        let asked = asked.clone();
        move |request| {
            let headers =
                ["traceparent", "tracestate"].map(|name| request.headers().get(name).cloned());
            asked.lock().unwrap().push(headers);
            let answering = answering.clone();
            async move { answering.handle(request).await }
        }
    });
    let app = app.load().expect("an application");
    let state = HeaderValue::from_static("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    let parent = HeaderValue::from_static(TRACE_PARENT);
    let mut with_trace = request(Method::GET, "/users/dwight_schrute/suggested");
    with_trace.headers_mut().insert("traceparent", parent.clone());
    with_trace.headers_mut().insert("tracestate", state.clone());
    assert_eq!(send_to(&app, with_trace).status, 200);
    assert_eq!(send_to(&app, request(Method::GET, "/users/dwight_schrute/suggested")).status, 200);
    let asked = asked.lock().unwrap();
    let (first, last) = (asked.first().expect("a request"), asked.last().expect("a request"));
    assert_eq!(*first, [Some(parent), Some(state)]);
    assert_eq!(*last, [None, None]);
}
