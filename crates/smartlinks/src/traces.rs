//! Traces by OTLP (`otel.endpoint`): spans of the target [`TARGET`], in batches, over an HTTP client of our own.
//!
//! Spans name what was done, never to whom: no address of a visitor, no token and no URL is in one. A collector that is
//! slow or away costs spans, nothing else.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};
use url::Url;

use crate::failure::Failure;

/// Target of every span that is traced; as their level is `trace`, no log shows them.
const TARGET: &str = "otel";
/// Longest time for one batch.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The running export. Dropped, it sends what is left.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Makes it; nothing is sent before a span ends.
    ///
    /// # Errors
    /// [`Failure::Usage`] naming `otel.endpoint`.
    pub(crate) fn to(endpoint: &Url, runtime: Handle) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::Usage(format!("error: otel.endpoint: traces can't be sent: {error}"))
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new(runtime).map_err(|error| failed(&error))?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.as_str())
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| failed(&error))?;
        let resource = Resource::builder().with_service_name("smartlinks").build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Self(provider))
    }

    /// Takes spans over as they end.
    pub(crate) fn layer<S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync>(
        &self,
    ) -> impl Layer<S> + Send + Sync + use<S> {
        let tracer = self.0.tracer("smartlinks");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        let layer = layer.with_location(false).with_threads(false).with_target(false);
        layer.with_filter(Targets::new().with_target(TARGET, Level::TRACE))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that is away has lost them.
        let _ = self.0.shutdown();
    }
}

/// Sends batches: the exporter's own thread has no runtime, so the service's does it.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
}

impl Sender {
    fn new(runtime: Handle) -> reqwest::Result<Self> {
        // An error means that another part of the process has installed one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client, runtime })
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let request = request.try_into()?;
            let answer: reqwest::Response = client.execute(request).await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = sent.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
