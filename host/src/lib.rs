//! A local stand-in for `spin up`.
//!
//! It serves the Spin HTTP application of a `spin.toml` on an embedded wasmtime.
//! It knows nothing about that application. It is not a second Spin: it does
//! what a manifest like this repository's needs, on the same libraries as Spin,
//! and refuses a manifest that needs more. `host/README.md` lists what it does
//! differently, and shows how to test an application with it.
//!
//! The folders, from top to bottom. Each uses only those below it.

/// Building the components, and loading again what has changed.
mod dev {
    pub mod build;
    pub mod watch;
}

/// From a socket to the application and back.
mod serve {
    pub mod access_log;
    pub mod activity;
    pub mod connection;
    pub mod request_body;
    pub mod server;
}

/// From a manifest to an application, and from a request to a component: on its route or as
/// a chained request.
mod app {
    pub mod compose;
    pub mod dispatch;
    pub mod forward;
    pub mod headers;
    pub mod loader;
    pub mod queue;
    pub mod router;
}

/// The instances of components: compiled, made, used again and ended.
mod runtime {
    pub mod engine;
    pub mod pool;
    pub mod requests;
    pub mod store;
}

/// What a component is given, and what its imports do with it.
mod imports {
    pub mod component;
    pub mod denied;
    pub mod files;
    pub mod network;
    pub mod outbound;
    pub mod sqlite {
        pub mod authorizer;
        pub mod connection;
        pub mod database;
        pub mod interface;
        pub mod statement;
        pub mod values;
    }
    pub mod stdio;
    pub mod variables;
}

/// What clients and components may take of the host.
mod bounds {
    pub mod limits;
    pub mod memory;
    pub mod shares;
}

/// What the host reports of an application: lines of the log, and spans of traces.
mod telemetry {
    pub mod export;
    pub mod log;
    pub mod traces;
}

pub mod manifest;

mod body;
mod error;
mod threads;

pub use app::dispatch::{App, StandIn};
pub use app::loader::Loader;
pub use body::{Body, empty, full};
pub use bounds::limits::{Limits, raise_open_files};
pub use dev::build::Builder;
pub use dev::watch::Watch;
pub use error::Error;
pub use imports::files;
pub use serve::server::{Served, Server};
pub use telemetry::export::Exporter;
pub use telemetry::log::Log;
pub use telemetry::traces::Traces;

/// Its example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
