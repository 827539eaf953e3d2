//! What the services share, so that each of them speaks only of its own domain.
//!
//! A service is one call of [`serve`] with a function from a [`Call`], which is
//! what of a request counts, to a [`Route`]: a `match` on the path's segments
//! whose arms name the handlers.
//!
//! ```ignore
//! #[http_service]
//! async fn handle(request: Request) -> Response {
//!     service_kit::serve(request, route).await
//! }
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
//! | [`respond`] | from either to a response: validators, CORS and other headers |
//! | [`bundle`] | the data file that is mounted beside a component |
//! | [`sibling`] | calls to other services of the application |

pub mod bundle;
pub mod call;
pub mod problem;
pub mod reply;
pub mod respond;
pub mod route;
pub mod sibling;

pub use bundle::{Bundle, Fields, Parsed, Records, parse};
pub use call::Call;
pub use problem::Problem;
pub use reply::{Answer, Reply};
pub use respond::Response;
pub use route::{Route, get, get_async, serve};
pub use sibling::Sibling;
