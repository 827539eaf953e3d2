//! How instances are reused.

use std::time::Duration;

use host::App;
use http::{Method, Response};
use tokio::runtime::Runtime;

use crate::support::{RUNTIME, Reply, request, send};
use crate::{loader, path};

fn count(app: &App) -> usize {
    send(app, request(Method::GET, &path("count", ""))).body.parse().expect("a number")
}

#[test]
fn an_instance_answers_128_requests() {
    let app = loader().load().expect("an application");
    let counts: Vec<_> = (0..300).map(|_| count(&app)).collect();
    let expected: Vec<_> = (1..=128).chain(1..=128).chain(1..=44).collect();
    assert_eq!(counts, expected);
}

#[test]
fn an_instance_answers_16_requests_at_the_same_time_at_most() {
    // Each request makes its instance say which of its requests it is, to a
    // sibling that lets it wait; the next one is sent only then.
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = tokio::sync::watch::channel(false);
    let app = loader().replace("hidden", move |request| {
        let (said, mut released) = (said.clone(), released.clone());
        async move {
            let count: usize = request.uri().path()[1..].parse().expect("a number");
            said.send(count).expect("a listener");
            released.wait_for(|released| *released).await.expect("a release");
            Response::new(host::empty())
        }
    });
    let app = app.load().expect("an application");
    RUNTIME.block_on(async {
        let (mut requests, mut counts) = (Vec::new(), Vec::new());
        for _ in 0..64 {
            let app = app.clone();
            let request = request(Method::GET, &path("meet", ""));
            requests.push(tokio::spawn(async move { app.handle(request).await.status() }));
            counts.push(hears.recv().await.expect("a call"));
        }
        // An instance that is busy just then is not given the next request, so
        // there may be more than four of them.
        let most = counts.iter().max().expect("counts");
        assert!((2..=16).contains(most), "{counts:?}");
        assert!(counts.iter().filter(|count| **count == 1).count() >= 4, "{counts:?}");
        release.send(true).expect("listeners");
        for request in requests {
            assert_eq!(request.await.unwrap(), 200);
        }
    });
}

#[test]
fn an_instance_that_panicked_is_not_used_again() {
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
    // On a runtime of its own, which no other test keeps busy.
    Runtime::new().unwrap().block_on(async {
        assert_eq!((count().await, count().await), ("1".to_owned(), "2".to_owned()));
        // Nothing but time makes an instance idle.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(count().await, "1");
    });
}
