//! How instances are reused.

use std::time::Duration;

use host::App;
use http::{Method, Response};

use crate::support::{RUNTIME, request, send};
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
fn an_instance_answers_16_requests_at_the_same_time() {
    // Each request makes its instance say which of its requests it is, to a
    // sibling that lets it wait; the next one is sent only then.
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = tokio::sync::watch::channel(false);
    let app = loader().replace("hidden", move |request| {
        let (said, mut released) = (said.clone(), released.clone());
        async move {
            said.send(request.uri().path().to_owned()).expect("a listener");
            released.wait_for(|released| *released).await.expect("a release");
            Response::new(host::empty())
        }
    });
    let app = app.load().expect("an application");
    RUNTIME.block_on(async {
        let mut requests = Vec::new();
        for expected in (1..=16).chain([1]) {
            let app = app.clone();
            let request = request(Method::GET, &path("meet", ""));
            requests.push(tokio::spawn(async move { app.handle(request).await.status() }));
            assert_eq!(hears.recv().await.expect("a call"), format!("/{expected}"));
        }
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
    assert_eq!((count(&app), count(&app)), (1, 2));
    // Nothing but time makes an instance idle.
    RUNTIME.block_on(async { tokio::time::sleep(Duration::from_millis(1500)).await });
    assert_eq!(count(&app), 1);
}
