//! Calls between services that are composed into one component: functions of a WIT
//! interface, where [`Sibling`](crate::Sibling) sends requests over HTTP.
//!
//! [`Context`] and [`CallError`] have the shape of `context` and `error` in such an
//! interface, so that bindings use them in place of types of their own. A call has the
//! deadline of the requests to siblings; at the deadline it is cancelled.

use http::StatusCode;

use crate::context::Context;
use crate::log;
use crate::problem::Problem;
use crate::request::Request;
use crate::sibling::{before_deadline, timed};

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub enum CallError {
    /// The service is at fault: 500 over HTTP.
    Internal,
    /// What the service needs is not available: any other 5xx.
    Unavailable,
    /// The service does not accept the arguments, and says why: a 4xx.
    Rejected(String),
}

/// Runs `answer` for a composed sibling that has called the function `name` of the service
/// `id`, and logs why it fails.
///
/// # Errors
/// The problem of `answer`, as far as the caller is told.
pub async fn answer<T>(
    context: &Context,
    id: &'static str,
    name: &str,
    answer: impl Future<Output = Result<T, Problem>>,
) -> Result<T, CallError> {
    log::name(id);
    answer.await.map_err(|problem| {
        if let Some(cause) = &problem.cause {
            log::error(context, &format!("{name}: {cause}"));
        }
        match problem.status {
            StatusCode::INTERNAL_SERVER_ERROR => CallError::Internal,
            status if status.is_server_error() => CallError::Unavailable,
            _ => CallError::Rejected(problem.detail),
        }
    })
}

/// A service that is composed with this one.
pub struct ComposedSibling(&'static str);

impl ComposedSibling {
    /// The service with that component id.
    pub const fn new(id: &'static str) -> Self {
        Self(id)
    }

    /// The component id.
    pub fn id(&self) -> &'static str {
        self.0
    }

    /// Waits for `answer`, of the function `name` of the service, on behalf of `request`.
    ///
    /// # Errors
    /// Those of [`Sibling::get_required`](crate::Sibling::get_required): a service that
    /// fails is not available, and the answer of one that rejects the arguments can't be used.
    pub async fn call<T>(
        &self,
        request: &Request,
        name: &str,
        answer: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, Problem> {
        let unavailable = |cause| Problem::sibling_unavailable(self.0, format!("{name}: {cause}"));
        let answer = async {
            answer.await.map_err(|error| match error {
                CallError::Internal => unavailable("internal error"),
                CallError::Unavailable => unavailable("not available"),
                CallError::Rejected(why) => self.bad_gateway(name, why),
            })
        };
        timed(request, self.0, before_deadline(request, self.0, name, answer)).await
    }

    /// A 502: the result of the function `name` can't be used.
    pub fn bad_gateway(&self, name: &str, cause: impl ToString) -> Problem {
        Problem::bad_gateway(self.0, format!("{name}: {}", cause.to_string()))
    }
}
