//! Calls to other services of the application.
//!
//! Spin calls this service chaining: `http://<component-id>.spin.internal`
//! reaches the component within the same process, if the caller's
//! `allowed_outbound_hosts` names it.

use std::fmt::Display;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use futures::future::{Either, select};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use spin_sdk::http::{EmptyBody, Response};
use spin_sdk::variables;

use crate::call::REQUEST_ID;
use crate::{Call, Problem};

/// The variable that says how long a sibling may take for its whole answer, in
/// milliseconds.
const DEADLINE: &str = "sibling_deadline_ms";

/// The largest answer of a sibling that is read, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// What a path segment may hold unencoded (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Another service of the application, by its component id.
#[derive(Clone, Copy, Debug)]
pub struct Sibling(pub &'static str);

impl Sibling {
    /// Asks for `path`, of which the caller has encoded every part, on behalf
    /// of `call`; `None` if there is no such resource (404).
    ///
    /// # Errors
    /// [`Problem::Unavailable`] if the sibling can't be reached or answers 5xx,
    /// [`Problem::GatewayTimeout`] if its answer is not complete in time, and
    /// [`Problem::BadGateway`] if it is anything but a `T` in JSON. The log
    /// says more.
    pub async fn get<T: DeserializeOwned>(
        self,
        call: &Call,
        path: &str,
    ) -> Result<Option<T>, Problem> {
        // Spin enforces no time-out on chained calls, not even one of the
        // request's own options.
        let deadline = deadline().await?;
        let answer = pin!(self.ask(call, path));
        match select(answer, pin!(spin_sdk::time::sleep(deadline))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => {
                self.log(call, path, format_args!("no answer within {deadline:?}"));
                Err(Problem::GatewayTimeout(self.0))
            }
        }
    }

    /// As [`Sibling::get`], for a resource that there must be: 404 is nonsense
    /// too.
    ///
    /// # Errors
    /// Those of [`Sibling::get`].
    pub async fn get_found<T: DeserializeOwned>(
        self,
        call: &Call,
        path: &str,
    ) -> Result<T, Problem> {
        self.get(call, path).await?.ok_or_else(|| {
            self.log(call, path, "nonsense: unexpected status 404");
            Problem::BadGateway(self.0)
        })
    }

    async fn ask<T: DeserializeOwned>(self, call: &Call, path: &str) -> Result<Option<T>, Problem> {
        let unavailable = |cause: &dyn Display| {
            self.log(call, path, format_args!("no answer: {cause}"));
            Problem::Unavailable(self.0)
        };
        let request = http::Request::get(format!("http://{}.spin.internal{path}", self.0))
            .header(REQUEST_ID, &call.request_id)
            .body(EmptyBody::new())
            .map_err(|error| Problem::Internal(error.into()))?;
        let response = spin_sdk::http::send(request).await.map_err(|error| unavailable(&error))?;
        if response.status().is_server_error() {
            return Err(unavailable(&response.status()));
        }
        read(response).await.map_err(|error| {
            self.log(call, path, format_args!("nonsense: {error:#}"));
            Problem::BadGateway(self.0)
        })
    }

    fn log(self, call: &Call, path: &str, what: impl Display) {
        call.log(format_args!("{} at {path}: {what}", self.0));
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> anyhow::Result<Option<T>> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        status => bail!("unexpected status {status}"),
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure!(
        content_type.split(';').next().unwrap_or_default().trim() == "application/json",
        "content-type {content_type:?} where JSON was expected"
    );
    let (mut body, mut content) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        // Copied: a frame keeps the whole buffer that it was read into, however
        // little came, so that a body that trickles in would fill the memory.
        if let Ok(data) = frame.map_err(|error| anyhow!("{error}"))?.into_data() {
            content.extend_from_slice(&data);
        }
        ensure!(content.len() <= MAX_BODY, "more than {MAX_BODY} bytes");
    }
    serde_json::from_slice(&content).context("another shape than expected").map(Some)
}

async fn deadline() -> Result<Duration, Problem> {
    static KNOWN: OnceLock<Duration> = OnceLock::new();
    if let Some(deadline) = KNOWN.get() {
        return Ok(*deadline);
    }
    let read = async {
        let value = variables::get(DEADLINE).await?;
        let milliseconds = value.parse().with_context(|| format!("{value:?} is no number"))?;
        anyhow::Ok(Duration::from_millis(milliseconds))
    };
    let deadline = read.await.with_context(|| format!("the variable {DEADLINE}"));
    let deadline = deadline.map_err(Problem::Internal)?;
    Ok(*KNOWN.get_or_init(|| deadline))
}

/// `text` as one segment of a path.
pub fn segment(text: &str) -> impl Display {
    utf8_percent_encode(text, SEGMENT)
}

/// `values` as a query that gives each of them to `name`.
pub fn query<'a>(name: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(values.into_iter().map(|value| (name, value)))
        .finish()
}
