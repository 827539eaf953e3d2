//! A local stand-in for `spin up`.
//!
//! It serves the Spin HTTP application of a `spin.toml` on an embedded wasmtime.
//! It knows nothing about that application. It is not a second Spin: it does
//! what a manifest like this repository's needs, on the same libraries as Spin,
//! and refuses a manifest that needs more. `host/README.md` lists what it does
//! differently, and shows how to test an application with it.
//!
//! The modules, from top to bottom. Each uses only those in its own row and in the
//! rows below.
//!
//! | module | what is in it |
//! |---|---|
//! | [`watch`] | building and loading again what has changed |
//! | [`server`], `connection`, `access_log` | from a socket to the application and back |
//! | [`prepare`], `toolchain` | building the components, and the compiler's target |
//! | [`Loader`] | from a manifest to an application |
//! | [`App`] | from a request to a component, on its route or as a chained request |
//! | `instance`, `ticket` | the instances of a component, and the requests in them |
//! | `engine` | compiling components, and what they import |
//! | `variables`, [`files`], `sqlite`, `outbound` | what a component may ask for, see, keep and call |
//! | [`traces`] | spans of requests, and their export |
//! | `database`, `network` | the file of SQLite, and the connections to other servers |
//! | `statement`, `authorizer`, `values` | where a statement runs, what it may do, and its rows |
//! | `memory`, `shares` | what an instance takes, and what all components share |
//! | [`manifest`] | `spin.toml` |
//! | `headers`, `router` | what a component is told, and which one gets a request |
//! | `shard` | a thread for each core |
//! | `allowed_hosts`, `names`, [`limits`], `log`, [`output`], `body` | what the others share |

mod access_log;
mod allowed_hosts;
mod app;
mod authorizer;
mod body;
mod connection;
mod database;
mod engine;
pub mod files;
mod headers;
mod instance;
pub mod limits;
mod loader;
mod log;
pub mod manifest;
mod memory;
mod names;
mod network;
mod outbound;
pub mod output;
pub mod prepare;
mod router;
pub mod server;
mod shard;
mod shares;
mod sqlite;
mod statement;
mod ticket;
mod toolchain;
pub mod traces;
mod values;
mod variables;
pub mod watch;

pub use app::{App, StandIn};
pub use body::{Body, empty, full};
pub use limits::Limits;
pub use loader::Loader;
pub use log::Log;

/// Its example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
