//! Where the kit meets the host: requests that come in, responses that go out.
//!
//! The SDK's `http_service` reads every header of a request into a map and
//! writes a response from another one; each header is a string that crosses
//! from memory to memory. The services need two headers, so the kit asks for
//! those, on the types of WASI that the SDK is made of.

use http::StatusCode;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{self, ErrorCode, Fields, Request, Response, Scheme};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureReader, StreamReader, StreamResult, spawn};

use crate::route::answer;
use crate::{Call, Route, respond};

/// Makes the crate a component that answers HTTP requests (the world
/// `wasi:http/service`): each by the handler that the function `$route` finds.
#[macro_export]
macro_rules! service {
    ($route:ident) => {
        mod component {
            use $crate::spin_sdk::wasip3;

            struct Service;

            impl wasip3::exports::http::handler::Guest for Service {
                async fn handle(
                    request: wasip3::http::types::Request,
                ) -> Result<wasip3::http::types::Response, wasip3::http::types::ErrorCode> {
                    $crate::wasi::handle(request, super::$route).await
                }
            }

            wasip3::http::service::export!(Service with_types_in wasip3);
        }
    };
}

/// Answers `request` with the handler that `route` finds for it.
///
/// # Errors
/// If the request or the response is none that HTTP knows; the host then says
/// so to the client.
pub async fn handle(
    request: Request,
    route: fn(&Call) -> Route<'_>,
) -> Result<Response, ErrorCode> {
    let method = request.get_method().try_into();
    let method = method.map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
    let target = request.get_path_with_query().unwrap_or_default();
    let headers = request.get_headers();
    let call = Call::new(method, &target, move |name| headers.get(name));
    send(answer(call, route).await)
}

fn send(response: respond::Response) -> Result<Response, ErrorCode> {
    let headers = fields(&response.headers)?;
    let (contents, trailers) = body(response.body);
    let (sent, _) = Response::new(headers, contents, trailers);
    if response.status != StatusCode::OK {
        _ = sent.set_status_code(response.status.as_u16());
    }
    Ok(sent)
}

/// Headers of this library's own making, which are known to be valid.
fn fields(headers: &[(String, Vec<u8>)]) -> Result<Fields, ErrorCode> {
    Fields::from_list(headers).map_err(|_| ErrorCode::InternalError(None))
}

/// A body with `content`, which goes out once the host reads it.
fn body(content: Vec<u8>) -> (Option<StreamReader<u8>>, FutureReader<Trailers>) {
    let (end, ended) = wit_future::new(no_trailers);
    if content.is_empty() {
        return (None, ended);
    }
    let (mut writer, contents) = wit_stream::new();
    spawn(async move {
        writer.write_all(content).await;
        drop((writer, end));
    });
    (Some(contents), ended)
}

/// What follows a body, as WASI has it.
type Trailers = Result<Option<types::Trailers>, ErrorCode>;

fn no_trailers() -> Trailers {
    Ok(None)
}

/// What another component answers.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    length: Option<usize>,
    response: Response,
}

/// Sends a GET request for the path and query `target` to `authority`.
///
/// # Errors
/// If there is no response.
pub(crate) async fn get(
    authority: &str,
    target: &str,
    headers: &[(String, Vec<u8>)],
) -> Result<Answered, ErrorCode> {
    let headers = fields(headers)?;
    let (end, ended) = wit_future::new(no_trailers);
    let (request, _) = Request::new(headers, None, ended, None);
    request
        .set_scheme(Some(&Scheme::Http))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(target)))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let response = client::send(request).await;
    // Not before: as long as nobody reads it, the end of the empty body would
    // be one more thing to wait for.
    drop(end);
    let response = response?;
    let headers = response.get_headers();
    let header = |name| String::from_utf8(headers.get(name).pop()?).ok();
    Ok(Answered {
        status: response.get_status_code(),
        content_type: header("content-type").unwrap_or_default(),
        length: header("content-length").and_then(|length| length.parse().ok()),
        response,
    })
}

/// How much of a body is read at once whose length nobody tells, in bytes.
const CHUNK: usize = 16 * 1024;

impl Answered {
    /// The whole body, of at most `limit` bytes, and its end, if that is still to
    /// come.
    ///
    /// # Errors
    /// If it is longer, or breaks off.
    pub(crate) async fn read(self, limit: usize) -> Result<(Vec<u8>, Option<End>), String> {
        let Self { length, response, .. } = self;
        let too_long = || format!("more than {limit} bytes");
        if length.is_some_and(|length| length > limit) {
            return Err(too_long());
        }
        let (_done, done) = wit_future::new(|| Ok(()));
        let (mut contents, ended) = Response::consume_body(response, done);
        let mut content = Vec::with_capacity(length.unwrap_or(CHUNK));
        while length != Some(content.len()) {
            if content.len() == content.capacity() {
                content.reserve(CHUNK);
            }
            let result;
            (result, content) = contents.read(content).await;
            if content.len() > limit {
                return Err(too_long());
            }
            if let StreamResult::Dropped = result {
                ended.await.map_err(|error| error.to_string())?;
                return Ok((content, None));
            }
        }
        Ok((content, Some(End { contents, ended })))
    }
}

/// The end of a body of which all has come.
pub(crate) struct End {
    contents: StreamReader<u8>,
    ended: FutureReader<Trailers>,
}

impl End {
    /// Waits until nothing is left to be done for the body, on the other side too.
    pub(crate) async fn wait(mut self) {
        _ = self.contents.read(Vec::with_capacity(1)).await;
        _ = self.ended.await;
    }
}
