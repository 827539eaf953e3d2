//! The contract of the application, tested from outside: one file for each
//! service, and the conventions that all of them follow.
//!
//! Runs against the components in this process or, with `APP_URL` set, against
//! the server there: `APP_URL=http://127.0.0.1:3000 cargo test --test api`.

mod architecture;
mod bookings;
mod calls;
mod conventions;
mod data;
mod database;
mod deadlines;
mod exactness;
mod failures;
mod home;
mod logs;
mod movies;
mod numbers;
mod openapi;
mod robustness;
mod showtimes;
mod siblings;
mod timing;
mod todo_lists;
mod todo_users;
mod users;
mod writes;

use std::cell::Cell;
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use host::{App, Body, Loader};
use http::{HeaderMap, Method, Request, StatusCode};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::PrettyFormatter;
use support::{Reply, application, data};

/// A loader of the application, for tests that change something about it.
fn loader() -> Loader {
    support::loader(&application())
}

/// What was asked, as far as it decides what may be answered.
#[derive(Debug)]
pub struct Sent {
    method: Method,
    path: String,
    /// Whether a browser asks for permission to send another request (CORS).
    is_preflight: bool,
}

impl Sent {
    fn of<B>(request: &Request<B>) -> Self {
        let asks = request.headers().contains_key("access-control-request-method");
        Self {
            method: request.method().clone(),
            path: request.uri().to_string(),
            is_preflight: request.method() == Method::OPTIONS && asks,
        }
    }
}

/// Excludes tests that write to the shared application while others use it.
static SHARED: RwLock<()> = RwLock::new(());

thread_local! {
    /// Held by the thread of a test from its first request to its end.
    static SHARING: Cell<Option<Sharing>> = const { Cell::new(None) };
}

#[expect(dead_code, reason = "guards are held, not read")]
enum Sharing {
    Readers(RwLockReadGuard<'static, ()>),
    Writer(RwLockWriteGuard<'static, ()>),
}

/// Waits until no other test uses the shared application, and keeps them waiting until
/// this test ends. It must leave all data as it was.
fn write_alone() {
    drop(SHARING.take());
    let guard = SHARED.write().unwrap_or_else(PoisonError::into_inner);
    SHARING.set(Some(Sharing::Writer(guard)));
}

/// Sends a request to the application, whose components are chained, and to the one of
/// `spin.composed.toml`, which must answer the same. Or else to the server at `APP_URL`.
fn send(request: Request<Body>) -> Reply {
    let sharing = SHARING
        .take()
        .unwrap_or_else(|| Sharing::Readers(SHARED.read().unwrap_or_else(PoisonError::into_inner)));
    SHARING.set(Some(sharing));
    static CHAINED: LazyLock<App> = LazyLock::new(|| loader().load().expect("an application"));
    static COMPOSED: LazyLock<App> = LazyLock::new(|| {
        support::loader(&support::composed()).load().expect("a composed application")
    });
    let sent = Sent::of(&request);
    let reply = match std::env::var("APP_URL") {
        Ok(_) => support::send_anywhere(&CHAINED, request),
        Err(_) => {
            let (request, again) = support::twice(request);
            let chained = support::send(&CHAINED, request);
            let composed = support::send(&COMPOSED, again);
            assert_eq!(comparable(&composed), comparable(&chained), "composed, chained: {sent:?}");
            chained
        }
    };
    check_conventions(&sent, &reply);
    reply
}

/// A reply without what differs from one request to the next: how long it took, and its id.
/// `conventions.rs` tests that the id is the one that was sent.
fn comparable(reply: &Reply) -> (StatusCode, HeaderMap, &str) {
    let mut headers = reply.headers.clone();
    headers.remove("server-timing");
    headers.remove("x-request-id");
    (reply.status, headers, &reply.body)
}

/// Sends a request to an application of a test's own.
fn send_to(app: &App, request: Request<Body>) -> Reply {
    let sent = Sent::of(&request);
    let reply = support::send(app, request);
    check_conventions(&sent, &reply);
    reply
}

/// Sends a GET to an application of a test's own.
fn get_from(app: &App, path: &str) -> Reply {
    send_to(app, support::request(Method::GET, path))
}

fn get(path: &str) -> Reply {
    send(support::request(Method::GET, path))
}

/// The JSON of a successful GET.
fn get_json(path: &str) -> Value {
    let reply = get(path);
    assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
    assert_eq!(reply.header("content-type"), "application/json", "{path}");
    reply.json()
}

/// Checks the problem document of a response, and gives its `detail`.
#[track_caller]
fn expect_problem(reply: &Reply, status: u16, path: &str) -> String {
    assert_eq!(reply.status, status, "{path}: {reply:?}");
    assert_eq!(reply.header("content-type"), "application/problem+json", "{path}");
    let problem = reply.json();
    assert_eq!(problem["status"], status, "{path}");
    assert_eq!(problem["instance"], path.split('?').next().unwrap(), "{path}");
    assert_eq!(problem["title"], reply.status.canonical_reason().unwrap(), "{path}");
    let has_type = status == 409 || (502..=504).contains(&status);
    assert_eq!(problem["type"] == "about:blank", !has_type, "{path}");
    problem["detail"].as_str().expect("a detail").to_owned()
}

/// The `detail` of the problem that a GET of `path` gets.
#[track_caller]
fn get_problem(path: &str, status: u16) -> String {
    expect_problem(&get(path), status, path)
}

/// Checks what holds for every response of every service.
fn check_conventions(sent: &Sent, reply: &Reply) {
    openapi::check(sent, reply);
    if reply.status == StatusCode::NOT_MODIFIED {
        assert_eq!((reply.header("content-length"), reply.body.as_str()), ("", ""));
        return;
    }
    if reply.status == StatusCode::NO_CONTENT {
        assert_eq!((reply.header("content-length"), reply.body.as_str()), ("", ""));
        return;
    }
    let length: usize = reply.header("content-length").parse().expect("a content-length");
    if sent.method == Method::HEAD {
        assert_eq!(reply.body, "");
        return;
    }
    assert_eq!(length, reply.body.len());
    if reply.header("content-type").ends_with("json") {
        assert_eq!(reply.body, pretty(&reply.json()), "JSON is sorted and indented by four");
    }
}

/// `value` as the services write JSON.
fn pretty(value: &Value) -> String {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
        .expect("JSON");
    String::from_utf8(text).expect("UTF-8") + "\n"
}
