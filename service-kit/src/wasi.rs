//! Where the kit meets the host: requests that come in, responses that go out.
//!
//! The SDK's `http_service` reads every header of a request into a map and
//! writes a response from another one; each header is a string that crosses
//! from memory to memory. The services need two headers, so the kit asks for
//! those, on the types of WASI that the SDK is made of.

use http::StatusCode;
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme, Trailers};
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
    let headers = Fields::from_list(&response.headers)
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    let (contents, trailers) = body(response.body);
    let (sent, _) = Response::new(headers, contents, trailers);
    if response.status != StatusCode::OK {
        _ = sent.set_status_code(response.status.as_u16());
    }
    Ok(sent)
}

type Ended = FutureReader<Result<Option<Trailers>, ErrorCode>>;

/// A body with `content`, which goes out once the host reads it.
fn body(content: Vec<u8>) -> (Option<StreamReader<u8>>, Ended) {
    let (end, ended) = wit_future::new(|| Ok(None));
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

/// Sends a GET request for the path and query `target` to `authority`.
///
/// # Errors
/// If there is no response.
pub(crate) async fn get(
    authority: &str,
    target: &str,
    headers: &[(String, Vec<u8>)],
) -> Result<Response, ErrorCode> {
    let headers = Fields::from_list(headers)
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
    let (_, ended) = body(Vec::new());
    let (request, _) = Request::new(headers, None, ended, None);
    request
        .set_scheme(Some(&Scheme::Http))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(target)))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    client::send(request).await
}

/// How much of a body is read at once whose length nobody tells, in bytes.
const CHUNK: usize = 16 * 1024;

/// The whole body of `response`, of at most `limit` bytes.
///
/// # Errors
/// If it is longer, or breaks off.
pub(crate) async fn read(response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let length = response.get_headers().get("content-length").pop();
    let length: Option<usize> = length.and_then(|text| str::from_utf8(&text).ok()?.parse().ok());
    let too_long = || format!("more than {limit} bytes");
    if length.is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let (_done, done) = wit_future::new(|| Ok(()));
    let (mut contents, ended) = Response::consume_body(response, done);
    let mut content = Vec::with_capacity(length.unwrap_or(CHUNK));
    // Of a known length, the end need not be waited for.
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
            break;
        }
    }
    Ok(content)
}
