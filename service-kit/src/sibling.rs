//! Requests to other services of the application.
//!
//! Spin calls this service chaining: `http://<component-id>.spin.internal`
//! reaches the component in the same process, if the caller's
//! `allowed_outbound_hosts` in `spin.toml` names it.
//!
//! All siblings that are asked on behalf of one request share one deadline. It
//! starts with the first of them. Only the wait ends at the deadline: the
//! handler goes on with a [`Problem::GatewayTimeout`], and the sibling finishes
//! what it was asked to do.

use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use spin_sdk::variables;

use crate::problem::Problem;
use crate::request::{REQUEST_ID, Request};
use crate::wasi;

/// The variable with the deadline, in milliseconds.
const DEADLINE: &str = "sibling_deadline_ms";

/// The deadline of a component without that variable, in milliseconds.
const DEFAULT_DEADLINE: u64 = 2000;

/// The largest body of a sibling's response, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// What a path segment may contain unencoded (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Another service of the application, by its component id.
#[derive(Clone, Copy, Debug)]
pub struct Sibling(pub &'static str);

impl Sibling {
    /// GETs the resource at `path`, whose parts the caller has encoded, on
    /// behalf of `request`. Gives `None` if there is no such resource (404).
    ///
    /// # Errors
    /// - [`Problem::Unavailable`] if there is no response, or a 5xx.
    /// - [`Problem::BadGateway`] if the response is not a `T` in JSON.
    /// - [`Problem::GatewayTimeout`] if it has not arrived by the deadline.
    /// - [`Problem::Internal`] if the deadline is not a number.
    pub async fn get<T: DeserializeOwned>(
        self,
        request: &Request,
        path: &str,
    ) -> Result<Option<T>, Problem> {
        // Boxed, so that the component contains this code once and not for each `T`.
        let body: LocalBoxFuture<_> = Box::pin(self.body_before_deadline(request, path));
        let Some(body) = body.await? else { return Ok(None) };
        let value = serde_json::from_slice(&body);
        value.map(Some).map_err(|error| self.bad_gateway(path, error.to_string()))
    }

    /// As [`Sibling::get`], for a resource that must exist.
    ///
    /// # Errors
    /// Those of [`Sibling::get`], and [`Problem::BadGateway`] for a 404.
    pub async fn get_required<T: DeserializeOwned>(
        self,
        request: &Request,
        path: &str,
    ) -> Result<T, Problem> {
        let value = self.get(request, path).await?;
        value.ok_or_else(|| self.bad_gateway(path, "status 404".into()))
    }

    async fn body_before_deadline(
        self,
        request: &Request,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let deadline = request.deadline.get_or_init(|| deadline().boxed_local().shared()).clone();
        let body = Box::pin(self.body(request, path));
        match select(deadline, body).await {
            Either::Right((body, _)) => body,
            Either::Left((Ok(milliseconds), _)) => Err(Problem::GatewayTimeout {
                sibling: self.0,
                cause: at(path, &format!("no response within {milliseconds} ms")),
            }),
            Either::Left((Err(cause), _)) => Err(Problem::Internal(cause)),
        }
    }

    async fn body(self, request: &Request, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let authority = format!("{}.spin.internal", self.0);
        let headers = vec![(REQUEST_ID.to_owned(), request.id.clone().into_bytes())];
        let response = wasi::get(&authority, path, headers).await;
        let response = response.map_err(|error| self.unavailable(path, error.to_string()))?;
        match response.status {
            200 => {}
            404 => return Ok(None),
            status @ 500.. => return Err(self.unavailable(path, format!("status {status}"))),
            status => return Err(self.bad_gateway(path, format!("status {status}"))),
        }
        let content_type = &response.content_type;
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            let cause = format!("content-type `{content_type}`, expected `application/json`");
            return Err(self.bad_gateway(path, cause));
        }
        let body = response.body(MAX_BODY).await;
        body.map(Some).map_err(|cause| self.bad_gateway(path, cause))
    }

    fn unavailable(self, path: &str, cause: String) -> Problem {
        Problem::Unavailable { sibling: self.0, cause: at(path, &cause) }
    }

    fn bad_gateway(self, path: &str, cause: String) -> Problem {
        Problem::BadGateway { sibling: self.0, cause: at(path, &cause) }
    }
}

/// What went wrong at `path`, without its query: that may hold a hundred ids.
fn at(path: &str, cause: &str) -> String {
    format!("{}: {cause}", path.split('?').next().unwrap_or_default())
}

/// Waits until siblings have no time left. A timer of our own, because Spin
/// does not enforce the time-outs of a request's options on chained requests.
async fn deadline() -> Result<u64, String> {
    let milliseconds = match variables::get(DEADLINE).await {
        Ok(value) => value.parse().map_err(|_| {
            format!("the variable `{DEADLINE}` must be a number of milliseconds; got {value:?}")
        })?,
        Err(variables::Error::Undefined(_)) => DEFAULT_DEADLINE,
        Err(error) => return Err(format!("the variable `{DEADLINE}`: {error}")),
    };
    spin_sdk::time::sleep(Duration::from_millis(milliseconds)).await;
    Ok(milliseconds)
}

/// `text`, encoded as one segment of a path.
pub fn encode_segment(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// `values`, encoded as a query with a parameter `name` for each of them.
pub fn encode_query<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(values.into_iter().map(|value| (name, value)))
        .finish()
}
