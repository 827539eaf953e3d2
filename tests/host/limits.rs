//! What a component that misbehaves costs others: the requests that share its
//! instance (see `instances`), and nothing else.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use host::{App, Limits};
use http::{Method, StatusCode};
use support::{Lines, Reply, request, send, send_to, serve};

use crate::{loader, path};

/// An application with small limits, and what it logs.
fn limited(cpu: Duration) -> (App, Lines) {
    let lines = Lines::default();
    let grace = Duration::ZERO;
    let limits = Limits { cpu, memory: 64 << 20, grace, ..Limits::default() };
    let app = loader().limits(limits).log(lines.log()).load().expect("an application");
    (app, lines)
}

/// As long as a component may compute.
const SHORT: Duration = Duration::from_millis(500);

/// Longer than a test takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

fn get(app: &App, action: &str, argument: &str) -> Reply {
    send(app, request(Method::GET, &path(action, argument)))
}

#[test]
fn while_instances_compute_without_end_others_are_served() {
    let (app, lines) = limited(LONG);
    let served = serve(app);
    // One more than it takes to keep every thread of the server busy.
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let looping: Vec<_> = (0..=threads)
        .map(|_| {
            let mut stream = served.connect();
            let path = path("loop", "");
            write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
            stream
        })
        .collect();
    let start = Instant::now();
    while lines.text().matches("looping").count() <= threads {
        assert!(start.elapsed() < LONG, "the loops have not begun");
        std::thread::yield_now();
    }
    for _ in 0..5 {
        let reply = send_to(&served.address, request(Method::GET, &path("show", "")));
        assert_eq!(reply.status, StatusCode::OK);
    }
    for mut stream in looping {
        stream.set_nonblocking(true).expect("a connection");
        let waits = stream.read(&mut [0]).expect_err("an endless loop has answered");
        assert_eq!(waits.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn an_endless_loop_ends_as_a_500() {
    let (app, lines) = limited(SHORT);
    let start = Instant::now();
    assert_eq!(get(&app, "loop", "").status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!((SHORT..LONG).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(lines.text().contains("interrupt"), "{}", lines.text());
}

#[test]
fn an_instance_that_grows_beyond_its_limit_ends_as_a_500() {
    let (app, _) = limited(SHORT);
    assert_eq!(get(&app, "grow", "48").status, StatusCode::OK);
    for mebibytes in ["64", "1000000"] {
        let reply = get(&app, "grow", mebibytes);
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
    }
    assert_eq!(get(&app, "show", "").status, StatusCode::OK);
}

#[test]
fn waiting_is_not_computing() {
    let (app, _) = limited(SHORT);
    // Longer than an instance may compute, in one go and in many.
    assert_eq!(get(&app, "sleep", "1200").status, StatusCode::OK);
    assert_eq!(get(&app, "naps", "100").status, StatusCode::OK);
}

#[test]
fn each_line_that_a_component_prints_is_logged() {
    let (app, lines) = limited(SHORT);
    get(&app, "print", "hello");
    assert_eq!(lines.text(), "guest: hello to stdout\nguest: hello to stderr");
}

#[test]
fn the_cause_of_a_500_is_logged_and_not_sent() {
    for (action, cause) in [("panic", "no response: worker trapped"), ("fail", "no response: ")] {
        let (app, lines) = limited(SHORT);
        assert_eq!(get(&app, action, "").body, "");
        assert!(lines.text().contains(cause), "{action}: {}", lines.text());
    }
}
