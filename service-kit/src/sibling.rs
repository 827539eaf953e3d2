//! Calls to other services of the application.
//!
//! Spin calls this service chaining: `http://<component-id>.spin.internal`
//! reaches the component within the same process, if the caller's
//! `allowed_outbound_hosts` names it.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::future::{Either, select};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use spin_sdk::http::Response;

use crate::Problem;

/// How long a sibling may take for its whole answer. Spin enforces no time-out
/// on chained calls, not even one of the request's own options.
const DEADLINE: Duration = Duration::from_secs(2);

/// The largest answer of a sibling that is read, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// What a path segment may hold unencoded (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Another service of the application, by its component id.
#[derive(Clone, Copy, Debug)]
pub struct Sibling(pub &'static str);

impl Sibling {
    /// Asks for `path`, of which the caller has encoded every part; `None` if
    /// the sibling says that there is no such resource (404).
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if it can't be reached or answers 5xx,
    /// [`Problem::GatewayTimeout`] if its answer is not complete in time, and
    /// [`Problem::BadGateway`] if it is anything but a `T` in JSON. The log
    /// says more.
    pub async fn get<T: DeserializeOwned>(self, path: &str) -> Result<Option<T>, Problem> {
        let call = pin!(self.call(path));
        match select(call, pin!(spin_sdk::time::sleep(DEADLINE))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                eprintln!("{}: no answer to {path} within {DEADLINE:?}", self.0);
                Err(Problem::GatewayTimeout(self.0))
            }
        }
    }

    /// As [`Sibling::get`], for a resource that every such sibling has: 404 is
    /// nonsense too.
    ///
    /// # Errors
    /// Those of [`Sibling::get`].
    pub async fn get_found<T: DeserializeOwned>(self, path: &str) -> Result<T, Problem> {
        self.get(path).await?.ok_or_else(|| {
            eprintln!("{}: nonsense at {path}: unexpected status 404", self.0);
            Problem::BadGateway(self.0)
        })
    }

    async fn call<T: DeserializeOwned>(self, path: &str) -> Result<Option<T>, Problem> {
        let url = format!("http://{}.spin.internal{path}", self.0);
        let response = match spin_sdk::http::get(&url).await {
            Ok(response) if !response.status().is_server_error() => response,
            Ok(response) => return Err(self.unavailable(path, &response.status())),
            Err(error) => return Err(self.unavailable(path, &error)),
        };
        read(response).await.map_err(|error| {
            eprintln!("{}: nonsense at {path}: {error:#}", self.0);
            Problem::BadGateway(self.0)
        })
    }

    fn unavailable(self, path: &str, cause: &dyn std::fmt::Display) -> Problem {
        eprintln!("{}: no answer to {path}: {cause}", self.0);
        Problem::Unavailable(self.0)
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> anyhow::Result<Option<T>> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        status => bail!("unexpected status {status}"),
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    ensure!(
        content_type.is_some_and(|value| value == "application/json"),
        "content-type {content_type:?} where JSON was expected"
    );
    let body = Limited::new(response.into_body(), MAX_BODY)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!(error))?
        .to_bytes();
    serde_json::from_slice(&body).context("another shape than expected").map(Some)
}

/// `text` as one segment of a path.
pub fn segment(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, SEGMENT)
}

/// `values` as a query that gives each of them to `name`.
pub fn query<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(values.into_iter().map(|value| (name, value)))
        .finish()
}
