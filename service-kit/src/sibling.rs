//! Requests to other services of the application.
//!
//! A variable says where a service is. `http://<component-id>.spin.internal` reaches the
//! component in the same process, which Spin calls service chaining; any other URL
//! reaches another process. The caller's `allowed_outbound_hosts` in `spin.toml` must
//! name the same variable.
//!
//! All requests to siblings on behalf of one request share a deadline, which starts
//! with the first of them. At the deadline the handler gets a
//! [`Problem::gateway_timeout`]; the sibling still finishes.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures::future::LocalBoxFuture;
use http::{StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::json::is_json;
use crate::problem::Problem;
use crate::request::Request;
use crate::variable::Variable;
use crate::wasi::{self, ClientResponse};

/// The time until the deadline, in milliseconds.
static TIMEOUT: Variable<u32> =
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
    /// - [`Problem::sibling_unavailable`] if there is no response, or a 5xx.
    /// - [`Problem::bad_gateway`] if the response is not a `T` in JSON.
    /// - [`Problem::gateway_timeout`] if it has not arrived by the deadline.
    /// - [`Problem::internal`] if the variable of its URL is malformed or missing, or
    ///   `sibling_deadline_ms` is no number.
    pub async fn get<T: DeserializeOwned>(
        &self,
        request: &Request,
        path: &str,
    ) -> Result<Option<T>, Problem> {
        timed(request, self.id, self.read(request, path)).await
    }

    /// As [`Sibling::get`], for a resource that must exist.
    ///
    /// # Errors
    /// Those of [`Sibling::get`], and [`Problem::bad_gateway`] for a 404.
    pub async fn get_required<T: DeserializeOwned>(
        &self,
        request: &Request,
        path: &str,
    ) -> Result<T, Problem> {
        let answer = async {
            let value = self.read(request, path).await?;
            value.ok_or_else(|| self.bad_gateway(path, "status 404".into()))
        };
        timed(request, self.id, answer).await
    }

    /// Whether there is a resource at `path`, which is an object in JSON.
    ///
    /// # Errors
    /// Those of [`Sibling::get`].
    pub async fn exists(&self, request: &Request, path: &str) -> Result<bool, Problem> {
        let object = self.get::<BTreeMap<String, IgnoredAny>>(request, path).await?;
        Ok(object.is_some())
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: &Request,
        path: &str,
    ) -> Result<Option<T>, Problem> {
        // Boxed, so that the component contains this code once and not for each `T`.
        let body: LocalBoxFuture<_> =
            Box::pin(before_deadline(request, self.id, path, self.body(request, path)));
        let Some(body) = body.await? else { return Ok(None) };
        let value = serde_json::from_slice(&body);
        value.map(Some).map_err(|error| self.bad_gateway(path, error.to_string()))
    }

    async fn body(&self, request: &Request, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let BaseUrl(url) = self.url.get().await?;
        let unavailable = |cause: String| Problem::sibling_unavailable(self.id, at(path, &cause));
        let response = wasi::get(url, path, request.headers_for_siblings()).await;
        let ClientResponse { status, content_type, content_length, mut body } =
            response.map_err(|error| unavailable(error.to_string()))?;
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ if status.is_server_error() => {
                return Err(unavailable(format!("status {}", status.as_u16())));
            }
            _ => return Err(self.bad_gateway(path, format!("status {}", status.as_u16()))),
        }
        if !is_json(&content_type) {
            let cause = format!("content-type `{content_type}`, expected `application/json`");
            return Err(self.bad_gateway(path, cause));
        }
        match body.read(content_length, MAX_BODY).await {
            Ok(Some(content)) => Ok(Some(content)),
            Ok(None) => {
                Err(self.bad_gateway(path, format!("the body is longer than {MAX_BODY} bytes")))
            }
            Err(error) => Err(self.bad_gateway(path, format!("the body broke off: {error}"))),
        }
    }

    fn bad_gateway(&self, path: &str, cause: String) -> Problem {
        Problem::bad_gateway(self.id, at(path, &cause))
    }
}

/// Notes how long the service `id` takes to give `answer`.
pub(crate) async fn timed<T>(
    request: &Request,
    id: &'static str,
    answer: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let mut span = request.timing.ask(id);
    let answer = answer.await;
    // A 500 is the caller's own fault: a variable that is malformed.
    let failed = |problem: &Problem| problem.status != StatusCode::INTERNAL_SERVER_ERROR;
    span.has_failed = answer.as_ref().is_err_and(failed);
    answer
}

/// Waits for `answer`, until the deadline of `request`. A problem names the service `id`, and
/// its cause names `what` was asked: a path or a function.
///
/// The kit has its own timer because Spin does not enforce the time-outs of a
/// request's options on chained requests.
pub(crate) async fn before_deadline<T>(
    request: &Request,
    id: &str,
    what: &str,
    answer: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let timeout = *TIMEOUT.get().await?;
    let start = || Instant::now() + Duration::from_millis(timeout.into());
    let deadline = request.deadline.get().unwrap_or_else(start);
    request.deadline.set(Some(deadline));
    let time_left = deadline.saturating_duration_since(Instant::now());
    wasi::within(time_left, answer).await.unwrap_or_else(|| {
        let cause = at(what, &format!("no response within {timeout} ms"));
        Err(Problem::gateway_timeout(id, cause))
    })
}

/// What went wrong at `path`, without its query: that may hold a hundred ids.
fn at(path: &str, cause: &str) -> String {
    format!("{}: {cause}", path.split('?').next().unwrap_or_default())
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
