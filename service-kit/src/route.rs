//! From a path to its handler.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::Method;
use spin_sdk::http::{FullBody, Request};

use crate::reply::{Answer, Reply};
use crate::{Call, Problem};

/// What an entry point gives back to Spin.
pub type Response = spin_sdk::http::Response<FullBody<Bytes>>;

/// The methods of every route: the whole application is read-only.
const METHODS: &str = "GET, HEAD";

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

/// Answers `request` with the handler that `route` finds for it, or with the
/// problem that it has.
///
/// A HEAD request gets the whole body here: the server in front, Spin or the
/// local host, leaves it out and keeps its `content-length`.
pub async fn serve(request: Request, route: impl FnOnce(&Call) -> Route<'_>) -> Response {
    let uri = request.uri();
    let answer = match Call::new(uri) {
        Ok(call) => answer(request.method(), route(&call)).await,
        Err(problem) => Err(problem),
    };
    answer.unwrap_or_else(|problem| problem.into_reply(uri.path())).into()
}

async fn answer(method: &Method, route: Route<'_>) -> Result<Reply, Problem> {
    match route {
        Route::Unknown => Err(Problem::NotFound(
            "No service answers at this path. GET / lists every route.".into(),
        )),
        Route::Get(handler) if [Method::GET, Method::HEAD].contains(method) => handler.await,
        Route::Get(_) => Err(Problem::MethodNotAllowed(METHODS)),
    }
}
