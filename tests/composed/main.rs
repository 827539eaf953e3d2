//! The same services chained, apart and composed: what differs. `tests/api` compares all that
//! goes well.
//!
//! With the path of Spin in the variable `SPIN`, `grants.rs` and `isolation.rs` test that.

mod grants;
mod isolation;
mod manifests;
mod requests;

use std::path::{Path, PathBuf};

use host::Body;
use http::{HeaderValue, Method, Request};
use support::process::Spin;
use support::{Reply, Served, loader, request, send_to, serve};
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

/// An application that is served by this process, or by Spin.
enum Server {
    Here(Served),
    Spin(Spin),
}

impl Server {
    fn start(manifest: &Path, variables: &[(&str, &str)]) -> Self {
        let Some(spin) = std::env::var_os("SPIN").map(PathBuf::from) else {
            let loader = variables
                .iter()
                .fold(loader(manifest), |loader, (name, value)| loader.variable(name, value));
            return Self::Here(serve(loader.load().expect("an application")));
        };
        Self::Spin(Spin::start(&spin, manifest, |command, _| {
            for (name, value) in variables {
                command.args(["--variable", &format!("{name}={value}")]);
            }
        }))
    }

    fn address(&self) -> &str {
        match self {
            Self::Here(served) => &served.address,
            Self::Spin(spin) => &spin.address,
        }
    }

    fn send(&self, request: Request<Body>) -> Reply {
        send_to(self.address(), request)
    }

    fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path))
    }
}

/// A GET whose id says what `movies` does, if that is the faulty one.
fn get_as(id: &'static str, path: &str) -> Request<Body> {
    let mut request = request(Method::GET, path);
    request.headers_mut().insert("x-request-id", HeaderValue::from_static(id));
    request
}
