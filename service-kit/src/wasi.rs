//! The types of WASI: requests and responses between a component and its host.
//!
//! Spin's templates and documentation begin with the SDK's `#[http_service]`, its
//! `Request` and its `IntoResponse`. This file replaces them. With the SDK, the
//! entry point of a service would be:
//!
//! ```ignore
//! #[spin_sdk::http_service]
//! async fn handle(request: spin_sdk::http::Request) -> impl spin_sdk::http::IntoResponse {
//!     // from `http::Request` to `http::Response`
//! }
//! ```
//!
//! The SDK copies all headers of a request into a map, and those of a response
//! out of one. The kit reads only the headers that it needs. With everything else
//! the same, 32 connections and three rounds in turns, that gave a quarter more
//! throughput on this repository's host and a tenth more on Spin, and made each
//! component 70 kB smaller.
//!
//! The timer, the variables and the database of a component are here too: no other
//! module of the kit calls Spin or WASI, except that `std` reads data files and the
//! clock.

use std::pin::pin;
use std::time::Duration;

use futures::future::select;
use futures::{Stream, StreamExt, stream};
use http::{Method, Uri};
#[cfg(not(feature = "read-only"))]
use spin_sdk::sqlite;
use spin_sdk::sqlite::{RowResult, Value};
use spin_sdk::variables;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields, Scheme, Trailers};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn};

use crate::request::{Body, Request};
use crate::response::Response;

/// How much of a request's body is read and dropped after the response, in bytes, and
/// for how long. Without it, a client that still sends would lose the response.
const MAX_UNREAD: usize = 1024 * 1024;
const MAX_UNREAD_TIME: Duration = Duration::from_secs(5);

/// Exports `$handler`, an `async` closure from [`&mut Request`](Request) to
/// [`Response`], as the HTTP handler of the component (the world `wasi:http/service`).
#[macro_export]
macro_rules! export_http_handler {
    ($handler:expr) => {
        mod component {
            use $crate::spin_sdk::wasip3;

            struct Service;

            impl wasip3::exports::http::handler::Guest for Service {
                async fn handle(
                    request: wasip3::http::types::Request,
                ) -> Result<wasip3::http::types::Response, wasip3::http::types::ErrorCode> {
                    $crate::wasi::handle(request, $handler).await
                }
            }

            wasip3::http::service::export!(Service with_types_in wasip3);
        }
    };
}

/// Answers `request` with what `handler` makes of it.
///
/// # Errors
/// If the method is not a valid HTTP token. The host turns that into a response.
pub async fn handle(
    request: types::Request,
    handler: impl AsyncFnOnce(&mut Request) -> Response,
) -> Result<types::Response, ErrorCode> {
    let method = request.get_method().try_into();
    let method = method.map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    let target = request.get_path_with_query().unwrap_or_default();
    let headers = request.get_headers();
    let has_body = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let body = match has_body {
        true => receive_body(request).fuse().boxed_local(),
        false => stream::empty().boxed_local(),
    };
    let mut request = Request::new(method, &target, move |name| headers.get(name), body);
    let response = handler(&mut request).await;
    if has_body {
        spawn(async move {
            let skip = pin!(skip_body(request.into_unread_body()));
            select(skip, pin!(sleep(MAX_UNREAD_TIME))).await;
        });
    }
    send_response(response)
}

/// The parts of the body of `request`.
fn receive_body(request: types::Request) -> impl Stream<Item = Result<Vec<u8>, String>> {
    let (done, sent_done) = wit_future::new(|| Ok(()));
    let (body, trailers) = types::Request::consume_body(request, sent_done);
    stream::unfold(Some((body, trailers, done)), async |state| {
        let (mut body, trailers, done) = state?;
        let (result, part) = body.read(Vec::with_capacity(CHUNK)).await;
        if let StreamResult::Dropped = result {
            // The last part; the trailers say whether the body is whole.
            let part = trailers.await.map(|_| part).map_err(|error| error.to_string());
            return Some((part, None));
        }
        Some((Ok(part), Some((body, trailers, done))))
    })
}

async fn skip_body(mut body: Body) {
    let mut skipped = 0;
    while skipped < MAX_UNREAD
        && let Some(Ok(part)) = body.next().await
    {
        skipped += part.len();
    }
}

fn send_response(response: Response) -> Result<types::Response, ErrorCode> {
    let headers = response.headers.into_iter();
    let headers = headers.map(|(name, value)| (name.to_owned(), value.into_owned().into_bytes()));
    let (body, trailers) = send_body(response.body);
    let (sent, _) = types::Response::new(fields(headers.collect())?, body, trailers);
    sent.set_status_code(response.status.as_u16()).map_err(|()| ErrorCode::InternalError(None))?;
    Ok(sent)
}

fn fields(headers: Vec<(String, Vec<u8>)>) -> Result<Fields, ErrorCode> {
    Fields::from_list(&headers).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
}

