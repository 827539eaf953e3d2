//! What components print, when nobody reads it in time.

use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use support::process::Running;
use support::{request, send_to};

use crate::options::{self, command};
use crate::path;

/// More requests that print two lines than there is room for in a pipe and in the host.
const REQUESTS: usize = 700;

#[test]
fn only_a_json_object_is_logged_without_the_component_and_control_characters_are_escaped() {
    let (running, address) = options::serving(&[]);
    for (logged, line) in [
        (r#"{"a": [1, "b"]}"#, r#"{"a": [1, "b"]}"#),
        ("{\"a\": \"\u{7f}\"}", r#"{"a": "\u007f"}"#),
        ("{no object", "guest: {no object"),
        ("{} {}", "guest: {} {}"),
        ("a\tb \u{1b}[2J\u{9b}", "guest: a\tb \\u001b[2J\\u009b"),
    ] {
        assert_eq!(send_to(&address, request(Method::GET, &path("log", logged))).status, 200);
        running.wait_for(line);
        assert!(running.log().lines().any(|found| found == line), "{}", running.log());
    }
}

/// A server, its address, and the end of the pipe that is its standard error.
fn serving() -> (Running, String, PipeReader) {
    let (reader, writer) = pipe().expect("a pipe");
    let mut command = command(&["--access-log", "--listen", "127.0.0.1:0"]);
    let running = Running::start_with_stderr(&mut command, writer);
    let address = running.address();
    (running, address, reader)
}

#[track_caller]
fn expect_answers(address: &str) {
    let path = path("print", &"x".repeat(1000));
    for number in 0..REQUESTS {
        let reply = send_to(address, request(Method::GET, &path));
        assert_eq!(reply.status, StatusCode::OK, "request {number}");
    }
}

#[test]
fn a_log_that_nobody_reads_stops_no_request_and_says_later_how_many_lines_it_lacks() {
    let (_running, address, reader) = serving();
    expect_answers(&address);
    let mut lines = BufReader::new(reader).lines().map(|line| line.expect("a line"));
    let notice = lines.by_ref().find(|line| line.contains("lines of standard error were dropped"));
    let dropped: usize =
        notice.as_ref().and_then(|line| line.split(' ').next()?.parse().ok()).expect("a number");
    assert!((1..2 * REQUESTS).contains(&dropped), "{notice:?}");
    // Once it is read again, it is complete again.
    assert_eq!(send_to(&address, request(Method::GET, &path("print", "again"))).status, 200);
    assert!(lines.any(|line| line == "guest: again to stderr"));
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_the_process_from_ending() {
    let (mut running, address, _reader) = serving();
    expect_answers(&address);
    let start = Instant::now();
    running.signal("-TERM");
    assert_eq!(running.wait(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn requests_are_answered_after_the_reader_of_the_log_has_gone() {
    let (mut running, address, reader) = serving();
    drop(reader);
    expect_answers(&address);
    running.signal("-TERM");
    assert_eq!(running.wait(), Some(0));
}
