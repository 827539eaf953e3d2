//! Requests for a component that another server answers.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use http::header::{EXPECT, HOST};
use http::{HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::ext::on_informational;
use tokio::sync::Notify;
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error};

use crate::app::dispatch::unavailable;
use crate::app::loader::Loader;
use crate::body::{Body, empty};
use crate::bounds::shares::Total;
use crate::imports::network::Network;
use crate::telemetry::traces::Traces;

/// The clients on the way of a request: each server adds the one that asked it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a client expects that sends its body only if that is wanted.
const CONTINUE: &[u8] = b"100-continue";

impl Loader {
    /// Lets the server at `address` answer in place of the component `id`, whose binary need
    /// not exist then. A request that it does not answer gets a 503 with `Retry-After`.
    pub fn forward(mut self, id: &str, address: SocketAddr) -> Self {
        let network = Network::new(Total::new(self.limits.sockets).share());
        let server = Arc::new((id.to_owned(), network, self.traces.clone(), self.log.clone()));
        let forward = move |request, client| {
            let server = server.clone();
            let answer = async move {
                let (id, network, traces, log) = &*server;
                send(request, &client, address, network, traces).await.unwrap_or_else(|error| {
                    log.component(id, &format!("no response: {error}"));
                    unavailable()
                })
            };
            answer.boxed()
        };
        self.stand_ins.insert(id.to_owned(), Arc::new(forward));
        self
    }
}

/// Sends `request`, which came from `client`, to `address`, without the headers that concern a
/// single connection (RFC 9110, section 7.6.1).
async fn send(
    mut request: Request<Body>,
    client: &HeaderValue,
    address: SocketAddr,
    network: &Network,
    traces: &Traces,
) -> Result<Response<Body>, Error> {
    let invalid = |_| Error::HttpRequestUriInvalid;
    let mut uri = request.uri().clone().into_parts();
    let asked = uri.authority.replace(address.to_string().try_into().map_err(invalid)?);
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Error::HttpRequestUriInvalid)?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    // HTTP/2 has it in the URI.
    let host = asked.and_then(|host| HeaderValue::try_from(host.as_str()).ok());
    let host = headers.remove(HOST).or(host);
    DEFAULT_FORBIDDEN_HEADERS.iter().for_each(|name| _ = headers.remove(name));
    headers.extend(host.map(|host| (HOST, host)));
    let client = client.to_str().ok().and_then(|client| client.parse::<SocketAddr>().ok());
    let client = client.and_then(|client| client.ip().to_string().try_into().ok());
    headers.extend(client.map(|client| (FORWARDED_FOR, client)));
    if headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(CONTINUE)) {
        keep_body_back(&mut request);
    }
    let mut span = traces.outbound(&mut request);
    let sent = network.send(request, None).await;
    let mut response = sent.inspect_err(|error| span.failed(error))?;
    span.answered(response.status());
    DEFAULT_FORBIDDEN_HEADERS.iter().for_each(|name| _ = response.headers_mut().remove(name));
    Ok(response)
}

/// Lets the body of `request` begin once the other server sends `100 Continue`.
fn keep_body_back(request: &mut Request<Body>) {
    let wanted = Arc::new(Notify::new());
    let says = wanted.clone();
    on_informational(request, move |_| says.notify_one());
    let body = mem::replace(request.body_mut(), empty());
    let body = async move {
        wanted.notified().await;
        BodyStream::new(body)
    };
    *request.body_mut() = StreamBody::new(body.into_stream().flatten()).boxed_unsync();
}
