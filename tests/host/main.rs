//! The host, with an application made for testing it (`tests/guest`).
//!
//! What Spin does too also runs against a server of that application:
//! `APP_URL=http://127.0.0.1:3000 cargo test --test host`.

mod calls;
mod files;
mod instances;
mod limits;
mod manifest;
mod routing;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::sync::LazyLock;

use host::{App, Body, Loader};
use http::{Method, Request};
use serde_json::Value;
use support::{Reply, request};

/// The test application, ready to be loaded.
fn guest() -> PathBuf {
    static BUILT: LazyLock<()> =
        LazyLock::new(|| support::prepare(&support::folder("tests/guest")));
    LazyLock::force(&BUILT);
    support::folder("tests/guest")
}

fn loader() -> Loader {
    support::loader(&guest())
}

fn send(request: Request<Body>) -> Reply {
    static APP: LazyLock<App> = LazyLock::new(|| loader().load().expect("an application"));
    support::send_anywhere(&APP, request)
}

/// A path that asks the guest for an action.
fn path(action: &str, argument: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("do", action)
        .append_pair("with", argument)
        .finish();
    format!("/guest?{query}")
}

/// What the guest answers if it is asked for an action.
fn ask(action: &str, argument: &str) -> Reply {
    send(request(Method::GET, &path(action, argument)))
}

/// The last value of a header, as the guest saw it.
fn seen(shown: &Value, name: &str) -> Option<String> {
    let headers = shown["headers"].as_array().expect("headers").iter().rev();
    let mut values = headers.filter(|header| header[0] == name);
    values.next().map(|header| header[1].as_str().expect("a value").to_owned())
}
