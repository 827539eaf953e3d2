//! What the services share, so that each of them speaks only of its own domain.
//!
//! A service is one function from a [`Call`], which is what of a request counts,
//! to a [`Route`]: a `match` on the path's segments whose arms name the
//! handlers. [`service!`] makes a component of it.
//!
//! ```ignore
//! service!(route);
//!
//! fn route(call: &Call) -> Route<'_> {
//!     match call.segments()[..] {
//!         ["movies"] => get(|| all_movies(MOVIES.get()?)),
//!         ["movies", id] => get(move || movie(MOVIES.get()?, id)),
//!         _ => Route::Unknown,
//!     }
//! }
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | [`call`] | the request as handlers see it: decoded segments, query parameters |
//! | [`route`] | from path to handler; what any path and method get without one |
//! | [`reply`] | the successful answer: JSON for people, text or a page |
//! | [`problem`] | every other answer: one variant of [`Problem`] a status |
//! | `rendered` | successful answers, kept for whoever asks for the same again |
//! | `respond` | from either to a response: validators, CORS and other headers |
//! | [`bundle`] | the data file that is mounted beside a component |
//! | [`sibling`] | calls to other services of the application |
//! | [`wasi`] | where all of that meets the host |

pub mod bundle;
pub mod call;
pub mod problem;
mod rendered;
pub mod reply;
mod respond;
pub mod route;
pub mod sibling;
pub mod wasi;

pub use bundle::{Bundle, Fields, Parsed, Record, Records, parse};
pub use call::Call;
pub use problem::Problem;
pub use reply::{Answer, Reply};
pub use route::{Route, get, get_async};
pub use sibling::Sibling;

#[doc(hidden)]
pub use spin_sdk;
