//! From an answer to the response: the headers that HTTP asks for.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW,
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use spin_sdk::http::FullBody;

use crate::call::REQUEST_ID;
use crate::{Answer, Call, Problem, Reply};

/// What an entry point gives back to Spin.
pub type Response = spin_sdk::http::Response<FullBody<Bytes>>;

/// The methods of every route: the whole application is read-only.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";

/// The response to `call`, of which `answer` is the content.
///
/// To a HEAD request it has the whole body: the server in front, Spin or the
/// local host, leaves it out and keeps its `content-length`.
pub(crate) fn respond(call: &Call, answer: Answer) -> Response {
    let mut response = match answer {
        Ok(reply) => success(call, reply),
        Err(problem) => failure(call, problem),
    };
    add_common(call, response.headers_mut());
    response
}

/// Adds the headers that every response has.
fn add_common(call: &Call, headers: &mut HeaderMap) {
    headers.insert(REQUEST_ID, call.request_id.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag, x-request-id"));
}

/// The response to an OPTIONS request for a path that there is, of a browser
/// that asks for leave perhaps (the Fetch standard, CORS-preflight request).
pub(crate) fn options(call: &Call) -> Response {
    let mut response = Response::default();
    let headers = response.headers_mut();
    add_common(call, headers);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(ALLOW, HeaderValue::from_static(METHODS));
    if call.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    }
    response
}

fn success(call: &Call, reply: Reply) -> Response {
    let etag = etag(&reply);
    let mut response = if call.has(&etag) {
        // Without a length: it would have to be that of the content
        // (RFC 9110, section 8.6).
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        content(StatusCode::OK, reply.content_type, reply.body)
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    // To be kept, and to be asked about: another file needs only a restart.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if reply.varies {
        headers.insert(VARY, HeaderValue::from_static("accept"));
    }
    response
}

fn failure(call: &Call, problem: Problem) -> Response {
    let body = problem.document(call);
    let mut response = content(problem.status(), "application/problem+json", body);
    if let Problem::MethodNotAllowed = problem {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    response
}

/// Sets `content-length`, which the SDK does not: without it HTTP/1.1 is
/// chunked and goes out in two writes, and a client that keeps the connection
/// waits for the delayed acknowledgement of the first.
fn content(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let length = body.len();
    let mut response = Response::new(FullBody::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, length.into());
    response
}

/// A strong validator (RFC 9110, section 8.8.3): other content, other tag.
fn etag(reply: &Reply) -> String {
    // Of fixed keys, so that all instances agree.
    let mut hasher = DefaultHasher::new();
    hasher.write(reply.content_type.as_bytes());
    hasher.write(&reply.body);
    format!("\"{:016x}\"", hasher.finish())
}
