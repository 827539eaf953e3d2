//! How instances are reused.

use std::time::{Duration, Instant};

use host::{App, Limits};
use http::Method;
use http_body_util::BodyExt;
use support::{Lines, Reply, request, send};
use tokio::runtime::{Builder, Runtime};

use crate::{expect_call, loader, meeting, path};

fn count(app: &App) -> usize {
    send(app, request(Method::GET, &path("count", ""))).body.parse().expect("a number")
}

/// One thread, as a shard of the server has.
fn shard() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn an_instance_answers_128_requests() {
    let app = loader().load().expect("an application");
    // On a busy machine, an instance may be idle for a second, and end before that.
    let (mut last, mut full) = (0, 0);
    for _ in 0..2000 {
        let next = count(&app);
        assert!(next == 1 || next == last + 1, "{next} after {last}");
        assert!(next <= 128, "{next}");
        (last, full) = (next, full + usize::from(next == 128));
    }
    assert!(full > 0, "no instance answered 128 requests");
}

#[test]
fn an_instance_answers_at_most_16_requests_at_the_same_time() {
    let (app, mut hears, release) = meeting(loader());
    shard().block_on(async {
        let (mut requests, mut counts) = (Vec::new(), Vec::new());
        for _ in 0..64 {
            let (app, request) = (app.clone(), request(Method::GET, &path("meet", "")));
            requests.push(tokio::spawn(async move { app.handle(request).await.status() }));
            // The next one is sent when this one waits, so its instance is free.
            counts.push(expect_call(&mut hears).await);
        }
        assert_eq!(counts, Vec::from_iter((0..4).flat_map(|_| 1..=16)));
        release.send(true).expect("listeners");
        for request in requests {
            assert_eq!(request.await.unwrap(), 200);
        }
    });
}

#[test]
fn a_trap_ends_the_other_requests_of_its_instance_and_no_more() {
    let (app, mut hears, release) = meeting(loader());
    shard().block_on(async {
        let send = |action: &str| {
            let (app, request) = (app.clone(), request(Method::GET, &path(action, "")));
            tokio::spawn(async move { app.handle(request).await.status() })
        };
        let mut meetings = Vec::new();
        for _ in 0..20 {
            meetings.push(send("meet"));
            expect_call(&mut hears).await;
        }
        // The first instance is full, so it is the second one that traps.
        assert_eq!(send("panic").await.unwrap(), 500);
        let (first, second) = meetings.split_at_mut(16);
        for meeting in second {
            assert_eq!(meeting.await.unwrap(), 500);
        }
        release.send(true).expect("listeners");
        for meeting in first {
            assert_eq!(meeting.await.unwrap(), 200);
        }
        assert_eq!(send("count").await.unwrap(), 200);
    });
}

#[test]
fn an_instance_that_trapped_is_not_used_again() {
    let app = loader().load().expect("an application");
    assert_eq!(count(&app), 1);
    assert_eq!(send(&app, request(Method::GET, &path("panic", ""))).status, 500);
    assert_eq!(count(&app), 1);
}

#[test]
fn an_idle_instance_ends_after_a_second() {
    let app = loader().load().expect("an application");
    let count = async || {
        let app = app.clone();
        let request = request(Method::GET, &path("count", ""));
        let reply = tokio::spawn(async move { Reply::of(app.handle(request).await).await });
        reply.await.unwrap().body
    };
    // A runtime of its own, which no other test keeps busy.
    shard().block_on(async {
        assert_eq!(count().await, "1");
        // Unless the machine was busy for a second.
        while count().await == "1" {}
        // Nothing but time makes an instance idle.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(count().await, "1");
    });
}

#[test]
fn an_instance_with_a_task_that_goes_on_takes_no_new_requests_after_a_while() {
    let lines = Lines::default();
    let after_response = Duration::from_secs(2);
    let limits = Limits { after_response, ..Limits::default() };
    let app = loader().limits(limits).log(lines.log()).load().expect("an application");
    shard().block_on(async {
        let ask = |action: &'static str, argument: &'static str| {
            let (app, request) = (app.clone(), request(Method::GET, &path(action, argument)));
            tokio::spawn(async move { Reply::of(app.handle(request).await).await.body })
        };
        assert_eq!(ask("go-on", "60000").await.unwrap(), "1");
        // In the same instance; one of them takes longer than its task may go on.
        let slow = ask("sleep", "5000");
        while !lines.text().contains("sleeping") {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask("count", "").await.unwrap(), "2");
        tokio::time::sleep(after_response + Duration::from_millis(500)).await;
        assert_eq!(ask("count", "").await.unwrap(), "1", "another instance");
        assert_eq!(slow.await.unwrap(), "3", "the request that it had is answered");
        let start = Instant::now();
        while !lines.text().contains("a task went on for 2s after the last response") {
            assert!(start.elapsed() < Duration::from_secs(30), "{}", lines.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn a_response_that_is_still_read_keeps_its_permit_and_its_instance() {
    let after_response = Duration::from_secs(1);
    let request_wait = Duration::from_millis(200);
    let limits = Limits { requests: 1, after_response, request_wait, ..Limits::default() };
    let app = loader().limits(limits).load().expect("an application");
    shard().block_on(async {
        let ask = |action: &'static str, argument: &'static str| {
            let (app, request) = (app.clone(), request(Method::GET, &path(action, argument)));
            tokio::spawn(async move { app.handle(request).await })
        };
        let mut events = ask("repeat", "10").await.unwrap();
        let start = Instant::now();
        while start.elapsed() < 3 * after_response {
            events.body_mut().frame().await.expect("no end").expect("a part");
        }
        assert_eq!(ask("count", "").await.unwrap().status(), 503);
        drop(events);
        assert_eq!(ask("count", "").await.unwrap().status(), 200);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_applications_of_a_process_share_one_engine() {
    let _apps = [loader().load().expect("an application"), loader().load().expect("another")];
    let threads = std::fs::read_dir("/proc/self/task").expect("threads");
    let names =
        threads.flatten().filter_map(|one| std::fs::read_to_string(one.path().join("comm")).ok());
    // Each engine has a thread that makes running instances pause.
    assert_eq!(names.filter(|name| name.trim() == "epochs").count(), 1);
}
