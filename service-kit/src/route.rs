//! From a path to its handler.

use std::pin::Pin;

use http::Method;

use crate::respond::{Response, options, respond};
use crate::{Answer, Call, Problem};

/// Who answers a path.
///
/// The handler has not begun yet, so that a method that the path does not have
/// costs nothing.
pub enum Route<'a> {
    /// No handler: the path is not this service's.
    Unknown,
    /// The handler of GET, and with it of HEAD.
    Get(Pin<Box<dyn Future<Output = Answer> + 'a>>),
}

/// A route whose handler needs nobody else.
pub fn get<'a>(handler: impl FnOnce() -> Answer + 'a) -> Route<'a> {
    get_async(async { handler() })
}

/// A route whose handler waits, for siblings say.
pub fn get_async<'a>(handler: impl Future<Output = Answer> + 'a) -> Route<'a> {
    Route::Get(Box::pin(handler))
}

/// Answers `call` with the handler that `route` finds for it, or with the
/// problem that it has.
pub(crate) async fn answer(mut call: Call, route: fn(&Call) -> Route<'_>) -> Response {
    if let Err(problem) = call.decode() {
        return respond(&call, Err(problem));
    }
    let answer = match (route(&call), &call.method) {
        (Route::Unknown, _) => Err(Problem::NotFound(
            "No service answers at this path. GET / lists every route.".into(),
        )),
        (Route::Get(handler), &Method::GET | &Method::HEAD) => handler.await,
        (Route::Get(_), &Method::OPTIONS) => return options(&call),
        (Route::Get(_), _) => Err(Problem::MethodNotAllowed),
    };
    respond(&call, answer)
}
