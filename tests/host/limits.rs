//! What a component that misbehaves costs others: the requests that share its
//! instance (see `instances`), and nothing else.

use std::time::{Duration, Instant};

use host::{App, Limits};
use http::{Method, StatusCode};
use support::{Lines, Reply, request, send, send_to, serve};

use crate::{loader, path};

/// An application with small limits, and what it logs.
fn limited(cpu: Duration) -> (App, Lines) {
    let lines = Lines::default();
    let limits = Limits { cpu, memory: 64 << 20, ..Limits::default() };
    let app = loader().limits(limits).log(lines.log()).load().expect("an application");
    (app, lines)
}

/// As long as a test here may compute at most.
const SHORT: Duration = Duration::from_millis(500);

fn get(app: &App, action: &str, argument: &str) -> Reply {
    send(app, request(Method::GET, &path(action, argument)))
}

#[test]
fn an_endless_loop_ends_as_a_500_and_others_are_served_meanwhile() {
    let cpu = Duration::from_secs(3);
    let (app, lines) = limited(cpu);
    let served = serve(app);
    let get = |action: &'static str| {
        let address = served.address.clone();
        std::thread::spawn(move || {
            send_to(&address, request(Method::GET, &path(action, ""))).status
        })
    };
    // One more than it takes to keep every thread of the server busy.
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let start = Instant::now();
    let looping: Vec<_> = (0..=threads).map(|_| get("loop")).collect();
    while lines.text().matches("looping").count() <= threads {
        assert!(start.elapsed() < cpu, "the loops have not begun");
        std::thread::yield_now();
    }
    for _ in 0..5 {
        assert_eq!(get("show").join().unwrap(), StatusCode::OK);
    }
    assert!(looping.iter().all(|looping| !looping.is_finished()), "the others had to wait");
    for looping in looping {
        assert_eq!(looping.join().unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    // Each loop has its thread for a part of the time only.
    let most = cpu * 10 * (threads as u32 + 1);
    assert!((cpu..most).contains(&start.elapsed()), "{:?}", start.elapsed());
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
