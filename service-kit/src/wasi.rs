//! The types of WASI: requests and responses between a component and its host.
//!
//! Spin's templates and documentation begin with the SDK's `#[http_service]`. This file
//! replaces it. With the SDK, a service looks like this:
//!
//! ```no_run
//! use spin_sdk::http::{IntoResponse, Request};
//! use spin_sdk::http_service;
//!
//! #[http_service]
//! async fn handle(request: Request) -> impl IntoResponse {
//!     format!("{} {}", request.method(), request.uri().path())
//! }
//! # fn main() {}
//! ```
//!
//! The SDK copies all headers of a request into a map; the kit reads the few that it needs.
//! With the SDK's type of requests, and everything else the same, a component is 48 kB
//! larger, and answers fewer requests per second (32 connections, four rounds in turns):
//!
//! | | on this repository's host | on Spin |
//! |---|---|---|
//! | one resource | -12 % | -15 % |
//! | a request that asks siblings | -3 to -14 % | -2 to -6 % |
//!
//! The timer, the variables and the database of a component are here too: no other module
//! of the kit calls Spin or WASI, except that `std` reads data files and the clock, writes
//! to standard error, and makes random ids.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use spin_sdk::variables;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields, Scheme, Trailers};
use spin_sdk::wasip3::http_compat::IncomingMessage;
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, spawn};

/// How much is read at once of a body whose length is unknown, in bytes.
const CHUNK: usize = 16 * 1024;

/// How much of a request's body is read and dropped after the response, in bytes, and
/// for how long. Without it, a client that still sends would lose the response.
const MAX_UNREAD: usize = 1024 * 1024;
const MAX_UNREAD_TIME: Duration = Duration::from_secs(5);

/// What the host gives to a component.
pub type RawRequest = types::Request;
/// What a component gives back.
pub type RawResult = Result<types::Response, ErrorCode>;

/// A request as it arrives.
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// The path with the query.
    pub(crate) target: Uri,
    pub(crate) headers: Headers,
    /// None of a request that only reads.
    pub(crate) body: Option<Body>,
}

/// Gives all values of a header, by a call of the host.
pub(crate) type Headers = Box<dyn Fn(&HeaderName) -> Vec<HeaderValue>>;

/// Takes a request from the host.
pub(crate) fn receive(request: RawRequest) -> Result<Incoming, ErrorCode> {
    let method =
        Method::try_from(request.get_method()).map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    let target = Uri::try_from(request.get_path_with_query().unwrap_or_default())
        .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    let fields = request.get_headers();
    let headers = Box::new(move |name: &HeaderName| {
        let values = fields.get(name.as_str()).into_iter();
        values.filter_map(|value| HeaderValue::try_from(value).ok()).collect()
    });
    let has_body = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let body = has_body.then(|| Body::of(request));
    Ok(Incoming { method, target, headers, body })
}

/// Gives a response to the host, whose body is `content`, and then drops what nobody has
/// read of the body of the request.
pub(crate) fn respond(
    status: StatusCode,
    headers: Vec<(HeaderName, Cow<'static, str>)>,
    content: Vec<u8>,
    unread: Option<Body>,
) -> RawResult {
    let (trailers, sent_trailers) = wit_future::new(no_trailers);
    let (mut writer, body) = wit_stream::new();
    let body = (!content.is_empty()).then_some(body);
    let (response, _) = types::Response::new(fields(headers)?, body, sent_trailers);
    let is_valid = response.set_status_code(status.as_u16());
    is_valid.map_err(|()| ErrorCode::InternalError(None))?;
    spawn(async move {
        // Returns when the host has read it.
        writer.write_all(content).await;
        drop((writer, trailers));
        // The request is drained only after that. Otherwise Spin would send the head and
        // the body of the response in two packets.
        if let Some(body) = unread {
            within(MAX_UNREAD_TIME, body.drain()).await;
        }
    });
    Ok(response)
}

fn fields(headers: Vec<(HeaderName, Cow<'static, str>)>) -> Result<Fields, ErrorCode> {
    let entries: Vec<_> = headers
        .into_iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.into_owned().into_bytes()))
        .collect();
    Fields::from_list(&entries).map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
}

fn no_trailers() -> Result<Option<Trailers>, ErrorCode> {
    Ok(None)
}

/// The body of a request or of a response.
pub struct Body {
    /// Whether somebody has begun to read it.
    pub(crate) is_started: bool,
    bytes: StreamReader<u8>,
    /// What follows the bytes. `None` after their end, where another read would trap.
    trailers: Option<FutureReader<Result<Option<Trailers>, ErrorCode>>>,
    /// Kept until the body is dropped: then the host stops to send it.
    _consumed: FutureWriter<Result<(), ErrorCode>>,
}

impl Body {
    /// The body of `message`, a request or a response.
    fn of<T: IncomingMessage>(message: T) -> Self {
        let (consumed, sent) = wit_future::new(|| Ok(()));
        let (bytes, trailers) = message.consume_body(sent);
        Self { is_started: false, bytes, trailers: Some(trailers), _consumed: consumed }
    }

