//! Every answer that is not a success.

use http::StatusCode;
use serde::Serialize;

use crate::Call;
use crate::reply::pretty;
use crate::respond::METHODS;

/// Why a request gets no success: one variant a status.
///
/// The text of a variant is for the client: what is wrong, and what to do.
/// What must not leave the service is logged, never sent.
#[derive(Debug)]
pub enum Problem {
    /// 400: the request itself is malformed.
    BadRequest(String),
    /// 404: there is no such resource.
    NotFound(String),
    /// 405: the path is known, the method is not one that it has.
    MethodNotAllowed,
    /// 500: the service itself is at fault. The cause goes to the log.
    Internal(String),
    /// 502: the named sibling answered something that makes no sense.
    BadGateway(&'static str),
    /// 503: the named sibling can't be reached, or says that it failed.
    Unavailable(&'static str),
    /// 504: the named sibling did not answer in time.
    GatewayTimeout(&'static str),
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
    /// The status that this problem is sent with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Where the type is described. `about:blank` says that the status is all
    /// there is to it (RFC 9457, section 4.2.1).
    fn r#type(&self) -> &'static str {
        match self {
            Self::BadGateway(_) => "/openapi.json#/components/responses/SiblingNonsense",
            Self::Unavailable(_) => "/openapi.json#/components/responses/SiblingUnavailable",
            Self::GatewayTimeout(_) => "/openapi.json#/components/responses/SiblingTimeout",
            _ => "about:blank",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::BadRequest(detail) | Self::NotFound(detail) => detail.clone(),
            Self::MethodNotAllowed => format!("This path answers to {METHODS}."),
            Self::Internal(_) => "The service can't answer; its log says why.".into(),
            Self::BadGateway(sibling) => {
                format!("The service `{sibling}` gave an answer that makes no sense.")
            }
            Self::Unavailable(sibling) => {
                format!("The service `{sibling}` is not available; try again later.")
            }
            Self::GatewayTimeout(sibling) => {
                format!("The service `{sibling}` did not answer in time; try again later.")
            }
        }
    }

    /// The problem of `call` as the client gets to see it.
    pub(crate) fn document(&self, call: &Call) -> Vec<u8> {
        if let Self::Internal(cause) = self {
            call.log(format_args!("{cause}"));
        }
        let status = self.status();
        let document = Document {
            detail: self.detail(),
            instance: call.path(),
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default(),
            r#type: self.r#type(),
        };
        pretty(&document).unwrap_or_default()
    }
}
