//! Traces of requests, with the names of Spin's spans, exported by OTLP.
//!
//! The headers of W3C Trace Context connect the spans: each takes its parent from those of
//! its request, and puts itself there. A component passes them on to its siblings. Nothing
//! else could tell which request a call belongs to: an instance has several at a time.

use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HeaderInjector, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::body::full;
use crate::network::{self, Client};
use crate::output;

/// How long the collector may take for its answer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the log says at most that spans are lost.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What an application traces: by default, nothing.
#[derive(Clone, Default)]
pub struct Traces(Option<SdkTracer>);

/// Sends the spans of [`Traces`] to a collector, in batches.
pub struct Exporter(SdkTracerProvider);

/// A part of a trace, from when it is started until it is dropped.
pub struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Traces {
    /// The traces that the environment asks for, as in Spin: if it has
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, a URL, and
    /// `OTEL_SDK_DISABLED` is empty. Their service is called `spin`, as there, unless
    /// `OTEL_SERVICE_NAME` has another name.
    ///
    /// # Errors
    /// If this is not called in a tokio runtime, or if the other variables of OpenTelemetry
    /// ask for what this host does not have, which is every protocol but `http/protobuf`.
    pub fn from_environment() -> Result<(Self, Option<Exporter>)> {
        let has = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_asked_for =
            has("OTEL_EXPORTER_OTLP_ENDPOINT") || has("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        if !is_asked_for || has("OTEL_SDK_DISABLED") {
            return Ok((Self::default(), None));
        }
        let protocols = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        if let Some(name) = protocols.into_iter().find(|name| has(name)) {
            let protocol = env::var(name).unwrap_or_default();
            if protocol != "http/protobuf" {
                bail!("{name} is {protocol:?}; this host exports by http/protobuf only");
            }
        }
        let runtime = Handle::try_current().context("traces need a tokio runtime")?;
        let exporter =
            SpanExporter::builder().with_http().with_http_client(Collector::new(runtime));
        let exporter = exporter.build().context("can't export traces")?;
        let mut resource = Resource::builder();
        if !has("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name("spin");
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        Ok((Self(Some(provider.tracer("host"))), Some(Exporter(provider))))
    }

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

impl Exporter {
    /// Sends what has not been sent.
    pub async fn shut_down(self) {
        // It waits for the collector, with which this thread speaks.
        let shut_down = spawn_blocking(move || self.0.shutdown_with_timeout(EXPORT_TIMEOUT)).await;
        if !matches!(shut_down, Ok(Ok(()))) {
            output::stderr("the last spans could not be exported");
        }
    }
}

/// The collector, over connections of this thread.
#[derive(Debug)]
struct Collector {
    client: Client<HttpConnector>,
    runtime: Handle,
    logged: Mutex<Option<Instant>>,
}

impl Collector {
    fn new(runtime: Handle) -> Self {
        Self { client: network::client(network::connector()), runtime, logged: Mutex::new(None) }
    }

    fn log(&self, error: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL) {
            *logged = Some(Instant::now());
            output::stderr(format!(
                "can't export traces: {error}; check OTEL_EXPORTER_OTLP_ENDPOINT"
            ));
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // The exporter calls this on a thread of its own, without a runtime.
        let sending = self.runtime.spawn(async move {
            let response = timeout(EXPORT_TIMEOUT, client.request(request.map(full))).await??;
            let (head, body) = response.into_parts();
            let body = timeout(EXPORT_TIMEOUT, body.collect()).await??;
            Ok(Response::from_parts(head, body.to_bytes()))
        });
        let response: Result<_, HttpError> = sending.await?;
        match &response {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.log(&format!("the collector answers {}", response.status())),
            Err(error) => self.log(&format!("{error:#}")),
        }
        response
    }
}
