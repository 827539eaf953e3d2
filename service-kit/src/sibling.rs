//! Requests to other services of the application.
//!
//! A variable says where a service is. `http://<component-id>.spin.internal` reaches the
//! component in the same process, which Spin calls service chaining; any other URL
//! reaches another process. The caller's `allowed_outbound_hosts` in `spin.toml` must
//! name the same variable.
//!
//! All requests to siblings on behalf of one request share a deadline, which starts
//! with the first of them. At the deadline the handler gets a
//! [`Problem::GatewayTimeout`]; the sibling still finishes.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, select};
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::problem::Problem;
use crate::request::{REQUEST_ID, Request};
use crate::variable::Variable;
use crate::wasi;

/// The time until the deadline, in milliseconds.
static TIMEOUT: Variable<u64> =
    Variable::new("sibling_deadline_ms", Some("2000"), "a number of milliseconds");

/// The largest body of a sibling's response, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// What a path segment may contain unencoded (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Another service of the application.
pub struct Sibling {
    id: &'static str,
    url: Variable<BaseUrl>,
}

/// Where a service is: `http` or `https`, a host and perhaps a port.
struct BaseUrl(Uri);

impl FromStr for BaseUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let uri = Uri::from_str(text).map_err(drop)?;
        let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        if has_scheme && uri.path() == "/" && uri.query().is_none() {
            Ok(Self(uri))
        } else {
            Err(())
        }
    }
}

impl Sibling {
    /// The service with that component id, which is where the variable `url` says.
    pub const fn new(id: &'static str, url: &'static str) -> Self {
        let expected = "a URL without a path, such as http://movies.spin.internal";
        Self { id, url: Variable::new(url, None, expected) }
    }

    /// The component id.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// GETs the resource at `path`, whose parts the caller has encoded, on
    /// behalf of `request`. Gives `None` if there is no such resource (404).
    ///
    /// # Errors
    /// - [`Problem::Unavailable`] if there is no response, or a 5xx.
    /// - [`Problem::BadGateway`] if the response is not a `T` in JSON.
    /// - [`Problem::GatewayTimeout`] if it has not arrived by the deadline.
    /// - [`Problem::Internal`] if the variable of its URL is malformed or missing, or
    ///   `sibling_deadline_ms` is no number.
    pub async fn get<T: DeserializeOwned>(
        &self,
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
        &self,
        request: &Request,
        path: &str,
    ) -> Result<T, Problem> {
        let value = self.get(request, path).await?;
        value.ok_or_else(|| self.bad_gateway(path, "status 404".into()))
    }

    /// Whether there is a resource at `path`, which is an object in JSON.
    ///
    /// # Errors
    /// Those of [`Sibling::get`].
    pub async fn has(&self, request: &Request, path: &str) -> Result<bool, Problem> {
        let object = self.get::<BTreeMap<String, IgnoredAny>>(request, path).await?;
        Ok(object.is_some())
    }

    async fn body_before_deadline(
        &self,
        request: &Request,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Problem> {
        let _span = request.timing.ask(self.id);
        let deadline = || wait_for_deadline().boxed_local().shared();
        let deadline = request.deadline.get_or_init(deadline).clone();
        let body = Box::pin(self.body(request, path));
        match select(deadline, body).await {
            Either::Right((body, _)) => body,
            Either::Left((Ok(timeout), _)) => Err(Problem::GatewayTimeout {
                sibling: self.id,
                cause: at(path, &format!("no response within {timeout} ms")),
            }),
            Either::Left((Err(problem), _)) => Err(problem),
        }
    }

    async fn body(&self, request: &Request, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let BaseUrl(url) = self.url.get().await?;
        let id = (REQUEST_ID.to_owned(), request.id.clone().into_bytes());
        let headers = std::iter::once(id).chain(request.trace_headers());
        let response = wasi::get(url, path, headers.collect()).await;
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

    fn unavailable(&self, path: &str, cause: String) -> Problem {
        Problem::Unavailable { sibling: self.id, cause: at(path, &cause) }
    }

    fn bad_gateway(&self, path: &str, cause: String) -> Problem {
        Problem::BadGateway { sibling: self.id, cause: at(path, &cause) }
    }
}

/// What went wrong at `path`, without its query: that may hold a hundred ids.
fn at(path: &str, cause: &str) -> String {
    format!("{}: {cause}", path.split('?').next().unwrap_or_default())
}

/// Waits for the deadline, and gives the time-out in milliseconds. The kit has its
/// own timer because Spin does not enforce the time-outs of a request's options on
/// chained requests.
async fn wait_for_deadline() -> Result<u64, Problem> {
    let timeout = *TIMEOUT.get().await?;
    wasi::sleep(Duration::from_millis(timeout)).await;
    Ok(timeout)
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
