//! Every answer that is not a success.

use http::StatusCode;
use serde::Serialize;

use crate::reply::{Reply, pretty};

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
    /// 405: the path is known, the method is not one of those given.
    MethodNotAllowed(&'static str),
    /// 500: the service itself is at fault. The cause goes to the log.
    Internal(anyhow::Error),
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
    /// Says that the status is all there is to the type (section 4.2.1).
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    instance: &'a str,
}

impl Problem {
    /// The status that this problem is sent with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::BadRequest(detail) | Self::NotFound(detail) => detail.clone(),
            Self::MethodNotAllowed(methods) => format!("This path answers to {methods}."),
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

    /// The problem as a reply about the path `instance`.
    pub(crate) fn into_reply(self, instance: &str) -> Reply {
        if let Self::Internal(cause) = &self {
            eprintln!("{instance}: {cause:#}");
        }
        let status = self.status();
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail(),
            instance,
        };
        Reply {
            status,
            content_type: "application/problem+json",
            allow: match self {
                Self::MethodNotAllowed(methods) => Some(methods),
                _ => None,
            },
            body: pretty(&document).unwrap_or_default(),
        }
    }
}
