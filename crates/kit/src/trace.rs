//! Traces, for a collector that speaks OTLP over gRPC.
//!
//! A span is made only for a call that is traced, which is decided before (`sampling`): where tracing is off, or a call is not traced,
//! there is no span. What ends goes into a bounded queue, from which a thread of its own sends batches; no call ever waits for the
//! collector, and what does not fit is dropped and counted (`drops`).

pub mod context;
mod drops;
mod outgoing;
pub(crate) mod sampling;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData};
use tonic::transport::ClientTlsConfig;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use crate::config::Telemetry;

pub use context::TraceParent;
pub use drops::count_drops;
pub use outgoing::outgoing;

use drops::{Bounded, Drops};

/// The target of every span that is exported, and of nothing else: logs do not show them, and traces have nothing but them.
pub(crate) const TARGET: &str = "tessera_trace";

/// How many spans may wait to be sent.
const QUEUE: usize = 4096;

/// How many are sent at once.
const BATCH: usize = 512;

/// How often they are.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long the collector may take for a batch.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long a stopping process waits for the last of them.
const FLUSH: Duration = Duration::from_secs(2);

/// A connection to a collector.
pub struct Tracing {
    provider: SdkTracerProvider,
    drops: Arc<Drops>,
}

/// Why traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The exporter refuses its settings.
    #[error("traces cannot be exported as [telemetry] says: correct otlp_endpoint, or leave it empty for no traces")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl std::fmt::Debug for Tracing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tracing(…)")
    }
}

impl Tracing {
    /// Prepares the export; `None` where it is off. Connects when there is something to send, and again whenever it must. Needs a
    /// runtime.
    ///
    /// # Errors
    /// [`TraceError::Exporter`].
    pub fn open(
        telemetry: &Telemetry,
        program: &'static str,
        version: &'static str,
    ) -> Result<Option<Self>, TraceError> {
        if !telemetry.is_on() {
            return Ok(None);
        }
        let exporter =
            SpanExporter::builder().with_tonic().with_endpoint(&telemetry.otlp_endpoint).with_timeout(TIMEOUT);
        let exporter = if telemetry.otlp_endpoint.starts_with("https://") {
            exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
        } else {
            exporter
        };
        let drops = Arc::<Drops>::default();
        let exporter = Reporting::new(exporter.build()?, Arc::clone(&drops));
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(INTERVAL)
            .build();
        let name = Some(telemetry.service_name.clone()).filter(|name| !name.is_empty());
        let resource = Resource::builder_empty()
            .with_service_name(name.unwrap_or_else(|| program.to_owned()))
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(Bounded::new(processor, QUEUE, Arc::clone(&drops)))
            // Decided before there is a span.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .build();
        Ok(Some(Self { provider, drops }))
    }

    /// What a subscriber must have for spans to be exported.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("tessera"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }

    /// Sends what is left, within two seconds.
    pub async fn flush(self) {
        let ending = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH));
        // Not to have reached the collector was told when it was tried.
        let _ = tokio::time::timeout(FLUSH * 2, ending).await;
    }
}

/// The exporter, which says once when the collector is lost and once when it is found, and once when spans are too many for it: never
/// for each batch.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    drops: Arc<Drops>,
    failing: AtomicBool,
    overflowing: AtomicBool,
}

impl<E> Reporting<E> {
    fn new(exporter: E, drops: Arc<Drops>) -> Self {
        Self { exporter, drops, failing: AtomicBool::new(false), overflowing: AtomicBool::new(false) }
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let overflowed = self.drops.taken(spans);
        if !self.overflowing.swap(overflowed > 0, Ordering::Relaxed) && overflowed > 0 {
            tracing::warn!(spans = overflowed, "more spans end than the collector takes: what does not fit is dropped");
        }
        let result = self.exporter.export(batch).await;
        if result.is_err() {
            self.drops.refused(spans);
        }
        match (&result, self.failing.swap(result.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(%error, spans, "the collector takes no traces: they are dropped until it does");
            }
            (Ok(()), true) => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// A span below one of another process, or one that begins a trace.
pub(crate) fn below(span: Span, parent: Option<&TraceParent>) -> Span {
    if let Some(parent) = parent {
        use opentelemetry::trace::TraceContextExt as _;
        // Where no subscriber exports there is nothing to be below.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent.remote()));
    }
    span
}

/// Where a span stands; `None` where it is not exported.
pub(crate) fn place(span: &Span) -> Option<TraceParent> {
    use opentelemetry::trace::TraceContextExt as _;
    if span.is_disabled() {
        return None;
    }
    TraceParent::of(span.context().span().span_context())
}

/// Gives a span that has begun another name.
pub(crate) fn rename(span: &Span, name: String) {
    use opentelemetry::trace::TraceContextExt as _;
    span.context().span().update_name(name);
}

/// Tells that something that was traced elsewhere has been done here. `parent` comes from a peer that is trusted.
pub fn done(name: &'static str, parent: &TraceParent) {
    if parent.is_sampled() {
        let span = tracing::info_span!(target: TARGET, parent: None, "done", otel.name = name, otel.kind = "consumer");
        drop(below(span, Some(parent)));
    }
}

#[cfg(test)]
mod tests;
