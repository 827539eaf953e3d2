//! Errors, one variant for each status.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

use crate::json::pretty;

/// Why a request fails.
///
/// The client gets a problem document (RFC 9457). That of a 502, 503 or 504 names
/// the sibling that failed. A cause is logged and never sent.
#[derive(Clone, Debug)]
pub enum Problem {
    /// 400: the request is malformed; the text is the `detail`.
    BadRequest(String),
    /// 401: the request lacks the token that a write needs.
    Unauthorized,
    /// 404: there is no such resource; the text is the `detail`.
    NotFound(String),
    /// 405: the path exists, but not for this method. Names the allowed ones.
    MethodNotAllowed(&'static str),
    /// 409: the state of the resource does not allow it.
    Conflict {
        /// The name of the response in the description of the API.
        response: &'static str,
        /// The `detail`.
        detail: String,
    },
    /// 412: the resource does not meet the conditions of the request.
    PreconditionFailed,
    /// 413: the body is longer than this number of bytes.
    ContentTooLarge(usize),
    /// 415: the body is not declared as JSON.
    UnsupportedMediaType,
    /// 422: the JSON of the body has the wrong shape; the text is the `detail`.
    UnprocessableContent(String),
    /// 500: the service itself is at fault; the text is the cause.
    Internal(String),
    /// 502: the sibling's response can't be used.
    BadGateway {
        /// The component id of the sibling.
        sibling: &'static str,
        /// What is wrong with its response.
        cause: String,
    },
    /// 503: the sibling can't be reached, or answered with a 5xx.
    Unavailable {
        /// The component id of the sibling.
        sibling: &'static str,
        /// Why there is no response.
        cause: String,
    },
    /// 503: the database can't be used; the text is the cause.
    DatabaseUnavailable(String),
    /// 504: the sibling did not answer before the deadline.
    GatewayTimeout {
        /// The component id of the sibling.
        sibling: &'static str,
        /// The deadline that passed.
        cause: String,
    },
}

/// The members of RFC 9457, section 3.1.
#[derive(Serialize)]
struct Document<'a> {
    detail: String,
    instance: &'a str,
    status: u16,
    title: &'static str,
    r#type: Cow<'static, str>,
}

impl Problem {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::ContentTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UnprocessableContent(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway { .. } => StatusCode::BAD_GATEWAY,
            Self::Unavailable { .. } | Self::DatabaseUnavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::GatewayTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The header that this problem adds to the response: how to authenticate, which
    /// methods are allowed, or after how many seconds to try again.
    pub fn header(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Unauthorized => Some(("www-authenticate", "Bearer")),
            Self::MethodNotAllowed(methods) => Some(("allow", methods)),
            Self::Unavailable { .. }
            | Self::DatabaseUnavailable(_)
            | Self::GatewayTimeout { .. } => Some(("retry-after", "1")),
            _ => None,
        }
    }

    /// What the log says of it; nothing where the client is at fault.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Internal(cause) => Some(cause.clone()),
            Self::DatabaseUnavailable(cause) => Some(format!("the database: {cause}")),
            Self::BadGateway { sibling, cause }
            | Self::Unavailable { sibling, cause }
            | Self::GatewayTimeout { sibling, cause } => Some(format!("{sibling}: {cause}")),
            _ => None,
        }
    }

    /// The problem document for a request to `path`, as JSON.
    pub fn document(&self, path: &str) -> Vec<u8> {
        let status = self.status();
        let document = Document {
            detail: self.detail(),
            instance: path,
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            r#type: self.r#type(),
        };
        // Strings and a number: this can't fail.
        pretty(&document).unwrap_or_default()
    }

    fn detail(&self) -> String {
        match self {
            Self::BadRequest(detail)
            | Self::NotFound(detail)
            | Self::Conflict { detail, .. }
            | Self::UnprocessableContent(detail) => detail.clone(),
            Self::Unauthorized => {
                "A write needs the token of this application, as `Authorization: Bearer <token>`."
                    .into()
            }
            Self::MethodNotAllowed(methods) => format!("This path allows {methods}."),
            Self::PreconditionFailed => {
                "The resource is not as `If-Match` or `If-None-Match` demands; GET it again.".into()
            }
            Self::ContentTooLarge(limit) => {
                format!("The body is longer than {limit} bytes, the most that is accepted.")
            }
            Self::UnsupportedMediaType => {
                "The body must be JSON, with `Content-Type: application/json`; `curl --json` sends it."
                    .into()
            }
            Self::DatabaseUnavailable(_) => {
                "The database of this service is not available; try again later.".into()
            }
            Self::Internal(_) => "The service failed; its log says why.".into(),
            Self::BadGateway { sibling, .. } => {
                format!("The service `{sibling}` sent a response that can't be used.")
            }
            Self::Unavailable { sibling, .. } => {
                format!("The service `{sibling}` is not available; try again later.")
            }
            Self::GatewayTimeout { sibling, .. } => {
                format!("The service `{sibling}` did not answer in time; try again later.")
            }
        }
    }

    /// Where the type is described. `about:blank` means that the status says it
    /// all (RFC 9457, section 4.2.1).
    fn r#type(&self) -> Cow<'static, str> {
        let response = match self {
            Self::Conflict { response, .. } => response,
            Self::BadGateway { .. } => "SiblingNonsense",
            Self::Unavailable { .. } => "SiblingUnavailable",
            Self::DatabaseUnavailable(_) => "DatabaseUnavailable",
            Self::GatewayTimeout { .. } => "SiblingTimeout",
            _ => return "about:blank".into(),
        };
        format!("/openapi.json#/components/responses/{response}").into()
    }
}
