//! What a service answers at a path.

use futures::future::LocalBoxFuture;

use crate::problem::Problem;
use crate::response::Response;

/// The handlers of a path.
///
/// A handler is a future, which does nothing before it is awaited. So a request
/// with another method costs nothing.
pub enum Route<'a> {
    /// The handler of GET and HEAD.
    Get(Handler<'a>),
    /// No service answers at this path.
    Unknown,
}

/// The handler of one method.
pub type Handler<'a> = LocalBoxFuture<'a, Result<Response, Problem>>;

/// A path with a handler of GET and HEAD.
pub fn get<'a>(handler: impl Future<Output = Result<Response, Problem>> + 'a) -> Route<'a> {
    Route::Get(Box::pin(handler))
}
