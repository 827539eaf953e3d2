//! Errors, which clients get as problem documents (RFC 9457).

use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use serde::Serialize;

use crate::json::pretty;

/// Why a request fails. There is a function for each status.
///
/// A cause is logged and never sent. The document of a 502, 503 or 504 names the sibling
/// that failed, or the database, and nothing else.
#[derive(Debug)]
pub struct Problem {
    /// The status of the response.
    pub status: StatusCode,
    /// What the client is told.
    pub(crate) detail: String,
    /// The name of the response in the description of the API, if the status does not say
    /// it all.
    response_name: Option<&'static str>,
    /// A header that the status demands.
    pub(crate) header: Option<(HeaderName, &'static str)>,
    /// What the log says; nothing where the client is at fault.
    pub(crate) cause: Option<String>,
}

/// The members of RFC 9457, section 3.1.
#[derive(Serialize)]
struct Document<'a> {
    detail: &'a str,
    instance: &'a str,
    status: u16,
    title: &'static str,
    r#type: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), response_name: None, header: None, cause: None }
    }

    /// 400: the request is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: the request lacks the token that a write needs.
    pub fn unauthorized() -> Self {
        let detail =
            "A write needs the token of this application, as `Authorization: Bearer <token>`.";
        let header = Some((WWW_AUTHENTICATE, "Bearer"));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 404: there is no such resource.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the path exists, but allows only `methods`.
    pub fn method_not_allowed(methods: &'static str) -> Self {
        let detail = format!("This path allows {methods}.");
        let header = Some((ALLOW, methods));
        Self { header, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// 408: the body did not arrive in time.
    pub fn request_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time.")
    }

    /// 409: the state of the resource does not allow it. `response_name` is that of a
    /// response in `components/home/openapi.json`.
    pub fn conflict(response_name: &'static str, detail: impl Into<String>) -> Self {
        Self { response_name: Some(response_name), ..Self::new(StatusCode::CONFLICT, detail) }
    }

    /// 412: the resource does not meet the conditions of the request.
    pub fn precondition_failed() -> Self {
        let detail = "The resource is not as `If-Match` or `If-None-Match` demands; GET it again.";
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413: the body is longer than `limit` bytes.
    pub fn content_too_large(limit: usize) -> Self {
        let detail = format!("The body is longer than {limit} bytes, the most that is accepted.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the body is not declared as JSON.
    pub fn unsupported_media_type() -> Self {
        let detail =
            "The body must be JSON, with `Content-Type: application/json`; `curl --json` sends it.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 422: the JSON of the body has the wrong shape.
    pub fn unprocessable_content(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 500: the service itself is at fault.
    pub fn internal(cause: impl ToString) -> Self {
        let detail = "The service failed; its log says why.";
        let cause = Some(cause.to_string());
        Self { cause, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail) }
    }

    /// 502: the response of `sibling` can't be used.
    pub fn bad_gateway(sibling: &str, cause: impl ToString) -> Self {
        let detail = format!("The service `{sibling}` sent a response that can't be used.");
        let problem = Self::new(StatusCode::BAD_GATEWAY, detail);
        Self { response_name: Some("SiblingBadResponse"), ..problem }.caused_by(sibling, cause)
    }

    /// 503: `sibling` can't be reached, or answered with a 5xx.
    pub fn sibling_unavailable(sibling: &str, cause: impl ToString) -> Self {
        let detail = format!("The service `{sibling}` is not available; try again later.");
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).try_again();
        Self { response_name: Some("SiblingUnavailable"), ..problem }.caused_by(sibling, cause)
    }

    /// 503: the database can't be used.
    pub fn database_unavailable(cause: impl ToString) -> Self {
        let detail = "The database of this service is not available; try again later.";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).try_again();
        Self { response_name: Some("DatabaseUnavailable"), ..problem }
            .caused_by("the database", cause)
    }

    /// 504: `sibling` did not answer before the deadline.
    pub fn gateway_timeout(sibling: &str, cause: impl ToString) -> Self {
        let detail = format!("The service `{sibling}` did not answer in time; try again later.");
        let problem = Self::new(StatusCode::GATEWAY_TIMEOUT, detail).try_again();
        Self { response_name: Some("SiblingTimeout"), ..problem }.caused_by(sibling, cause)
    }

    /// Adds `Retry-After`, in seconds.
    fn try_again(self) -> Self {
        Self { header: Some((RETRY_AFTER, "1")), ..self }
    }

    fn caused_by(self, who: &str, cause: impl ToString) -> Self {
        Self { cause: Some(format!("{who}: {}", cause.to_string())), ..self }
    }

    /// The problem document for a request to `path`, as JSON.
    pub(crate) fn document(&self, path: &str) -> Vec<u8> {
        let document = Document {
            detail: &self.detail,
            instance: path,
            status: self.status.as_u16(),
            title: self.status.canonical_reason().unwrap_or_default(),
            // `about:blank`: the status says it all (RFC 9457, section 4.2.1).
            r#type: self.response_name.map_or("about:blank".to_owned(), |response| {
                format!("/openapi.json#/components/responses/{response}")
            }),
        };
        // Strings and a number: this can't fail.
        pretty(&document).unwrap_or_default()
    }
}
