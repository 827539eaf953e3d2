//! Requests that leave this process.

use std::error::Error as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{
    Connected, Connection, HttpConnector, capture_connection,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;
use wasmtime_wasi_http::{Error, RequestOptions};

use crate::body::{Body, Timed};
use crate::bounds::shares::{NoneLeft, Share, Slots};
use crate::threads::PerThread;

/// For how long a connection is kept without a request: less than this host itself
/// keeps one.
const MAX_IDLE: Duration = Duration::from_secs(20);

/// How long a request waits that has no time-outs of its own, as in wasmtime: for a
/// connection, for the response, and for each part of its body.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// A client, which keeps its connections.
type Client = legacy::Client<HttpsConnector<Connector>, Body>;

/// A component's connections to other servers. Those of a shard stay on its thread.
pub struct Network {
    clients: PerThread<OnceLock<Client>>,
    sockets: Arc<Share>,
}

impl Network {
    /// Has no connections yet, and takes them from `sockets`.
    pub fn new(sockets: Arc<Share>) -> Self {
        Self { clients: PerThread::new(OnceLock::new), sockets }
    }

    /// Sends `request`, over a connection that is kept.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        options: Option<RequestOptions>,
    ) -> Result<Response<Body>, Error> {
        let is_secure = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS);
        let options = options.unwrap_or_default();
        let time = |timeout: Option<Duration>| timeout.unwrap_or(DEFAULT_TIMEOUT);
        let mut captured = capture_connection(&mut request);
        let client = self.clients.get().get_or_init(|| client(self.sockets.clone()));
        let mut response = client.request(request);
        let early = tokio::select! {
            biased;
            response = &mut response => Some(response),
            connected = timeout(
                time(options.connect_timeout),
                captured.wait_for_connection_metadata(),
            ) => connected.map(|_| None).map_err(|_| Error::ConnectionTimeout)?,
        };
        let response = match early {
            Some(response) => response,
            None => timeout(time(options.first_byte_timeout), response)
                .await
                .map_err(|_| Error::ConnectionReadTimeout)?,
        };
        let response = response.map_err(|error| failed(&error, is_secure))?;
        let between_bytes = time(options.between_bytes_timeout);
        Ok(response.map(|body| Timed::new(body.map_err(Error::from), between_bytes).boxed_unsync()))
    }
}

fn client(sockets: Arc<Share>) -> Client {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1();
    legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(MAX_IDLE)
        .pool_timer(TokioTimer::new())
        .build(builder.wrap_connector(Connector { connector, sockets }))
}

/// A connector whose connections are counted.
#[derive(Clone)]
pub struct Connector {
    connector: HttpConnector,
    sockets: Arc<Share>,
}

impl Service<Uri> for Connector {
    type Response = Socket;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Socket, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let counted = self.sockets.take_slots(1);
        let stream = self.connector.call(uri);
        async move { Ok(Socket { _counted: counted?, stream: stream.await? }) }.boxed()
    }
}

/// A connection that is counted.
pub struct Socket {
    stream: TokioIo<TcpStream>,
    _counted: Slots,
}

impl Socket {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut TokioIo<TcpStream>> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}

/// What a component is told: not more than it needs to know.
fn failed(error: &legacy::Error, is_secure: bool) -> Error {
    let causes = || std::iter::successors(error.source(), |&cause| cause.source());
    if causes().any(|cause| cause.is::<NoneLeft>()) {
        return Error::ConnectionLimitReached;
    }
    let kind = causes().find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    match kind {
        Some(io::ErrorKind::InvalidData | io::ErrorKind::Other) if is_secure => {
            Error::TlsProtocolError
        }
        Some(kind) if error.is_connect() => Error::Connect(kind.into()),
        _ => Error::ConnectionTerminated,
    }
}
