//! A service: from a request to its route, and from the handler's result to the
//! complete response.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    CACHE_CONTROL, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, Method, StatusCode};

use crate::log;
use crate::problem::Problem;
use crate::request::{REQUEST_ID, Request};
use crate::response::Response;
use crate::route::{READ_METHODS, Route, other_method};
use crate::wasi::{self, Incoming, RawRequest, RawResult};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Answers the request that WASI gives to the component `id`, with the handler that
/// `route` finds for it.
///
/// # Errors
/// If the method or the target is not valid. The host turns that into a response.
pub async fn handle(
    request: RawRequest,
    id: &'static str,
    route: fn(&Request) -> Route<'_>,
) -> RawResult {
    log::name(id);
    let Incoming { method, target, headers, body } = wasi::receive(request)?;
    let mut request = Request::new(method, target, headers, body);
    let Response { status, headers, body } = respond(&mut request, id, route).await;
    wasi::respond(status, headers, body, request.into_unread_body())
}

/// Answers `request`, and adds the headers that the documentation of this crate lists.
///
/// A HEAD request gets the body of GET. The server, Spin or the local host,
/// leaves it out and keeps its `content-length`.
async fn respond(
    request: &mut Request,
    id: &'static str,
    route: fn(&Request) -> Route<'_>,
) -> Response {
    let response = if is_preflight(request) {
        preflight()
    } else {
        match dispatch(request, route).await {
            Ok(response) => response,
            Err(problem) => failure(request, &problem),
        }
    };
    response
        .header(REQUEST_ID, request.id.clone())
        .header(SERVER_TIMING, request.timing.header(id))
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .header(ACCESS_CONTROL_EXPOSE_HEADERS, "etag, retry-after, x-request-id")
}

async fn dispatch(
    request: &mut Request,
    route: fn(&Request) -> Route<'_>,
) -> Result<Response, Problem> {
    request.decode_path()?;
    // A variable in a service's `match` would accept the empty segment of
    // `/users//bookings`. No resource has an empty name.
    let has_empty_segment = request.segments().contains(&"");
    let route = if has_empty_segment { Route::NOT_FOUND } else { route(request) };
    let Some(get) = route.get else {
        return Err(Problem::not_found(
            "No service answers at this path. GET / lists every route.",
        ));
    };
    match (&request.method, route.change) {
        (&Method::GET | &Method::HEAD, _) => read(request, get.await?),
        (_, Some(change)) => change.await,
        (_, None) => other_method(request, READ_METHODS),
    }
}

/// Whether a browser asks for permission to send another request (the Fetch
/// standard, CORS-preflight request).
fn is_preflight(request: &Request) -> bool {
    request.method == Method::OPTIONS && request.has_header(&ACCESS_CONTROL_REQUEST_METHOD)
}

/// Allows to read at any path, even an unknown one, so that the page can read the
/// problem document. No page of another origin may write.
fn preflight() -> Response {
    Response::new(StatusCode::OK)
        .header(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD")
        .header(ACCESS_CONTROL_ALLOW_HEADERS, "*")
        .header(ACCESS_CONTROL_MAX_AGE, "86400")
        .header(CONTENT_LENGTH, "0")
}

/// Applies the conditions of the request to the response of a handler of GET.
fn read(request: &Request, response: Response) -> Result<Response, Problem> {
    let conditions = request.conditions();
    let etag = Some(response.etag());
    if !conditions.allow_match(etag) {
        return Err(Problem::precondition_failed());
    }
    let is_current = !conditions.allow_none_match(etag);
    Ok(if is_current { response.not_modified() } else { response })
}

/// Logs the cause of `problem`, and makes the response that the client gets.
fn failure(request: &Request, problem: &Problem) -> Response {
    if let Some(cause) = &problem.cause {
        let message = format!("{} {}: {cause}", request.method, request.path());
        log::error(&request.context(), &message);
    }
    let response = Response::new(problem.status)
        .content("application/problem+json", problem.document(request.path()))
        // Caches may keep a 404 or 405 otherwise (RFC 9110, section 15.1).
        .header(CACHE_CONTROL, "no-store");
    match &problem.header {
        Some((name, value)) => response.header(name.clone(), *value),
        None => response,
    }
}
