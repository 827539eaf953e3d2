//! Requests that leave this process.

use std::error::Error as _;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions};

use crate::body::Body;
use crate::shard;

/// For how long a connection is kept without a request: less than this host itself
/// keeps one.
const MAX_IDLE: Duration = Duration::from_secs(20);

/// How long a request may take that has no time-outs of its own, as in wasmtime.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// A client, which keeps its connections.
pub type Client = legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// The connections to other servers. Those of a shard stay on its thread.
pub struct Network(Vec<OnceLock<Client>>);

impl Network {
    /// Has no connections yet.
    pub fn new() -> Self {
        Self((0..shard::count()).map(|_| OnceLock::new()).collect())
    }

    /// Sends `request`, over a connection that is kept.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn send(
        &self,
        request: Request<Body>,
        options: Option<RequestOptions>,
    ) -> Result<Response<Body>, Error> {
        let is_secure = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS);
        let connect = options.and_then(|options| options.connect_timeout);
        let first_byte = options.and_then(|options| options.first_byte_timeout);
        let time = connect.unwrap_or(DEFAULT_TIMEOUT) + first_byte.unwrap_or(DEFAULT_TIMEOUT);
        let response = self.0[shard::current()].get_or_init(client).request(request);
        let response = timeout(time, response).await.map_err(|_| Error::ConnectionReadTimeout)?;
        let response = response.map_err(|error| failed(&error, is_secure))?;
        Ok(response.map(|body| body.map_err(Error::from).boxed_unsync()))
    }
}

/// A client for `http` and `https`.
pub fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1();
    legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(MAX_IDLE)
        .pool_timer(TokioTimer::new())
        .build(builder.wrap_connector(connector))
}

/// What a component is told: not more than it needs to know.
fn failed(error: &legacy::Error, is_secure: bool) -> Error {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    let kind = causes.find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    match kind {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::Other) if is_secure => {
            Error::TlsProtocolError
        }
        Some(kind) if error.is_connect() => Error::Connect(kind.into()),
        _ => Error::ConnectionTerminated,
    }
}
