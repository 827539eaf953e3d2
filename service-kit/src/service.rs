//! A service: from a request to its route, and from the handler's result to the
//! complete response.

use std::hash::Hasher;

use http::{Method, StatusCode};
use siphasher::sip::SipHasher13;

use crate::problem::Problem;
use crate::request::{Precondition, REQUEST_ID, Request};
use crate::response::Response;
use crate::route::Route;

/// The methods of every route: this application only reads.
const METHODS: &str = "GET, HEAD, OPTIONS";

/// Makes the crate a component that answers HTTP requests by the function
/// `$route`, which is a `fn(&Request) -> Route<'_>`. It adds a module `component` to
/// the crate, from which `super` is the module of the call.
#[macro_export]
macro_rules! service {
    ($route:ident) => {
        $crate::export_http_handler!(async |request| {
            $crate::service::respond(request, super::$route).await
        });
    };
}

/// Answers `request` with the handler that `route` finds for it, and adds the
/// headers that the documentation of this crate lists.
///
/// A HEAD request gets the body of GET. The server, Spin or the local host,
/// leaves it out and keeps its `content-length`.
pub async fn respond(mut request: Request, route: fn(&Request) -> Route<'_>) -> Response {
    let response = if is_preflight(&request) {
        preflight()
    } else {
        match handle(&mut request, route).await {
            Ok(response) => response,
            Err(problem) => failure(&request, &problem),
        }
    };
    response
        .header(REQUEST_ID, request.id)
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
    let route = if has_empty_segment { Route::Unknown } else { route(request) };
    match (route, &request.method) {
        (Route::Get(handler), &Method::GET | &Method::HEAD) => success(request, handler.await?),
        (Route::Get(_), &Method::OPTIONS) => Ok(Response::new(StatusCode::OK)
            .header("allow", METHODS)
            .header("content-length", "0")
            .header("cache-control", "no-store")),
        (Route::Get(_), _) => Err(Problem::MethodNotAllowed(METHODS)),
        (Route::Unknown, _) => Err(Problem::NotFound(
            "No service answers at this path. GET / lists every route.".into(),
        )),
    }
}

/// Whether a browser asks for permission to send another request (the Fetch
/// standard, CORS-preflight request).
fn is_preflight(request: &Request) -> bool {
    request.method == Method::OPTIONS && request.has_header("access-control-request-method")
}

/// Allows to read at any path, even an unknown one, so that the page can read the
/// problem document.
fn preflight() -> Response {
    Response::new(StatusCode::OK)
        .header("access-control-allow-methods", "GET, HEAD")
        .header("access-control-allow-headers", "*")
        .header("access-control-max-age", "86400")
        .header("allow", METHODS)
        .header("content-length", "0")
}

/// Adds the validator to a response, and applies the request's preconditions.
fn success(request: &Request, response: Response) -> Result<Response, Problem> {
    let etag = etag(&response);
    let response = match request.precondition(&etag) {
        Precondition::Met => response,
        // Without a length: it would have to be that of the content (RFC 9110,
        // section 8.6).
        Precondition::NotModified => Response::new(StatusCode::NOT_MODIFIED),
        Precondition::Failed => return Err(Problem::PreconditionFailed),
    };
    // Cacheable, but must be revalidated: the data change with a restart.
    let response = response.header("etag", etag).header("cache-control", "no-cache");
    Ok(if request.accept_was_read() { response.header("vary", "accept") } else { response })
}

/// Logs the cause of `problem`, and makes the response that the client gets.
fn failure(request: &Request, problem: &Problem) -> Response {
    let path = request.path();
    if let Some(cause) = problem.cause() {
        eprintln!("[{}] {} {path}: {cause}", request.id, request.method);
    }
    let response = Response::new(problem.status())
        .content("application/problem+json", problem.document(path))
        // Caches may keep a 404 or 405 otherwise (RFC 9110, section 15.1).
        .header("cache-control", "no-store");
    match problem.header() {
        Some((name, value)) => response.header(name, value),
        None => response,
    }
}

/// A strong validator (RFC 9110, section 8.8.3): different content gets a
/// different tag. The keys of the hash are fixed, so that all instances agree.
fn etag(response: &Response) -> String {
    let mut hasher = SipHasher13::new();
    for (_, value) in &response.headers {
        hasher.write(value.as_bytes());
    }
    hasher.write(&response.body);
    format!("\"{:016x}\"", hasher.finish())
}
