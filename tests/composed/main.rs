//! The same services chained, each in a process of its own, and composed: what is equal, and
//! what a composition loses. `tests/api` compares all that goes well.

mod grants;
mod isolation;
mod manifests;
mod requests;

use std::path::{Path, PathBuf};

use host::{App, Body};
use http::{HeaderValue, Method, Request};
use support::{Reply, request};
use tempfile::TempDir;

/// A user who has booked something.
const USER: &str = "dwight_schrute";

/// A copy of the application, to change its manifests.
fn copy() -> TempDir {
    support::composed();
    support::copy(&support::application())
}

/// A copy in which the service of `tests/faulty` takes the place of `movies`.
fn copy_with_faulty_movies() -> TempDir {
    support::prepare(&support::folder("tests/faulty"));
    let copy = copy();
    for manifest in [chained(&copy), composed(&copy)] {
        support::edit(&manifest, "release/movies.wasm", "release/faulty_movies.wasm");
    }
    copy
}

fn chained(copy: &TempDir) -> PathBuf {
    copy.path().join("spin.toml")
}

fn composed(copy: &TempDir) -> PathBuf {
    copy.path().join("spin.composed.toml")
}

fn load(manifest: &Path) -> App {
    support::loader(manifest).load().expect("an application")
}

fn get(app: &App, path: &str) -> Reply {
    support::send(app, request(Method::GET, path))
}

/// A GET whose id says what `movies` does, if that is the faulty one.
fn get_as(id: &'static str, path: &str) -> Request<Body> {
    let mut request = request(Method::GET, path);
    request.headers_mut().insert("x-request-id", HeaderValue::from_static(id));
    request
}
