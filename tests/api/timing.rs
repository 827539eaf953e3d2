//! `Server-Timing`: how long each service says that it and its siblings took.

use std::collections::BTreeSet;

use http::Method;
use support::{Reply, request};

use crate::architecture::{component_of, manifest};
use crate::openapi::{operations, reads};
use crate::writes::{BOOKING, app};
use crate::{get, send, send_to};

/// How far rounding to hundredths of a millisecond can move an end.
const ROUNDING: f64 = 0.02;

/// An entry of the header, in milliseconds.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    duration: f64,
    /// Since the service began to answer.
    start: f64,
    pub has_failed: bool,
}

impl Entry {
    pub fn end(&self) -> f64 {
        self.start + self.duration
    }
}

/// The service, and then its siblings, in the order in which they ended.
pub fn entries(reply: &Reply) -> Vec<Entry> {
    let entries = reply.header("server-timing").split(", ").map(|entry| {
        let mut parts = entry.split(';');
        let name = parts.next().expect("a name").to_owned();
        let mut number = |start: &str| parts.next()?.strip_prefix(start)?.parse().ok();
        let duration = number("dur=").expect("a duration");
        let start = number("start=").unwrap_or_default();
        Entry { name, duration, start, has_failed: parts.next() == Some("desc=failed") }
    });
    entries.collect()
}

fn names(reply: &Reply) -> Vec<String> {
    entries(reply).into_iter().map(|entry| entry.name).collect()
}

#[test]
fn every_response_names_its_service_and_then_the_siblings_that_it_asked() {
    let manifest = manifest();
    let app = app();
    for operation in operations() {
        let reply = send_to(&app, operation.request(&operation.example));
        let names = names(&reply);
        let (service, siblings) = names.split_first().expect("a service");
        assert_eq!(*service, component_of(&manifest, operation.path), "{}", operation.path);
        let siblings: BTreeSet<_> = siblings.iter().map(String::as_str).collect();
        let asked = operation.asks.iter().copied().collect();
        assert_eq!(siblings, asked, "{} {}", operation.method, operation.path);
    }
}

#[test]
fn a_response_that_asks_nobody_names_only_its_service() {
    for (method, path, service) in [
        (Method::GET, "/nope", "home"),
        (Method::POST, "/users", "users"),
        (Method::OPTIONS, "/users/chris_rivers/bookings", "users"),
        (Method::GET, "/users/nobody/bookings", "users"),
        (Method::GET, "/users/%FF/bookings", "users"),
        (Method::DELETE, BOOKING, "bookings"),
    ] {
        assert_eq!(names(&send(request(method, path))), [service], "{path}");
    }
    let mut fresh = request(Method::GET, "/movies");
    fresh.headers_mut().insert("if-none-match", "*".parse().unwrap());
    let not_modified = send(fresh);
    assert_eq!((not_modified.status.as_u16(), names(&not_modified)), (304, vec!["movies".into()]));
    let mut preflight = request(Method::OPTIONS, "/movies");
    preflight.headers_mut().insert("access-control-request-method", "GET".parse().unwrap());
    assert_eq!(names(&send(preflight)), ["movies"]);
}

#[test]
fn a_service_asks_its_siblings_after_it_began_and_before_it_ended() {
    for operation in reads() {
        let entries = entries(&get(&operation.example));
        let (service, siblings) = entries.split_first().expect("a service");
        for sibling in siblings {
            assert!(
                sibling.end() <= service.duration + ROUNDING,
                "{}: {entries:?}",
                operation.path
            );
        }
    }
}

#[test]
fn the_movies_of_bookings_are_asked_for_after_the_bookings_and_for_suggestions_at_once() {
    let asked = |path| {
        let mut entries = entries(&get(path));
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let [bookings, movies, _] = <[_; 3]>::try_from(entries).expect("two siblings");
        assert_eq!([&bookings.name[..], &movies.name], ["bookings", "movies"]);
        (bookings, movies)
    };
    let (bookings, movies) = asked("/users/dwight_schrute/bookings");
    assert!(movies.start >= bookings.end() - ROUNDING, "{bookings:?}, {movies:?}");
    let (bookings, movies) = asked("/users/dwight_schrute/suggested");
    assert!(movies.start < bookings.end(), "{bookings:?}, {movies:?}");
}
