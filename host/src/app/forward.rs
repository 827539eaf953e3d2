//! Requests for a component that another server answers.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use futures::{FutureExt, StreamExt};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body::Body as _;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::ext::on_informational;
use tokio::sync::Notify;
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

use crate::body::{Body, empty};
use crate::imports::network::Network;
use crate::manifest::allowed_hosts::sibling_id;
use crate::telemetry::traces::Traces;

/// The clients on the way of a request: each server adds the one that asked it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A server that answers in place of a component.
pub struct Forward {
    /// Where it is.
    pub server: Authority,
    /// The connections to it.
    pub network: Network,
}

impl Forward {
    /// Sends `request`, which came from `client`, without the headers that a component does not
    /// see either.
    ///
    /// # Errors
    /// If there is no response.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        client: &HeaderValue,
        traces: &Traces,
    ) -> Result<Response<Body>> {
        let mut uri = request.uri().clone().into_parts();
        let asked = uri.authority.replace(self.server.clone());
        *request.uri_mut() = Uri::from_parts(uri)?;
        *request.version_mut() = Version::HTTP_11;
        let has_body = !request.body().is_end_stream();
        let headers = request.headers_mut();
        DEFAULT_FORBIDDEN_HEADERS.iter().for_each(|name| _ = headers.remove(name));
        // A chained request names the component, which no other server knows as a host.
        let asked = asked.filter(|asked| sibling_id(asked.host()).is_none());
        if let Some(asked) = asked {
            headers.insert(HOST, asked.as_str().parse()?);
        }
        if has_body && !headers.contains_key(CONTENT_LENGTH) {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let client = client.to_str()?.parse::<SocketAddr>()?.ip();
        headers.append(FORWARDED_FOR, client.to_string().parse()?);
        let expected = headers.get(EXPECT).map(HeaderValue::as_bytes).unwrap_or_default();
        if has_body && expected.eq_ignore_ascii_case(b"100-continue") {
            // The client sends the body once it is read.
            let wanted = Arc::new(Notify::new());
            let is_wanted = wanted.clone();
            on_informational(&mut request, move |_| wanted.notify_one());
            let body = mem::replace(request.body_mut(), empty());
            let body = async move { is_wanted.notified().await }.map(|()| BodyStream::new(body));
            *request.body_mut() = StreamBody::new(body.into_stream().flatten()).boxed_unsync();
        }
        let mut span = traces.outbound(&mut request);
        let sent = self.network.send(request, None).await;
        let mut response = sent.inspect_err(|error| span.failed(error))?;
        span.answered(response.status());
        let headers = response.headers_mut();
        DEFAULT_FORBIDDEN_HEADERS.iter().for_each(|name| _ = headers.remove(name));
        Ok(response)
    }
}