    /// Reads the body up to its `length` or, without one, to its end. Gives `None` if it is
    /// longer than `limit` bytes.
    pub(crate) async fn read(
        &mut self,
        length: Option<u64>,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, ErrorCode> {
        if length.is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        self.is_started = true;
        let length = length.map(|length| length as usize);
        let mut body = Vec::with_capacity(length.unwrap_or(CHUNK));
        while self.trailers.is_some() && body.len() < length.unwrap_or(limit + 1) {
            if body.len() == body.capacity() {
                body.reserve(CHUNK);
            }
            let result;
            (result, body) = self.bytes.read(body).await;
            if let StreamResult::Dropped = result {
                // The trailers say whether the body is whole.
                if let Some(trailers) = self.trailers.take() {
                    trailers.await?;
                }
            }
        }
        if length.is_some_and(|length| body.len() < length) {
            return Err(ErrorCode::HttpResponseIncomplete);
        }
        Ok((body.len() <= limit).then_some(body))
    }

    /// Reads and drops what is left of the body, up to [`MAX_UNREAD`].
    async fn drain(mut self) {
        let mut skipped = 0;
        let mut part = Vec::with_capacity(CHUNK);
        while self.trailers.is_some() && skipped < MAX_UNREAD {
            let result;
            (result, part) = self.bytes.read(part).await;
            if let StreamResult::Dropped = result {
                self.trailers = None;
            }
            skipped += part.len();
            part.clear();
        }
    }
}

/// Whether a body has failed because it came too slowly for the server.
pub(crate) fn is_timeout(error: &ErrorCode) -> bool {
    matches!(error, ErrorCode::ConnectionReadTimeout)
}

/// The response of another component. Its body has not been read yet.
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
) -> Result<ClientResponse, ErrorCode> {
    let (trailers, sent_trailers) = wit_future::new(no_trailers);
    let (request, _) = types::Request::new(fields(headers)?, None, sent_trailers, None);
    let is_secure = url.scheme() == Some(&http::uri::Scheme::HTTPS);
    request
        .set_scheme(Some(if is_secure { &Scheme::Https } else { &Scheme::Http }))
        .and_then(|()| request.set_authority(url.authority().map(|authority| authority.as_str())))
        .and_then(|()| request.set_path_with_query(Some(target)))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let sent = client::send(request).await;
    // Dropped only after the response has arrived. Otherwise the host would have to
    // read the trailers first.
    drop(trailers);
    let response = sent?;
    let status = StatusCode::from_u16(response.get_status_code());
    let headers = response.get_headers();
    let header = |name| String::from_utf8(headers.get(name).pop()?).ok();
    Ok(ClientResponse {
        status: status.map_err(|_| ErrorCode::HttpProtocolError)?,
        content_type: header("content-type").unwrap_or_default(),
        content_length: header("content-length").and_then(|length| length.parse().ok()),
        body: Body::of(response),
    })
}

/// What `future` gives, or `None` if that takes longer than `duration`.
pub(crate) async fn within<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), pin!(spin_sdk::time::sleep(duration))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// The value of the Spin variable `name`, if the component has it.
pub(crate) async fn variable(name: &str) -> Result<Option<String>, String> {
    match variables::get(name).await {
        Ok(value) => Ok(Some(value)),
        Err(variables::Error::Undefined(_)) => Ok(None),
        Err(error) => Err(format!("the variable `{name}`: {error}")),
    }
}

pub(crate) use database::Connection;

#[cfg(not(feature = "read-only"))]
mod database {
    use spin_sdk::sqlite::{self, Error, RowResult, Value};
    use spin_sdk::wit_bindgen::StreamResult;

    /// How many rows are read at once.
    const ROWS: usize = 64;

    /// A connection to the database `default`.
    pub(crate) struct Connection(sqlite::Connection);

    impl Connection {
        /// Opens a connection, if the component may use that database.
        pub(crate) async fn open() -> Result<Option<Self>, String> {
            match sqlite::Connection::open_default().await {
                Ok(connection) => Ok(Some(Self(connection))),
                Err(Error::AccessDenied | Error::NoSuchDatabase) => Ok(None),
                Err(error) => Err(text(error)),
            }
        }

        /// Executes `statement`, and gives the rows that it returns. `execute` of the SDK
        /// is `Ok` even where the statement fails, and its first rows arrive before the
        /// statement commits. Only the result at the end tells that it succeeded.
        pub(crate) async fn execute(
            &self,
            statement: &str,
            parameters: Vec<Value>,
        ) -> Result<Vec<RowResult>, String> {
            let executed = self.0.execute(statement, parameters).await.map_err(text)?;
            let (_, mut stream, result) = executed.into_inner();
            let mut rows = Vec::new();
            loop {
                if rows.len() == rows.capacity() {
                    rows.reserve(ROWS);
                }
                let status;
                (status, rows) = stream.read(rows).await;
                if let StreamResult::Dropped = status {
                    break;
                }
            }
            result.await.map_err(text)?;
            Ok(rows)
        }
    }

    fn text(error: Error) -> String {
        match error {
            Error::Io(text) => text,
            error => error.to_string(),
        }
    }
}

/// Without the import of `spin:sqlite`.
#[cfg(feature = "read-only")]
mod database {
    use spin_sdk::sqlite::{RowResult, Value};

    /// There is none.
    pub(crate) enum Connection {}

    impl Connection {
        pub(crate) async fn open() -> Result<Option<Self>, String> {
            Ok(None)
        }

        pub(crate) async fn execute(
            &self,
            _: &str,
            _: Vec<Value>,
        ) -> Result<Vec<RowResult>, String> {
            match *self {}
        }
    }
}
