//! What a fault in `movies` does to the client that caused it, and to all others. The table
//! in bench/README.md has these results.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::scope;
use std::time::{Duration, Instant};

use host::Limits;
use http::{Method, StatusCode};
use serde_json::Value;
use support::{Reply, folder, loader, request};

use crate::{Server, USER, copy_with_faulty_movies, get_as};

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

/// By default, a request has that long for its siblings, and the host lets a component compute
/// for a second more.
const DEADLINE: Duration = Duration::from_secs(2);

/// A fault, what the client gets where `movies` is not composed, and where it is, and whether
/// only after the deadline.
struct Row(&'static str, Got, Got, bool);

const ROWS: [Row; 7] = [
    Row("fail", Problem(503), Problem(503), false),
    Row("reject", Problem(502), Problem(502), false),
    Row("lie", Problem(502), Problem(502), false),
    Row("trap", Problem(503), Bare(500), false),
    Row("grow", Problem(503), Bare(500), false),
    Row("hang", Problem(504), Problem(504), true),
    Row("compute", Problem(504), Bare(500), true),
];

/// The application, and `movies` where that is a server of its own.
struct Topology {
    name: &'static str,
    users: Server,
    _movies: Option<Server>,
}

impl Topology {
    fn all(folder: &Path) -> [Self; 3] {
        let [chained, composed] = ["spin.toml", "spin.composed.toml"].map(|name| folder.join(name));
        let movies = Server::start(&chained, &[]);
        let url = format!("http://{}", movies.address());
        let apart = Server::start(&chained, &[("movies_url", &url)]);
        [
            Self { name: "chained", users: Server::start(&chained, &[]), _movies: None },
            Self { name: "apart", users: apart, _movies: Some(movies) },
            Self { name: "composed", users: Server::start(&composed, &[]), _movies: None },
        ]
    }

    /// Sends a request that needs `movies`, which does what `todo` says.
    fn ask(&self, todo: &'static str) -> Reply {
        self.users.send(get_as(todo, &format!("/users/{USER}/suggested")))
    }

    /// Does `act` while others send requests that do not need `movies`. Gives how many of
    /// those fail.
    fn beside_others(&self, act: impl FnOnce()) -> usize {
        let has_ended = AtomicBool::new(false);
        scope(|scope| {
            let others = (0..8).map(|_| {
                scope.spawn(|| {
                    let mut failed = 0;
                    while !has_ended.load(Relaxed) {
                        // Of a user without bookings, so that `users` asks `bookings` alone.
                        let other = request(Method::GET, "/users/michael_scott/bookings");
                        let reply = self.users.send(other);
                        failed += usize::from(reply.status != StatusCode::NOT_FOUND);
                    }
                    failed
                })
            });
            let others: Vec<_> = others.collect();
            act();
            has_ended.store(true, Relaxed);
            others.into_iter().map(|other| other.join().expect("a count")).sum()
        })
    }
}

#[test]
fn a_fault_of_movies_has_the_effects_in_the_readme_and_then_all_is_well() {
    let copy = copy_with_faulty_movies();
    for topology in Topology::all(copy.path()) {
        let (name, is_composed) = (topology.name, topology.name == "composed");
        // Nothing in Spin ends a component that grows or computes.
        let is_spin = matches!(topology.users, Server::Spin(_));
        let is_bounded = |row: &&Row| !is_spin || !["grow", "compute"].contains(&row.0);
        for Row(fault, apart, composed, is_late) in ROWS.iter().filter(is_bounded) {
            let expected = if is_composed { composed } else { apart };
            let failed = topology.beside_others(|| {
                let start = Instant::now();
                let reply = topology.ask(fault);
                let took = start.elapsed();
                assert_eq!(Got::of(&reply), *expected, "{name}: {fault}: {reply:?}");
                assert_eq!(took >= DEADLINE, *is_late, "{name}: {fault}: {took:?}");
                let next = topology.ask("nothing");
                assert_eq!(next.status, StatusCode::OK, "{name}: after {fault}: {next:?}");
                println!(
                    "{name}: {fault}: {:?} after {took:?}, {:?} until all is well",
                    Got::of(&reply),
                    start.elapsed() - took
                );
            });
            println!("{name}: {fault}: {failed} others failed");
            // One that traps or computes may or may not meet others in its instance.
            let may_fail = is_composed && matches!(expected, Bare(_));
            assert!(failed == 0 || may_fail, "{name}: {fault}: {failed} others failed");
        }
    }
}

#[test]
fn a_hundred_traps_of_movies_fail_other_requests_only_where_it_is_composed() {
    let copy = copy_with_faulty_movies();
    for topology in Topology::all(copy.path()) {
        let failed = topology.beside_others(|| {
            for _ in 0..100 {
                let reply = topology.ask("trap");
                assert!(reply.status.is_server_error(), "{reply:?}");
            }
        });
        println!("{}: {failed} others failed beside 100 traps", topology.name);
        assert_eq!(failed > 0, topology.name == "composed", "{}: {failed}", topology.name);
        let next = topology.ask("nothing");
        assert_eq!(next.status, StatusCode::OK, "{}: {next:?}", topology.name);
    }
}

/// The pool of instances has a memory for each, and a component composed of three has three.
#[test]
fn an_instance_of_a_composed_component_counts_once_for_each_of_its_components() {
    support::application();
    support::composed();
    for (instances, chained, composed) in [(4, 200, 503), (6, 200, 200)] {
        let limits = Limits { instances, ..Limits::default() };
        for (name, expected) in [("spin.toml", chained), ("spin.composed.toml", composed)] {
            let app = loader(&folder(name)).limits(limits).load().expect("an application");
            let reply = support::send(&app, request(Method::GET, "/users"));
            assert_eq!(reply.status, expected, "{name}, {instances} instances: {reply:?}");
        }
    }
}
