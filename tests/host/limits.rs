//! What a component that misbehaves does to others: nothing.

use std::time::Duration;

use host::{App, Limits};
use http::{Method, StatusCode};
use tokio::runtime::Runtime;

use crate::support::{Lines, Reply, request, send};
use crate::{loader, path};

fn limited() -> (App, Lines) {
    computing_for(Duration::from_millis(500))
}

fn computing_for(cpu: Duration) -> (App, Lines) {
    let lines = Lines::default();
    let limits = Limits { cpu, memory: 64 << 20 };
    let app = loader().limits(limits).log(lines.log()).load().expect("an application");
    (app, lines)
}

fn get(app: &App, action: &str, argument: &str) -> Reply {
    send(app, request(Method::GET, &path(action, argument)))
}

#[test]
fn a_guest_that_loops_for_ever_ends_as_a_500_and_others_go_on_meanwhile() {
    let (app, lines) = computing_for(Duration::from_secs(2));
    let status = |action: &str| {
        let (app, request) = (app.clone(), request(Method::GET, &path(action, "")));
        tokio::spawn(async move { app.handle(request).await.status() })
    };
    // On a runtime of its own, so that no other test has to wait for it.
    Runtime::new().unwrap().block_on(async {
        // As many as it takes to keep every thread busy, one more would.
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let mut looping = Vec::new();
        for _ in 0..=threads {
            looping.push(status("loop"));
        }
        for _ in 0..20 {
            assert_eq!(status("show").await.unwrap(), StatusCode::OK);
        }
        assert!(looping.iter().all(|looping| !looping.is_finished()), "the others had to wait");
        for looping in looping {
            assert_eq!(looping.await.unwrap(), StatusCode::INTERNAL_SERVER_ERROR);
        }
    });
    assert!(lines.text().contains("interrupt"), "{}", lines.text());
}

#[test]
fn a_guest_that_grows_beyond_its_limit_ends_as_a_500() {
    let (app, _) = limited();
    assert_eq!(get(&app, "grow", "48").status, StatusCode::OK);
    for mebibytes in ["80", "1000000"] {
        let reply = get(&app, "grow", mebibytes);
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
    }
    assert_eq!(get(&app, "show", "").status, StatusCode::OK);
}

#[test]
fn waiting_is_not_computing() {
    let (app, _) = limited();
    // Longer than it may compute, in one go and in many.
    assert_eq!(get(&app, "sleep", "1200").status, StatusCode::OK);
    assert_eq!(get(&app, "naps", "100").status, StatusCode::OK);
}

#[test]
fn what_a_component_prints_is_logged_by_the_line() {
    let (app, lines) = limited();
    get(&app, "print", "hello");
    assert_eq!(lines.text(), "guest: hello to stdout\nguest: hello to stderr");
}

#[test]
fn why_there_was_no_response_is_logged_and_not_sent() {
    for (action, cause) in [("panic", "no response: worker trapped"), ("fail", "no response: ")] {
        let (app, lines) = limited();
        assert_eq!(get(&app, action, "").body, "");
        assert!(lines.text().contains(cause), "{action}: {}", lines.text());
    }
}
