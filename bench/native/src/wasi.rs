//! Requests and responses over sockets, and a database in this process, in place of
//! what a component gets from its host.
//!
//! As in the host, each core has a thread that answers the requests of its
//! connections alone.

use std::borrow::Cow;
use std::convert::Infallible;
use std::env;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, available_parallelism};
use std::time::Duration;

use futures::future::LocalBoxFuture;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest, Response as HttpResponse,
    StatusCode, Uri,
};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body as _, Bytes, Incoming as IncomingBody};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rusqlite::types::Value as SqliteValue;
use spin_sdk::sqlite::{RowResult, Value};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{LocalSet, spawn_blocking, spawn_local};

/// How long a statement waits for the lock that another connection has on the file, as
/// in the host.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How much of a request's body is read and dropped after the response, in bytes, as in
/// the components.
const MAX_UNREAD: usize = 1024 * 1024;

/// What a service gets, and what it gives.
pub type RawRequest = HttpRequest<IncomingBody>;
pub type RawResult = Result<HttpResponse<Full<Bytes>>, Infallible>;

pub type Handler = fn(RawRequest) -> LocalBoxFuture<'static, RawResult>;

thread_local! {
    static CLIENT: Client<HttpConnector, Empty<Bytes>> = {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Client::builder(TokioExecutor::new()).build(connector)
    };
}

/// Serves a service at `address` for ever; its connections go to the threads in turns.
pub fn serve(address: &str, handler: Handler) {
    let listener = TcpListener::bind(address).expect("a free port");
    let threads: Vec<_> = (0..available_parallelism().map_or(1, usize::from))
        .map(|_| {
            let (sender, receiver) = unbounded_channel();
            thread::spawn(move || answer(receiver, handler));
            sender
        })
        .collect();
    for (number, stream) in listener.incoming().flatten().enumerate() {
        threads[number % threads.len()].send(stream).expect("threads never end");
    }
}

fn answer(mut streams: UnboundedReceiver<std::net::TcpStream>, handler: Handler) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        while let Some(stream) = streams.recv().await {
            // Small responses must not wait for the acknowledgement of earlier ones.
            _ = stream.set_nodelay(true).and_then(|()| stream.set_nonblocking(true));
            let Ok(stream) = TcpStream::from_std(stream) else { continue };
            let service = service_fn(handler);
            spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}

/// A request as it arrives.
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) headers: Headers,
    pub(crate) body: Option<Body>,
}

/// Gives all values of a header.
pub(crate) type Headers = Box<dyn Fn(&HeaderName) -> Vec<HeaderValue>>;

pub(crate) fn receive(request: RawRequest) -> Result<Incoming, Infallible> {
    let (head, body) = request.into_parts();
    Ok(Incoming {
        method: head.method,
        target: head.uri,
        headers: Box::new(move |name| head.headers.get_all(name).iter().cloned().collect()),
        body: (!body.is_end_stream()).then_some(Body { is_started: false, body }),
    })
}

/// The response whose body is `content`. What nobody has read of the body of the request
/// is dropped.
pub(crate) fn respond(
    status: StatusCode,
    headers: Vec<(HeaderName, Cow<'static, str>)>,
    content: Vec<u8>,
    unread: Option<Body>,
) -> RawResult {
    if let Some(body) = unread {
        spawn_local(body.drain());
    }
    let mut response = HttpResponse::new(Full::from(content));
    *response.status_mut() = status;
    *response.headers_mut() = header_map(headers);
    Ok(response)
}

fn header_map(headers: Vec<(HeaderName, Cow<'static, str>)>) -> HeaderMap {
    let value = |value: Cow<'static, str>| match value {
        Cow::Borrowed(text) => HeaderValue::from_static(text),
        Cow::Owned(text) => HeaderValue::try_from(text).expect("visible ASCII"),
    };
    headers.into_iter().map(|(name, text)| (name, value(text))).collect()
}

/// The body of a request or of a response.
pub struct Body {
    /// Whether somebody has begun to read it.
    pub(crate) is_started: bool,
    body: IncomingBody,
}

impl Body {
    /// Reads the body to its end. Gives `None` if it is longer than `limit` bytes.
    pub(crate) async fn read(
        &mut self,
        length: Option<u64>,
        limit: usize,
    ) -> hyper::Result<Option<Vec<u8>>> {
        if length.is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        self.is_started = true;
        let mut body = Vec::with_capacity(length.unwrap_or_default() as usize);
        while let Some(frame) = self.body.frame().await {
            body.extend(frame?.into_data().unwrap_or_default());
            if body.len() > limit {
                return Ok(None);
            }
        }
        Ok(Some(body))
    }

    /// Reads and drops what is left of the body, up to [`MAX_UNREAD`].
    async fn drain(mut self) {
        let mut skipped = 0;
        while skipped < MAX_UNREAD
            && let Some(Ok(frame)) = self.body.frame().await
        {
            skipped += frame.data_ref().map_or(0, Bytes::len);
        }
    }
}

/// Whether a body has failed because it came too slowly for the server.
pub(crate) fn is_timeout(error: &hyper::Error) -> bool {
    error.is_timeout()
}

/// The response of another service. Its body has not been read yet.
pub(crate) struct ClientResponse {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) content_length: Option<u64>,
    pub(crate) body: Body,
}

