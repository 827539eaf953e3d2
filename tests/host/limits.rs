//! What a component that misbehaves does to others: nothing.

use std::time::{Duration, Instant};

use host::{App, Limits};
use http::{Method, StatusCode};

use crate::support::{Lines, RUNTIME, Reply, request, send};
use crate::{loader, path};

fn limited() -> (App, Lines) {
    let lines = Lines::default();
    let limits = Limits { cpu: Duration::from_millis(500), memory: 64 << 20 };
    let app = loader().limits(limits).log(lines.log()).load().expect("an application");
    (app, lines)
}

fn get(app: &App, action: &str, argument: &str) -> Reply {
    send(app, request(Method::GET, &path(action, argument)))
}

#[test]
fn a_guest_that_loops_for_ever_ends_as_a_500_and_others_go_on() {
    let (app, lines) = limited();
    let looping: Vec<_> = (0..4)
        .map(|_| {
            let app = app.clone();
            RUNTIME.spawn(async move {
                app.handle(request(Method::GET, &path("loop", ""))).await.status()
            })
        })
        .collect();
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(get(&app, "show", "").status, StatusCode::OK);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for looping in looping {
        let status = RUNTIME.block_on(looping).unwrap();
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert!(lines.text().contains("interrupt"), "{}", lines.text());
}

#[test]
fn a_guest_that_grows_for_ever_ends_as_a_500() {
    let (app, _) = limited();
    let reply = get(&app, "grow", "");
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
    assert_eq!(get(&app, "show", "").status, StatusCode::OK);
}

#[test]
fn waiting_is_not_computing() {
    let (app, _) = limited();
    assert_eq!(get(&app, "sleep", "1200").status, StatusCode::OK);
}

#[test]
fn what_a_component_prints_is_logged_by_the_line() {
    let (app, lines) = limited();
    get(&app, "print", "hello");
    assert_eq!(lines.text(), "guest: hello to stdout\nguest: hello to stderr");
}

#[test]
fn why_there_was_no_response_is_logged_and_not_sent() {
    for (action, cause) in [("panic", "as asked"), ("fail", "as asked")] {
        let (app, lines) = limited();
        assert_eq!(get(&app, action, "").body, "");
        assert!(lines.text().contains(cause), "{action}: {}", lines.text());
    }
}
