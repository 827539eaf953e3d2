//! How long a request waits for its siblings, and for its body.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use host::App;
use support::{Lines, edit};

use crate::calls::{LATE, SHORT, answer, calls, lines_of, now};
use crate::writes::LIST;
use crate::{application, expect_problem, get_from, loader, send_to};

#[test]
fn a_slow_sibling_is_waited_for_until_the_deadline() {
    for call in calls() {
        let healthy = loader().load().expect("an application");
        let app = loader().variable("sibling_deadline_ms", "20000").replace(
            call.sibling,
            move |request| {
                let healthy = healthy.clone();
                async move {
                    tokio::time::sleep(SHORT).await;
                    healthy.handle(request).await
                }
            },
        );
        let reply = send_to(&app.load().unwrap(), call.request());
        assert_eq!(reply.status, call.success(), "{} at {call}", call.sibling);
    }
}

#[test]
fn the_deadline_is_two_seconds_by_default() {
    let app = loader().replace("movies", |_| std::future::pending()).load().unwrap();
    expect_default_deadline(&app);
}

#[test]
fn the_deadline_of_a_component_that_does_not_declare_the_variable_is_two_seconds() {
    let copy = support::copy(&application());
    let declaration = "sibling_deadline_ms = \"{{ sibling_deadline_ms }}\"\n";
    edit(&copy.path().join("spin.toml"), declaration, "");
    let app = support::loader(copy.path()).load().unwrap();
    for call in calls() {
        assert!(send_to(&app, call.request()).status.is_success(), "{call}");
    }
    let app = support::loader(copy.path()).replace("movies", |_| std::future::pending());
    expect_default_deadline(&app.load().unwrap());
}

/// Checks the deadline of an application whose component `movies` is silent.
#[track_caller]
fn expect_default_deadline(app: &App) {
    let start = Instant::now();
    let path = "/users/dwight_schrute/suggested";
    expect_problem(&get_from(app, path), 504, path);
    let default = Duration::from_secs(2);
    assert!((default..default + LATE).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn a_504_names_the_sibling_that_did_not_answer() {
    let app = loader()
        .variable("sibling_deadline_ms", &SHORT.as_millis().to_string())
        .replace("bookings", |_| now(answer(404, "application/problem+json", "{}")))
        .replace("movies", |_| std::future::pending());
    let path = "/users/dwight_schrute/suggested";
    let detail = expect_problem(&get_from(&app.load().unwrap(), path), 504, path);
    assert!(detail.contains("`movies`"), "{detail}");
}

#[test]
fn all_siblings_of_a_request_share_one_deadline() {
    let (healthy, slow) = (loader().load().unwrap(), SHORT * 2 / 3);
    let slowly = move |request| {
        let healthy = healthy.clone();
        async move {
            tokio::time::sleep(slow).await;
            healthy.handle(request).await
        }
    };
    let app = loader()
        .variable("sibling_deadline_ms", &SHORT.as_millis().to_string())
        .replace("bookings", slowly.clone())
        .replace("movies", slowly);
    let app = app.load().unwrap();
    // Both are in time if they are asked at once, but not one after the other.
    assert_eq!(get_from(&app, "/users/dwight_schrute/suggested").status, 200);
    let path = "/users/dwight_schrute/bookings";
    expect_problem(&get_from(&app, path), 504, path);
}

#[test]
fn a_deadline_that_is_not_a_number_is_500_and_logged() {
    for value in ["soon", "", "-1", "2.5"] {
        let lines = Lines::default();
        let app = loader().log(lines.log()).variable("sibling_deadline_ms", value).load().unwrap();
        for call in calls() {
            let path = &call.path;
            let reply = send_to(&app, call.request());
            let detail = expect_problem(&reply, 500, path);
            assert!(!detail.contains("sibling_deadline_ms"), "{detail}");
            let id = reply.header("x-request-id");
            let cause = format!(
                "[{id}] {call}: the variable `sibling_deadline_ms` must be a number of \
                 milliseconds; got {value:?}"
            );
            assert!(lines_of(path, &lines).contains(&cause), "no {cause}: {}", lines.text());
        }
        assert_eq!(get_from(&app, "/users").status, 200);
    }
}

#[test]
fn a_body_that_drips_is_408() {
    let served = support::serve(loader().load().expect("an application"));
    let mut stream = served.connect();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let head = format!(
        "PUT {LIST} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: 100\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let start = Instant::now();
    let mut answer = vec![0; 12];
    // A byte a second, until there is an answer.
    while stream.write_all(b" ").is_ok() && stream.read_exact(&mut answer).is_err() {
        assert!(start.elapsed() < Duration::from_secs(50), "no answer");
    }
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    assert!(start.elapsed() >= Duration::from_secs(9), "{:?}", start.elapsed());
}