/// Sends a GET for `target`, the path with the query, to the server at `url`.
pub(crate) async fn get(
    url: &Uri,
    target: &str,
    headers: Vec<(HeaderName, Cow<'static, str>)>,
) -> Result<ClientResponse, String> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let request = HttpRequest::get(format!("http://{authority}{target}"));
    let mut request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    *request.headers_mut() = header_map(headers);
    let response = CLIENT.with(|client| client.request(request)).await;
    let response = response.map_err(|error| error.to_string())?;
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    Ok(ClientResponse {
        status: response.status(),
        content_type: header("content-type").unwrap_or_default(),
        content_length: header("content-length").and_then(|length| length.parse().ok()),
        body: Body { is_started: false, body: response.into_body() },
    })
}

/// What `future` gives, or `None` if that takes longer than `duration`.
pub(crate) async fn within<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(duration, future).await.ok()
}

/// A connection to the database at the path `SQLITE_DB`. The threads of a process share
/// it, and each statement runs on a thread that may block, as in the host.
pub(crate) struct Connection(Arc<Mutex<rusqlite::Connection>>);

impl Connection {
    /// Opens a connection, if there is a database.
    pub(crate) async fn open() -> Result<Option<Self>, String> {
        let Some(path) = env::var_os("SQLITE_DB") else { return Ok(None) };
        let connect = || {
            let connection = rusqlite::Connection::open(path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(connection)
        };
        let connection = block_on_another_thread(connect).await?;
        Ok(Some(Self(Arc::new(Mutex::new(connection)))))
    }

    /// Executes `statement`, and gives the rows that it returns.
    pub(crate) async fn execute(
        &self,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<RowResult>, String> {
        let connection = self.0.clone().lock_owned().await;
        let statement = statement.to_owned();
        block_on_another_thread(move || query(&connection, &statement, parameters)).await
    }
}

fn query(
    connection: &rusqlite::Connection,
    statement: &str,
    parameters: Vec<Value>,
) -> rusqlite::Result<Vec<RowResult>> {
    let mut statement = connection.prepare_cached(statement)?;
    let columns = statement.column_count();
    let parameters = parameters.into_iter().map(to_sqlite);
    let rows = statement.query_map(rusqlite::params_from_iter(parameters), |row| {
        let values = (0..columns).map(|column| row.get(column).map(from_sqlite));
        Ok(RowResult { values: values.collect::<Result<_, _>>()? })
    })?;
    rows.collect()
}

async fn block_on_another_thread<T: Send + 'static>(
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, String> {
    let done = spawn_blocking(work).await.map_err(|error| error.to_string())?;
    done.map_err(|error| error.to_string())
}

fn to_sqlite(value: Value) -> SqliteValue {
    match value {
        Value::Integer(integer) => SqliteValue::Integer(integer),
        Value::Real(real) => SqliteValue::Real(real),
        Value::Text(text) => SqliteValue::Text(text),
        Value::Blob(bytes) => SqliteValue::Blob(bytes),
        Value::Null => SqliteValue::Null,
    }
}

fn from_sqlite(value: SqliteValue) -> Value {
    match value {
        SqliteValue::Integer(integer) => Value::Integer(integer),
        SqliteValue::Real(real) => Value::Real(real),
        SqliteValue::Text(text) => Value::Text(text),
        SqliteValue::Blob(bytes) => Value::Blob(bytes),
        SqliteValue::Null => Value::Null,
    }
}

/// The value of an environment variable, in place of a Spin variable.
pub(crate) async fn variable(name: &str) -> Result<Option<String>, String> {
    Ok(env::var(name.to_uppercase()).ok())
}
