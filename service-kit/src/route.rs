//! From a path to its handler.

use futures::future::LocalBoxFuture;
use http::Method;

use crate::rendered::{self, Rendered};
use crate::respond::{Response, options, respond};
use crate::sibling::in_time;
use crate::{Answer, Call, Problem};

/// Who answers a path.
///
/// The handler has not begun yet, so that a method that the path does not have
/// costs nothing.
pub enum Route<'a> {
    /// No handler: the path is not this service's.
    Unknown,
    /// The handler of GET, and with it of HEAD. It is not asked twice for the
    /// same: its answer must depend on nothing but the path, the query and, if the
    /// reply says so, what the client accepts.
    Get(Box<dyn FnOnce() -> Answer + 'a>),
    /// A handler that asks siblings, each time anew.
    GetAsync(LocalBoxFuture<'a, Answer>),
}

/// A route whose handler needs nobody else.
pub fn get<'a>(handler: impl FnOnce() -> Answer + 'a) -> Route<'a> {
    Route::Get(Box::new(handler))
}

/// A route whose handler asks siblings on behalf of `call`, all of them within
/// one deadline.
pub fn get_async<'a>(call: &'a Call, handler: impl Future<Output = Answer> + 'a) -> Route<'a> {
    Route::GetAsync(Box::pin(in_time(call, handler)))
}

/// Answers `call` with the handler that `route` finds for it, or with the
/// problem that it has.
pub(crate) async fn answer(mut call: Call, route: fn(&Call) -> Route<'_>) -> Response {
    if let Err(problem) = call.decode() {
        return respond(&call, Err(problem));
    }
    let rendered = match (route(&call), &call.method) {
        (Route::Unknown, _) => Err(Problem::NotFound(
            "No service answers at this path. GET / lists every route.".into(),
        )),
        (Route::Get(handler), &Method::GET | &Method::HEAD) => rendered::once(&call, handler),
        (Route::GetAsync(handler), &Method::GET | &Method::HEAD) => {
            handler.await.map(Rendered::new)
        }
        (_, &Method::OPTIONS) => return options(&call),
        _ => Err(Problem::MethodNotAllowed),
    };
    respond(&call, rendered)
}
