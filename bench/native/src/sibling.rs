//! Calls to the other services, over connections that are kept.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::uri::{Authority, Scheme};
use axum::http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::http::{Call, Problem, REQUEST_ID};

/// How long a sibling may take for its whole answer.
const DEADLINE: Duration = Duration::from_millis(2000);

/// The largest answer of a sibling that is read, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// What a path segment may hold unencoded (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Another service, and the connections to it.
pub struct Sibling {
    name: &'static str,
    address: Authority,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Sibling {
    pub fn new(name: &'static str, address: Authority) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { name, address, client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Asks for `path`, of which the caller has encoded every part, on behalf
    /// of `call`; `None` if there is no such resource (404).
    pub async fn get<T: DeserializeOwned>(
        &self,
        call: &Call,
        path: &str,
    ) -> Result<Option<T>, Problem> {
        timeout(DEADLINE, self.ask(call, path)).await.unwrap_or_else(|_| {
            self.log(call, path, format_args!("no answer within {DEADLINE:?}"));
            Err(Problem::GatewayTimeout(self.name))
        })
    }

    /// As [`Sibling::get`], for a resource that there must be.
    pub async fn get_found<T: DeserializeOwned>(
        &self,
        call: &Call,
        path: &str,
    ) -> Result<T, Problem> {
        self.get(call, path).await?.ok_or_else(|| {
            self.log(call, path, "nonsense: unexpected status 404");
            Problem::BadGateway(self.name)
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
        path: &str,
    ) -> Result<Option<T>, Problem> {
        let unavailable = |cause: &dyn Display| {
            self.log(call, path, format_args!("no answer: {cause}"));
            Problem::Unavailable(self.name)
        };
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.address.clone())
            .path_and_query(path);
        let request = uri.build().and_then(|uri| {
            Request::get(uri).header(REQUEST_ID, &call.request_id).body(Empty::new())
        });
        let request = request.map_err(|error| Problem::Internal(error.into()))?;
        let response = self.client.request(request).await.map_err(|error| unavailable(&error))?;
        if response.status().is_server_error() {
            return Err(unavailable(&response.status()));
        }
        read(response).await.map_err(|error| {
            self.log(call, path, format_args!("nonsense: {error:#}"));
            Problem::BadGateway(self.name)
        })
    }

    fn log(&self, call: &Call, path: &str, what: impl Display) {
        call.log(format_args!("{} at {path}: {what}", self.name));
    }
}

async fn read<T, B>(response: Response<B>) -> anyhow::Result<Option<T>>
where
    T: DeserializeOwned,
    B: axum::body::HttpBody<Data = Bytes, Error: Into<axum::BoxError>>,
{
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_json = content_type.is_some_and(|content_type| content_type == "application/json");
    let status = response.status();
    // Read to the end whatever it says, so that the connection can be kept.
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| anyhow!("{error}"))?.to_bytes();
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        status => bail!("unexpected status {status}"),
    }
    ensure!(is_json, "no JSON");
    serde_json::from_slice(&body).context("another shape than expected").map(Some)
}

/// `text` as one segment of a path.
pub fn segment(text: &str) -> impl Display {
    utf8_percent_encode(text, SEGMENT)
}
