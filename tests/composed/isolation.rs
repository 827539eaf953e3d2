//! What a fault in `movies` does to the client that caused it, and to all others. The table
//! in README.md has these results.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use host::{App, Limits};
use http::{Method, StatusCode};
use serde_json::Value;
use support::{Reply, Served, folder, loader, request, send, serve};

use crate::{USER, copy_with_faulty_movies, get_as, load};

/// What the client gets: a problem document with that status, or that status without a body.
#[derive(Debug, PartialEq)]
enum Got {
    Problem(u16),
    Bare(u16),
}

use Got::{Bare, Problem};

impl Got {
    fn of(reply: &Reply) -> Self {
        let status = reply.status.as_u16();
        if reply.body.is_empty() {
            return Bare(status);
        }
        assert_eq!(reply.json()["status"], Value::from(status), "{reply:?}");
        Problem(status)
    }
}

/// A fault, what the client gets where `movies` is a component or a process of its own, and
/// where it is composed, each with the seconds that it takes.
type Row = (&'static str, (Got, Range<f64>), (Got, Range<f64>));

/// By default, a request has 2 s for its siblings, and a component 3 s to compute. Busy
/// machines need a little more.
const ROWS: [Row; 7] = [
    ("fail", (Problem(503), 0.0..1.5), (Problem(503), 0.0..1.5)),
    ("reject", (Problem(502), 0.0..1.5), (Problem(502), 0.0..1.5)),
    ("trap", (Problem(503), 0.0..1.5), (Bare(500), 0.0..1.5)),
    ("lie", (Problem(502), 0.0..1.5), (Problem(502), 0.0..1.5)),
    ("hang", (Problem(504), 2.0..3.5), (Problem(504), 2.0..3.5)),
    ("compute", (Problem(504), 2.0..3.5), (Bare(500), 3.0..6.0)),
    ("grow", (Problem(503), 0.0..2.0), (Bare(500), 0.0..2.0)),
];

/// The application, and `movies` where that is a process of its own.
struct Topology {
    name: &'static str,
    app: App,
    _movies: Option<Served>,
}

fn topologies(folder: &Path) -> [Topology; 3] {
    let [chained, composed] = ["spin.toml", "spin.composed.toml"].map(|name| folder.join(name));
    let movies = serve(loader(&chained).select("movies").load().expect("the component"));
    let url = format!("http://{}", movies.address);
    let apart = loader(&chained).variable("movies_url", &url).load().expect("an application");
    [
        Topology { name: "chained", app: load(&chained), _movies: None },
        Topology { name: "apart", app: apart, _movies: Some(movies) },
        Topology { name: "composed", app: load(&composed), _movies: None },
    ]
}

#[test]
fn a_fault_of_movies_is_a_problem_where_it_is_apart_and_a_failure_of_users_where_it_is_composed() {
    let copy = copy_with_faulty_movies();
    let topologies = topologies(copy.path());
    std::thread::scope(|scope| {
        for Topology { name, app, .. } in &topologies {
            scope.spawn(move || {
                for (fault, apart, composed) in ROWS {
                    let (expected, seconds) = if *name == "composed" { composed } else { apart };
                    let start = Instant::now();
                    let reply = send(app, get_as(fault, &path("suggested")));
                    let took = start.elapsed();
                    assert_eq!(Got::of(&reply), expected, "{name}: {fault}: {reply:?}");
                    assert!(seconds.contains(&took.as_secs_f64()), "{name}: {fault}: {took:?}");
                    let next = send(app, get_as("well", &path("suggested")));
                    assert_eq!(next.status, StatusCode::OK, "{name}: after {fault}: {next:?}");
                    let well = start.elapsed();
                    println!("{name}: {fault}: {expected:?} after {took:?}, well after {well:?}");
                }
            });
        }
    });
}

fn path(resource: &str) -> String {
    format!("/users/{USER}/{resource}")
}

/// How many requests fail that do not need `movies`, while a hundred others make it trap.
fn failures_beside_traps(app: &App) -> usize {
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others = (0..16).map(|_| {
            scope.spawn(|| {
                let mut failed = 0;
                while !has_ended.load(Relaxed) {
                    // Of a user without bookings, so that `users` asks `bookings` alone.
                    let other = request(Method::GET, "/users/michael_scott/bookings");
                    let reply = send(app, other);
                    failed += usize::from(reply.status != StatusCode::NOT_FOUND);
                }
                failed
            })
        });
        let others: Vec<_> = others.collect();
        for _ in 0..100 {
            let reply = send(app, get_as("trap", &path("suggested")));
            assert!(reply.status.is_server_error(), "{reply:?}");
        }
        has_ended.store(true, Relaxed);
        others.into_iter().map(|other| other.join().expect("a count")).sum()
    })
}

#[test]
fn a_hundred_traps_of_movies_fail_other_requests_only_where_it_is_composed() {
    let copy = copy_with_faulty_movies();
    for Topology { name, app, .. } in &topologies(copy.path()) {
        let failures = failures_beside_traps(app);
        println!("{name}: {failures} other requests failed beside 100 traps");
        assert_eq!(failures > 0, *name == "composed", "{name}: {failures}");
        let next = send(app, get_as("well", &path("suggested")));
        assert_eq!(next.status, StatusCode::OK, "{name}: {next:?}");
    }
}

/// The pool of instances has a memory for each, and a component composed of three has three.
#[test]
fn an_instance_of_a_composed_component_counts_once_for_each_of_its_components() {
    for (instances, chained, composed) in [(4, 200, 503), (6, 200, 200)] {
        let limits = Limits { instances, ..Limits::default() };
        for (name, expected) in [("spin.toml", chained), ("spin.composed.toml", composed)] {
            support::composed();
            let app = loader(&folder(name)).limits(limits).load().expect("an application");
            let reply = send(&app, request(Method::GET, "/users"));
            assert_eq!(reply.status, expected, "{name}, {instances} instances: {reply:?}");
        }
    }
}
