//! The host, with an application made for testing it (`tests/guest`).
//!
//! What Spin does too also runs against a server of that application:
//! `APP_URL=http://127.0.0.1:3000 cargo test --test host`.

mod bodies;
mod bounds;
mod calls;
mod files;
mod forward;
mod http2;
mod instances;
mod limits;
mod logging;
mod manifest;
mod network;
mod options;
mod routing;
mod server;
mod serving;
mod sqlite;
mod sqlite_limits;
mod watching;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use host::{App, Body, Loader};
use http::{Method, Request, Response};
use serde_json::Value;
use support::{Reply, request};
use tokio::sync::{mpsc, watch};

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

/// The command that serves the application whose manifest is at the path `manifest`.
fn command(manifest: &Path) -> Command {
    let mut command = support::process::host();
    command.arg("--from").arg(manifest);
    command
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

/// An application whose action `meet` tells its sibling which of its instance's
/// requests it is, and waits there until it is released.
fn meeting(loader: Loader) -> (App, mpsc::UnboundedReceiver<usize>, watch::Sender<bool>) {
    let (said, hears) = mpsc::unbounded_channel();
    let (release, released) = watch::channel(false);
    let app = loader.replace("hidden", move |request| {
        let (said, mut released) = (said.clone(), released.clone());
        async move {
            let count = request.uri().path()[1..].parse().expect("a number");
            said.send(count).expect("a listener");
            released.wait_for(|released| *released).await.expect("a release");
            Response::new(host::empty())
        }
    });
    (app.load().expect("an application"), hears, release)
}

/// Waits until a request of [`meeting`] has come to the sibling, and gives what it
/// says.
async fn expect_call(hears: &mut mpsc::UnboundedReceiver<usize>) -> usize {
    let call = tokio::time::timeout(Duration::from_secs(60), hears.recv()).await;
    call.expect("in time").expect("a call")
}

/// The last value of a header, as the guest saw it.
fn seen(shown: &Value, name: &str) -> Option<String> {
    let headers = shown["headers"].as_array().expect("headers").iter().rev();
    let mut values = headers.filter(|header| header[0] == name);
    values.next().map(|header| header[1].as_str().expect("a value").to_owned())
}
