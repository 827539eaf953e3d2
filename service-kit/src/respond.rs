//! From an answer to the response: the headers that HTTP asks for.

use std::rc::Rc;

use http::StatusCode;

use crate::call::REQUEST_ID;
use crate::rendered::Rendered;
use crate::{Call, Problem};

/// The methods of every route: the whole application is read-only.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";

/// A response, in the shape in which WASI takes it.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// One with the headers that every response has.
    fn new(call: &Call, status: StatusCode) -> Self {
        Self { status, headers: Vec::with_capacity(10), body: Vec::new() }
            .with(REQUEST_ID, call.request_id.as_str())
            .with("x-content-type-options", "nosniff")
            .with("access-control-allow-origin", "*")
            .with("access-control-expose-headers", "etag, x-request-id")
    }

    fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets `content-length`, which WASI does not: without it HTTP/1.1 is
    /// chunked and goes out in two writes, and a client that keeps the
    /// connection waits for the delayed acknowledgement of the first.
    fn with_content(self, content_type: &str, body: Vec<u8>) -> Self {
        let response =
            self.with("content-type", content_type).with("content-length", body.len().to_string());
        Self { body, ..response }
    }
}

/// The response to `call`, of which `rendered` is the content.
///
/// To a HEAD request it has the whole body: the server in front, Spin or the
/// local host, leaves it out and keeps its `content-length`.
pub(crate) fn respond(call: &Call, rendered: Result<Rc<Rendered>, Problem>) -> Response {
    match rendered {
        Ok(rendered) => success(call, &rendered),
        Err(problem) => failure(call, problem),
    }
}

/// The response to an OPTIONS request for a path that there is, of a browser
/// that asks for leave perhaps (the Fetch standard, CORS-preflight request).
pub(crate) fn options(call: &Call) -> Response {
    let response =
        Response::new(call, StatusCode::OK).with("content-length", "0").with("allow", METHODS);
    if !call.has_header("access-control-request-method") {
        return response;
    }
    response
        .with("access-control-allow-methods", "GET, HEAD")
        .with("access-control-allow-headers", "*")
        .with("access-control-max-age", "86400")
}

fn success(call: &Call, Rendered { reply, etag }: &Rendered) -> Response {
    let response = if call.has(etag) {
        // Without a length: it would have to be that of the content
        // (RFC 9110, section 8.6).
        Response::new(call, StatusCode::NOT_MODIFIED)
    } else {
        Response::new(call, StatusCode::OK).with_content(reply.content_type, reply.body.clone())
    };
    // To be kept, and to be asked about: another file needs only a restart.
    let response = response.with("etag", etag.as_str()).with("cache-control", "no-cache");
    if reply.varies { response.with("vary", "accept") } else { response }
}

fn failure(call: &Call, problem: Problem) -> Response {
    let response = Response::new(call, problem.status())
        .with_content("application/problem+json", problem.document(call));
    match problem {
        Problem::MethodNotAllowed => response.with("allow", METHODS),
        _ => response,
    }
}
