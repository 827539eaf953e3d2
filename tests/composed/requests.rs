//! What reaches a composed sibling besides the arguments of a call.

use std::time::{Duration, Instant};

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
    let timing = reply.header("server-timing");
    let users = timing.strip_prefix("users;dur=").and_then(|rest| rest.split(',').next());
    let milliseconds: f64 = users.expect(timing).parse().expect(timing);
    assert!((300.0..2000.0).contains(&milliseconds), "{timing}");
    assert!(timing.ends_with(";desc=failed"), "{timing}");
    assert!(lines.text().contains("users: cancelled"), "{}", lines.text());
}

#[test]
fn a_database_that_can_not_be_used_is_a_503_of_both_services() {
    support::composed();
    let lines = Lines::default();
    let state = support::state_dir();
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("sqlite_db.db"), "this is no database".repeat(100)).unwrap();
    let loader = loader(&support::composed()).state_dir(state).log(lines.log());
    let app = loader.load().unwrap();
    let reply = send(&app, get_as("request-1", &format!("/users/{USER}/bookings")));
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("The service `bookings` is not available"), "{reply:?}");
    assert!(lines.text().contains("bookings-of: the database: "), "{}", lines.text());
    assert!(lines.text().contains("bookings: bookings-of: not available"), "{}", lines.text());
}

/// A call that is cancelled while it makes the tables of a new database leaves nothing locked.
#[test]
fn a_call_that_is_cancelled_while_it_waits_for_the_database_harms_no_later_one() {
    let state = support::state_dir();
    std::fs::create_dir_all(&state).unwrap();
    let lock = rusqlite::Connection::open(state.join("sqlite_db.db")).unwrap();
    lock.execute_batch("PRAGMA journal_mode = wal; BEGIN IMMEDIATE").unwrap();
    let loader = loader(&support::composed()).state_dir(state);
    let app = loader.variable("sibling_deadline_ms", "300").load().unwrap();
    let path = format!("/users/{USER}/bookings");
    assert_eq!(send(&app, get_as("request-1", &path)).status, 504);
    lock.execute_batch("ROLLBACK").unwrap();
    // Until the statement that was under way has ended.
    let start = Instant::now();
    loop {
        let reply = send(&app, get_as("request-2", &path));
        if reply.status == 200 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{reply:?}");
    }
}
