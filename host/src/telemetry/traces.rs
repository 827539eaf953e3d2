//! Traces of requests, with the names of Spin's spans.
//!
//! The headers of W3C Trace Context connect the spans: each takes its parent from those of
//! its request, and puts itself there. A component passes them on to its siblings. Nothing
//! else could tell which request a call belongs to: an instance has several at a time.

use http::{HeaderValue, Request, StatusCode};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;

/// What an application traces: by default, nothing.
#[derive(Clone, Default)]
pub struct Traces(pub(crate) Option<SdkTracer>);

/// A part of a trace, from when it is started until it is dropped.
pub struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Traces {
    /// A request from `client` on `route`.
    pub fn request<B>(
        &self,
        request: &mut Request<B>,
        client: &HeaderValue,
        route: Option<&str>,
    ) -> Span {
        let Some(tracer) = &self.0 else { return Span(None) };
        let uri = request.uri();
        let method = request.method().to_string();
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.clone()),
            KeyValue::new("url.path", uri.path().to_owned()),
            KeyValue::new("url.query", uri.query().unwrap_or_default().to_owned()),
            KeyValue::new("url.scheme", "http"),
        ];
        let address = client.to_str().ok().and_then(|client| client.rsplit_once(':'));
        if let Some((ip, port)) = address {
            attributes.push(KeyValue::new("network.peer.address", ip.to_owned()));
            attributes.push(KeyValue::new("network.peer.port", port.to_owned()));
        }
        let name = match route {
            Some(route) => {
                attributes.push(KeyValue::new("http.route", route.to_owned()));
                format!("{method} {route}")
            }
            None => method,
        };
        start(tracer, name, SpanKind::Server, attributes, request)
    }

    /// The component `id`, which answers a request.
    pub fn component<B>(&self, request: &mut Request<B>, id: &str) -> Span {
        let Some(tracer) = &self.0 else { return Span(None) };
        let name = format!("execute_wasm_component {id}");
        start(tracer, name, SpanKind::Internal, Vec::new(), request)
    }

    /// A request that a component sends, in this process or to another server.
    pub fn outbound<B>(&self, request: &mut Request<B>) -> Span {
        let Some(tracer) = &self.0 else { return Span(None) };
        let (method, uri) = (request.method().to_string(), request.uri());
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.clone()),
            KeyValue::new("url.full", uri.to_string()),
            KeyValue::new("server.address", uri.host().unwrap_or_default().to_owned()),
        ];
        if let Some(port) = uri.port_u16() {
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
        start(tracer, method, SpanKind::Client, attributes, request)
    }
}

/// Starts a span whose parent the headers of `request` name, and names it there.
fn start<B>(
    tracer: &SdkTracer,
    name: String,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
    request: &mut Request<B>,
) -> Span {
    let propagator = TraceContextPropagator::new();
    let headers = request.headers_mut();
    let parent = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let span = tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
    let span = span.start_with_context(tracer, &parent);
    let context = Context::new().with_remote_span_context(span.span_context().clone());
    propagator.inject_context(&context, &mut HeaderInjector(headers));
    Span(Some(span))
}

impl Span {
    /// Notes the status of the response.
    pub fn answered(&mut self, status: StatusCode) {
        let Some(span) = &mut self.0 else { return };
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
    }

    /// Notes that there is no response.
    pub fn failed(&mut self, error: impl ToString) {
        let Some(span) = &mut self.0 else { return };
        span.set_attribute(KeyValue::new("error.type", error.to_string()));
        span.set_status(Status::error(""));
    }
}