/// A body, which is written once the host reads it.
fn send_body(content: Vec<u8>) -> (Option<StreamReader<u8>>, FutureReader<TrailersResult>) {
    let (trailers, sent_trailers) = wit_future::new(no_trailers);
    if content.is_empty() {
        return (None, sent_trailers);
    }
    let (mut body, sent_body) = wit_stream::new();
    spawn(async move {
        body.write_all(content).await;
        drop((body, trailers));
    });
    (Some(sent_body), sent_trailers)
}

type TrailersResult = Result<Option<Trailers>, ErrorCode>;

fn no_trailers() -> TrailersResult {
    Ok(None)
}

/// The response of another component. Its body has not been read yet.
pub(crate) struct ClientResponse {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    content_length: Option<usize>,
    response: types::Response,
}

/// Sends a GET for `target`, the path with the query, to the server at `url`.
///
/// # Errors
/// If there is no response.
pub(crate) async fn get(
    url: &Uri,
    target: &str,
    headers: Vec<(String, Vec<u8>)>,
) -> Result<ClientResponse, ErrorCode> {
    let (trailers, sent_trailers) = wit_future::new(no_trailers);
    let (request, _) = types::Request::new(fields(headers)?, None, sent_trailers, None);
    let is_secure = url.scheme() == Some(&http::uri::Scheme::HTTPS);
    request
        .set_scheme(Some(if is_secure { &Scheme::Https } else { &Scheme::Http }))
        .and_then(|()| request.set_authority(url.authority().map(|authority| authority.as_str())))
        .and_then(|()| request.set_path_with_query(Some(target)))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let response = client::send(request).await;
    // Dropped only after the response has arrived. Otherwise the host would have to
    // read the trailers first.
    drop(trailers);
    let response = response?;
    let headers = response.get_headers();
    let header = |name| String::from_utf8(headers.get(name).pop()?).ok();
    Ok(ClientResponse {
        status: response.get_status_code(),
        content_type: header("content-type").unwrap_or_default(),
        content_length: header("content-length").and_then(|length| length.parse().ok()),
        response,
    })
}

/// Waits for `duration`.
pub(crate) async fn sleep(duration: Duration) {
    spin_sdk::time::sleep(duration).await;
}

/// A connection to the database `default`.
#[cfg(not(feature = "read-only"))]
pub(crate) struct Connection(sqlite::Connection);

/// There is none, and nothing of `spin:sqlite` is imported.
#[cfg(feature = "read-only")]
pub(crate) struct Connection(std::convert::Infallible);

#[cfg(feature = "read-only")]
impl Connection {
    pub(crate) async fn open() -> Result<Option<Self>, String> {
        Ok(None)
    }

    pub(crate) async fn execute(&self, _: &str, _: Vec<Value>) -> Result<Vec<RowResult>, String> {
        match self.0 {}
    }
}

#[cfg(not(feature = "read-only"))]
impl Connection {
    /// Opens a connection, if the component may use that database.
    ///
    /// # Errors
    /// What the host says.
    pub(crate) async fn open() -> Result<Option<Self>, String> {
        match sqlite::Connection::open_default().await {
            Ok(connection) => Ok(Some(Self(connection))),
            Err(sqlite::Error::AccessDenied | sqlite::Error::NoSuchDatabase) => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    /// Executes `statement`, and gives the rows that it returns. `execute` of the SDK is
    /// `Ok` even where the statement fails, and its first rows arrive before the statement
    /// commits. Only `collect` tells that it succeeded.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn execute(
        &self,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<RowResult>, String> {
        let result = self.0.execute(statement, parameters).await.map_err(text)?;
        result.collect().await.map_err(text)
    }
}

#[cfg(not(feature = "read-only"))]
fn text(error: sqlite::Error) -> String {
    match error {
        sqlite::Error::Io(text) => text,
        error => error.to_string(),
    }
}

/// The value of the Spin variable `name`, if the component has it.
///
/// # Errors
/// What the provider of variables says.
pub(crate) async fn variable(name: &str) -> Result<Option<String>, String> {
    match variables::get(name).await {
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(format!("the variable `{name}`: {error}")),
    }
}

/// How much is read at once of a body without `content-length`, in bytes.
const CHUNK: usize = 16 * 1024;

impl ClientResponse {
    /// Reads the body to its end.
    ///
    /// # Errors
    /// If it is longer than `limit` bytes, or breaks off.
    pub(crate) async fn body(self, limit: usize) -> Result<Vec<u8>, String> {
        let too_long = || format!("the body is longer than {limit} bytes");
        if self.content_length.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let (_done, done) = wit_future::new(|| Ok(()));
        let (mut stream, trailers) = types::Response::consume_body(self.response, done);
        // Room for one byte more, in which the last read finds the end.
        let mut body = Vec::with_capacity(self.content_length.unwrap_or(CHUNK) + 1);
        loop {
            let result;
            (result, body) = stream.read(body).await;
            if body.len() > limit {
                return Err(too_long());
            }
            if let StreamResult::Dropped = result {
                break;
            }
            if body.len() == body.capacity() {
                body.reserve(CHUNK);
            }
        }
        trailers.await.map_err(|error| format!("the body broke off: {error}"))?;
        Ok(body)
    }
}
