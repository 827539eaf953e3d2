//! A local stand-in for `spin up`.
//!
//! Serves the Spin HTTP application of a `spin.toml` on an embedded wasmtime.
//! It knows nothing of the application that it serves, and it is no second
//! Spin: it does what a manifest like this repository's needs, as Spin does it
//! and on the same libraries, and says so clearly where a manifest needs more.
//!
//! ```no_run
//! # async fn run() -> anyhow::Result<()> {
//! let app = host::App::load("spin.toml".as_ref())?;
//! let request = http::Request::get("/movies").body(host::empty())?;
//! let response = app.handle(request).await;
//! # Ok(()) }
//! ```
//!
//! A request goes from top to bottom:
//!
//! | module | what it does |
//! |---|---|
//! | [`server`], `shard` | connections: from a socket to an [`App`] and back, on a thread for each core |
//! | [`App`] | one request: to its component, on its route or as a chained call |
//! | `router`, `headers` | which component, and what it is told of the request |
//! | `instance` | running it: engine, limits, instances that are reused |
//! | `outbound`, `variables` | the calls that it makes in its turn, what it may ask for |
//!
//! and before the first one: [`prepare`] makes the binaries, with a compiler that
//! `toolchain` finds, [`manifest`] reads `spin.toml`, and `files` copies what
//! components see.

mod app;
pub mod files;
mod headers;
mod instance;
mod log;
pub mod manifest;
mod outbound;
pub mod prepare;
mod router;
pub mod server;
mod shard;
mod toolchain;
mod variables;

pub use app::{App, Loader, StandIn};
pub use instance::Limits;
pub use log::Log;

use bytes::Bytes;
use http_body_util::BodyExt;

/// The body of a request or a response.
pub type Body = wasmtime_wasi_http::WasiBody;

/// A body without content.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body with `content`.
pub fn full(content: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}
