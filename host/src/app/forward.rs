//! Requests for a component that another server answers.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use futures::{FutureExt, StreamExt};
use http::header::{EXPECT, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::ext::on_informational;
use tokio::sync::Notify;
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

use crate::app::dispatch::unavailable;
use crate::app::loader::Loader;
use crate::body::{Body, empty};
use crate::bounds::shares::Total;
use crate::imports::network::Network;
use crate::manifest::allowed_hosts::sibling_id;
use crate::telemetry::traces::Traces;

/// The clients on the way of a request: each server adds the one that asked it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Loader {
    /// Lets the server at `address` answer in place of the component `id`, whose binary need
    /// not exist then. A request that it does not answer gets a 503 with `Retry-After`.
    pub fn forward(mut self, id: &str, address: SocketAddr) -> Self {
        let network = Network::new(Total::new(self.limits.sockets).share());
        let (traces, log) = (self.traces.clone(), self.log.clone());
        let server = Arc::new((id.to_owned(), network, traces, log));
        let forward = move |request, client| {
            let server = server.clone();
            let answer = async move {
                let (id, network, traces, log) = &*server;
                send(request, &client, address, network, traces).await.unwrap_or_else(|error| {
                    log.component(id, &format!("no response: {error:#}"));
                    unavailable()
                })
            };
            answer.boxed()
        };
        self.stand_ins.insert(id.to_owned(), Arc::new(forward));
        self
    }
}

/// Sends `request`, which came from `client`, to the server at `address`.
async fn send(
    mut request: Request<Body>,
    client: &HeaderValue,
    address: SocketAddr,
    network: &Network,
    traces: &Traces,
) -> Result<Response<Body>> {
    let mut uri = request.uri().clone().into_parts();
    let asked = uri.authority.replace(Authority::try_from(address.to_string())?);
    *request.uri_mut() = Uri::from_parts(uri)?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    // HTTP/2 has it in the URI. A sibling has none for others.
    let asked = asked.filter(|asked| sibling_id(asked.host()).is_none());
    let host = headers.remove(HOST).or(asked.and_then(|asked| asked.as_str().parse().ok()));
    remove_hop_by_hop(headers);
    headers.extend(host.map(|host| (HOST, host)));
    let client = client.to_str()?.parse::<SocketAddr>()?.ip();
    headers.append(FORWARDED_FOR, client.to_string().parse()?);
    if headers.get(EXPECT).is_some_and(|value| value == "100-continue") {
        keep_body_back(&mut request);
    }
    let mut span = traces.outbound(&mut request);
    let sent = network.send(request, None).await;
    let mut response = sent.inspect_err(|error| span.failed(error))?;
    span.answered(response.status());
    remove_hop_by_hop(response.headers_mut());
    Ok(response)
}

/// Removes what concerns a single connection (RFC 9110, section 7.6.1).
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    DEFAULT_FORBIDDEN_HEADERS.iter().for_each(|name| _ = headers.remove(name));
}

/// Lets the body of `request` begin once the other server sends `100 Continue`.
fn keep_body_back(request: &mut Request<Body>) {
    let wanted = Arc::new(Notify::new());
    let is_wanted = wanted.clone();
    on_informational(request, move |_| wanted.notify_one());
    let body = mem::replace(request.body_mut(), empty());
    let body = async move { is_wanted.notified().await }.map(|()| BodyStream::new(body));
    *request.body_mut() = StreamBody::new(body.into_stream().flatten()).boxed_unsync();
}
