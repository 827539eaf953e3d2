//! Errors, one variant for each status.

use http::StatusCode;
use serde::Serialize;

use crate::json::pretty;

/// Why a request fails.
///
/// The client gets a problem document (RFC 9457). That of a 502, 503 or 504 names
/// the sibling that failed. A cause is logged and never sent.
#[derive(Debug)]
pub enum Problem {
    /// 400: the request is malformed; the text is the `detail`.
    BadRequest(String),
    /// 404: there is no such resource; the text is the `detail`.
    NotFound(String),
    /// 405: the path exists, but not for this method. Names the allowed ones.
    MethodNotAllowed(&'static str),
    /// 412: `If-Match` names another version of the resource.
    PreconditionFailed,
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
    r#type: &'static str,
}

impl Problem {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway { .. } => StatusCode::BAD_GATEWAY,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The header that this problem adds to the response: which methods are
    /// allowed, or after how many seconds to try again.
    pub fn header(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MethodNotAllowed(methods) => Some(("allow", methods)),
            Self::Unavailable { .. } | Self::GatewayTimeout { .. } => Some(("retry-after", "1")),
            _ => None,
        }
    }

    /// What the log says of it; nothing where the client is at fault.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Internal(cause) => Some(cause.clone()),
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
            Self::BadRequest(detail) | Self::NotFound(detail) => detail.clone(),
            Self::MethodNotAllowed(methods) => format!("This path allows {methods}."),
            Self::PreconditionFailed => {
                "The resource is not the version that `If-Match` names; GET it again.".into()
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
    fn r#type(&self) -> &'static str {
        match self {
            Self::BadGateway { .. } => "/openapi.json#/components/responses/SiblingNonsense",
            Self::Unavailable { .. } => "/openapi.json#/components/responses/SiblingUnavailable",
            Self::GatewayTimeout { .. } => "/openapi.json#/components/responses/SiblingTimeout",
            _ => "about:blank",
        }
    }
}
