//! The export of traces by OTLP.

use std::env;
use std::time::Duration;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use http::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::error::Error;
use crate::telemetry::log::{Log, Notice};
use crate::telemetry::traces::Traces;

/// How long the collector may take for its answer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends the spans of [`Traces`] to a collector, in batches.
pub struct Exporter {
    provider: SdkTracerProvider,
    log: Log,
}

impl Traces {
    /// The traces that the environment asks for, as in Spin: if it has
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, a URL, and
    /// `OTEL_SDK_DISABLED` is empty. Their service is called `spin`, as there, unless
    /// `OTEL_SERVICE_NAME` has another name. `log` says what can't be exported.
    ///
    /// # Errors
    /// If this is not called in a tokio runtime, or if the other variables of OpenTelemetry
    /// ask for what this host does not have, which is every protocol but `http/protobuf`.
    pub fn from_environment(log: &Log) -> Result<(Self, Option<Exporter>), Error> {
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
                let message = "this host exports by http/protobuf only";
                return Err(Error::Traces(anyhow!("{name} is {protocol:?}; {message}")));
            }
        }
        let exporter = Collector::new(log).and_then(|collector| {
            let exporter = SpanExporter::builder().with_http().with_http_client(collector);
            exporter.build().context("can't export traces")
        });
        let mut resource = Resource::builder();
        if !has("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name("spin");
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter.map_err(Error::Traces)?)
            .build();
        let traces = Self(Some(provider.tracer("host")));
        Ok((traces, Some(Exporter { provider, log: log.clone() })))
    }
}

impl Exporter {
    /// Sends what has not been sent.
    pub async fn shut_down(self) {
        let Self { provider, log } = self;
        // It waits for the collector, with which this thread speaks.
        let shut_down =
            spawn_blocking(move || provider.shutdown_with_timeout(EXPORT_TIMEOUT)).await;
        if !matches!(shut_down, Ok(Ok(()))) {
            log.host("the last spans could not be exported");
        }
    }
}

/// The collector, over connections of a runtime.
struct Collector {
    client: HyperClient<HttpsConnector<HttpConnector>>,
    runtime: Handle,
    log: Log,
    notice: Notice,
}

impl Collector {
    fn new(log: &Log) -> anyhow::Result<Self> {
        let runtime = Handle::try_current().context("traces need a tokio runtime")?;
        let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http();
        let client = HyperClient::new(connector.enable_http1().build(), EXPORT_TIMEOUT, None);
        Ok(Self { client, runtime, log: log.clone(), notice: Notice::default() })
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Collector")
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // The exporter calls this on a thread of its own, without a runtime.
        let sending = self.runtime.spawn(async move { client.send_bytes(request).await });
        let response = sending.await?;
        let error = match &response {
            Ok(good) if good.status().is_success() => return response,
            Ok(response) => format!("the collector answers {}", response.status()),
            Err(error) => format!("{error:#}"),
        };
        self.notice.write(&self.log, || {
            format!("can't export traces: {error}; check OTEL_EXPORTER_OTLP_ENDPOINT")
        });
        response
    }
}
