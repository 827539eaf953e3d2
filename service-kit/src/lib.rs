//! Code that the services share, so that each service contains only its own domain.
//!
//! A service exports WASI's handler, which calls [`handle`] with a function from a
//! [`Request`] to a [`Route`]: a `match` on the segments of the path, whose arms name the
//! handlers. A handler returns a [`Response`] or a [`Problem`].
//!
//! ```no_run
//! use service_kit::{DataFile, Problem, Records, Request, Response, Route, get, records};
//! use wasip3::exports::http::handler::Guest;
//! use wasip3::http::types::{self, ErrorCode};
//!
//! struct Service;
//!
//! impl Guest for Service {
//!     async fn handle(request: types::Request) -> Result<types::Response, ErrorCode> {
//!         service_kit::handle(request, env!("CARGO_PKG_NAME"), route).await
//!     }
//! }
//!
//! wasip3::http::service::export!(Service);
//!
//! static MOVIES: DataFile<Records<Movie>> = DataFile::new("data/movies.json", records);
//!
//! #[derive(serde::Deserialize)]
//! struct Movie {
//!     title: String,
//! }
//!
//! fn route(request: &Request) -> Route<'_> {
//!     match request.segments()[..] {
//!         ["movies"] => get(async { Response::json(MOVIES.read()?) }),
//!         ["movies", id] => get(async move { show_title(id) }),
//!         _ => Route::NOT_FOUND,
//!     }
//! }
//!
//! fn show_title(id: &str) -> Result<Response, Problem> {
//!     let movie = MOVIES.read()?.get(id).ok_or_else(|| Problem::not_found("No such movie."))?;
//!     Response::json(&movie.known.title)
//! }
//! ```
//!
//! A route has a handler of GET and HEAD and, if it [changes](Route::put_and_delete) a
//! [`Table`], one of PUT and one of DELETE. The texts of problems refer to `/` and
//! `/openapi.json`, which the component `home` serves.
//!
//! The kit adds these headers to the responses of a service:
//!
//! | header | on | value |
//! |---|---|---|
//! | `x-request-id` | all | the valid one of the request, or a random one |
//! | `server-timing` | all | how long the service took, and each sibling that it asked |
//! | `x-content-type-options` | all | `nosniff` |
//! | `access-control-allow-origin` | all | `*`: a page of any origin may read |
//! | `access-control-expose-headers` | all | `etag, retry-after, x-request-id` |
//! | `content-type` | all with a body | what the handler returned, or `application/problem+json` |
//! | `content-length` | all except 204 and 304 | the length of the body in bytes |
//! | `content-location` | successful PUTs | the path of what the response shows |
//! | `cache-control` | successes, 304 | `no-cache`: revalidate with the `etag` |
//! | | problems, OPTIONS except preflights | `no-store` |
//! | `etag` | successes with a body, 304 | a hash of content-type and body |
//! | `content-security-policy` | HTML pages | nothing from another origin, no inline script or style |
//! | `vary` | successes and 304 of `/`, which [depend on it](Response::varies_by_accept) | `accept` |
//! | `allow` | 405, OPTIONS except preflights | the methods of the path |
//! | `www-authenticate` | 401 | `Bearer` |
//! | `retry-after` | 503, 504 | `1`, in seconds |
//! | `access-control-allow-methods`, `-allow-headers`, `-max-age` | CORS preflights | `GET, HEAD`, `*`, a day |
//!
//! A read whose `If-None-Match` has the current `etag` gets a 304, and one whose
//! `If-Match` lacks it a 412. A handler of PUT or DELETE checks [`Request::conditions`]
//! itself. A write needs the token in the variable `write_token`, if that is not empty; in a
//! component that lacks the variable, every write is a 500.
//!
//! Each response of 500 or more writes a line to standard error: a JSON object with the
//! request's id, and a message with method, path and cause. For a call, the message has the name
//! of the function instead of method and path. A sibling gets the request's id, and its trace
//! (`traceparent` and `tracestate`); one that is composed with the service gets id and
//! `traceparent` as a [`Context`].
//!
//! The kit keeps nothing about a request. A [`DataFile`], a [`Table`] and a [`Variable`]
//! are `static`s of the service, and keep what they have read or opened for as long as
//! the instance lives.

pub mod call;
pub mod conditions;
pub mod context;
pub mod data_file;
mod database;
mod json;
mod log;
pub mod problem;
pub mod request;
pub mod response;
pub mod route;
pub mod service;
pub mod sibling;
pub mod table;
mod timing;
mod unique_keys;
pub mod variable;
pub mod wasi;

pub use call::{CallError, ComposedSibling};
pub use conditions::Conditions;
pub use context::Context;
pub use data_file::{DataFile, Record, Records, parse, records};
pub use problem::Problem;
pub use request::Request;
pub use response::Response;
pub use route::{Route, get};
pub use service::handle;
pub use sibling::Sibling;
pub use table::{Row, Table, Value};
pub use variable::Variable;
