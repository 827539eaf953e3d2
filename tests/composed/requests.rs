//! What reaches a composed sibling besides the arguments of a call.

use http::HeaderValue;
use serde_json::Value;
use support::{Lines, edit, loader, send};

use crate::{USER, composed, copy, copy_with_faulty_movies, get_as};

#[test]
fn the_id_and_the_trace_of_a_request_are_in_the_lines_of_both_services() {
    let copy = copy();
    edit(&copy.path().join("data/cinema/bookings.json"), "{", "[");
    let lines = Lines::default();
    let app = loader(&composed(&copy)).log(lines.log()).load().unwrap();
    let mut request = get_as("request-1", &format!("/users/{USER}/bookings"));
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let traceparent = HeaderValue::from_str(&traceparent).unwrap();
    request.headers_mut().insert("traceparent", traceparent);
    assert_eq!(send(&app, request).status, 503);
    let text = lines.text();
    let lines: Vec<Value> = text
        .lines()
        // All of them come from one component.
        .map(|line| line.strip_prefix("users: ").unwrap_or_else(|| panic!("{line}")))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let services: Vec<_> = lines.iter().map(|line| line["component"].as_str().unwrap()).collect();
    assert_eq!(services, ["bookings", "users"], "{text}");
    for line in &lines {
        assert_eq!(line["request_id"], "request-1", "{text}");
        assert_eq!(line["trace_id"], trace_id, "{text}");
    }
    assert!(lines[0]["message"].as_str().unwrap().starts_with("bookings-of: malformed data file"));
    let cause = "bookings: bookings-of: internal error";
    assert!(lines[1]["message"].as_str().unwrap().ends_with(cause), "{text}");
}

#[test]
fn a_call_is_cancelled_at_the_deadline_of_the_requests_to_siblings() {
    let copy = copy_with_faulty_movies();
    let lines = Lines::default();
    let loader = loader(&composed(&copy)).log(lines.log());
    let app = loader.variable("sibling_deadline_ms", "300").load().unwrap();
    let reply = send(&app, get_as("hang", &format!("/users/{USER}/suggested")));
    assert_eq!(reply.status, 504, "{reply:?}");
    assert!(reply.header("server-timing").contains("movies;dur=3"), "{reply:?}");
    assert!(reply.header("server-timing").ends_with("desc=failed"), "{reply:?}");
    assert!(lines.text().contains("users: cancelled"), "{}", lines.text());
}
