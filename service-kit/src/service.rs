//! A service: from a request to its route, and from the handler's result to the
//! complete response.

use http::{Method, StatusCode};

use crate::log;
use crate::problem::Problem;
use crate::request::{REQUEST_ID, Request};
use crate::response::Response;
use crate::route::Route;

/// The methods of a route that only reads.
const READS: &str = "GET, HEAD, OPTIONS";

/// The methods of a route that writes, too.
const WRITES: &str = "DELETE, GET, HEAD, OPTIONS, PUT";

/// Makes the crate a component that answers HTTP requests by the function
/// `$route`, which is a `fn(&Request) -> Route<'_>`. The crate's name must be the id of
/// the component. Adds a module `component` to the crate, from which `super` is the
/// module of the call.
#[macro_export]
macro_rules! service {
    ($route:ident) => {
        $crate::export_http_handler!(async |request: &mut $crate::Request| {
            $crate::service::respond(request, env!("CARGO_PKG_NAME"), super::$route).await
        });
    };
}

/// Answers `request` with the handler that `route` finds for it, and adds the
/// headers that the documentation of this crate lists. `id` is that of the component.
///
/// A HEAD request gets the body of GET. The server, Spin or the local host,
/// leaves it out and keeps its `content-length`.
pub async fn respond(
    request: &mut Request,
    id: &'static str,
    route: fn(&Request) -> Route<'_>,
) -> Response {
    log::name(id);
    let response = if is_preflight(request) {
        preflight()
    } else {
        match handle(request, route).await {
            Ok(response) => response,
            Err(problem) => failure(request, &problem).await,
        }
    };
    response
        .header(REQUEST_ID, request.id.clone())
        .header("server-timing", request.timing.header(id))
        .header("x-content-type-options", "nosniff")
        .header("access-control-allow-origin", "*")
        .header("access-control-expose-headers", "etag, retry-after, x-request-id")
}

async fn handle(
    request: &mut Request,
    route: fn(&Request) -> Route<'_>,
) -> Result<Response, Problem> {
    request.decode_path()?;
    // A variable in a service's `match` would accept the empty segment of
    // `/users//bookings`. No resource has an empty name.
    let has_empty_segment = request.segments().contains(&"");
    let route = if has_empty_segment { Route::UNKNOWN } else { route(request) };
    let Some(get) = route.get else {
        return Err(Problem::NotFound(
            "No service answers at this path. GET / lists every route.".into(),
        ));
    };
    if let Method::GET | Method::HEAD = request.method {
        return read(request, get.await?);
    }
    let (are_possible, handler) = match route.writes {
        None => (Ok(false), None),
        Some(writes) => {
            let handler = match request.method {
                Method::PUT => Some((writes.are_allowed, writes.put)),
                Method::DELETE => Some((writes.are_allowed, writes.delete)),
                _ => None,
            };
            (writes.are_possible.await, handler)
        }
    };
    // A database that can't be used at the moment forbids no method.
    let allow = if let Ok(false) = are_possible { READS } else { WRITES };
    match handler {
        Some((are_allowed, handler)) if allow == WRITES => {
            are_allowed.await?;
            are_possible?;
            handler.await.map(validated)
        }
        _ if request.method == Method::OPTIONS => Ok(Response::new(StatusCode::OK)
            .header("allow", allow)
            .header("content-length", "0")
            .header("cache-control", "no-store")),
        _ => Err(Problem::MethodNotAllowed(allow)),
    }
}

/// Whether a browser asks for permission to send another request (the Fetch
/// standard, CORS-preflight request).
fn is_preflight(request: &Request) -> bool {
    request.method == Method::OPTIONS && request.has_header("access-control-request-method")
}

/// Allows to read at any path, even an unknown one, so that the page can read the
/// problem document. No page of another origin may write.
fn preflight() -> Response {
    Response::new(StatusCode::OK)
        .header("access-control-allow-methods", "GET, HEAD")
        .header("access-control-allow-headers", "*")
        .header("access-control-max-age", "86400")
        .header("content-length", "0")
}

/// Applies the conditions of the request to the response of a handler of GET.
fn read(request: &Request, response: Response) -> Result<Response, Problem> {
    let conditions = request.conditions();
    let etag = Some(response.etag());
    if !conditions.allow_match(etag) {
        return Err(Problem::PreconditionFailed);
    }
    let response = if conditions.allow_none_match(etag) {
        response
    } else {
        // Without a length: it would have to be that of the content (RFC 9110,
        // section 8.6).
        Response::new(StatusCode::NOT_MODIFIED).with_etag(response.etag())
    };
    let response = validated(response);
    Ok(if request.accept_was_read() { response.header("vary", "accept") } else { response })
}

/// Adds the validator to a successful response.
fn validated(mut response: Response) -> Response {
    let etag = response.etag.take();
    // Cacheable, but must be revalidated: the data change.
    let response = response.header("cache-control", "no-cache");
    match etag {
        Some(etag) => response.header("etag", etag),
        None => response,
    }
}

/// Logs the cause of `problem`, and makes the response that the client gets.
async fn failure(request: &Request, problem: &Problem) -> Response {
    if let Some(cause) = problem.cause() {
        log::error(request, &cause).await;
    }
    let path = request.path();
    let response = Response::new(problem.status())
        .content("application/problem+json", problem.document(path))
        // Caches may keep a 404 or 405 otherwise (RFC 9110, section 15.1).
        .header("cache-control", "no-store");
    match problem.header() {
        Some((name, value)) => response.header(name, value),
        None => response,
    }
}
