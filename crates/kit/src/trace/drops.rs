//! What is traced and never reaches the collector. No call waits for it, and no line tells of each: it is counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::Counter;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::Tracing;
use crate::metrics::Metrics;

/// Has spans that are dropped counted among a service's metrics; where tracing is off, there are none.
pub fn count_drops(tracing: Option<&Tracing>, metrics: &Metrics) {
    let counters = Counters::new(metrics);
    if let Some(tracing) = tracing {
        // Once is enough.
        let _ = tracing.drops.counters.set(counters);
    }
}

#[derive(Debug)]
struct Counters {
    queue: Counter,
    collector: Counter,
}

impl Counters {
    fn new(metrics: &Metrics) -> Self {
        let counter = |reason| {
            let help = "Spans that never reached the collector: no room in the queue, or not taken by the collector.";
            metrics.counter("tessera_spans_dropped_total", help, &[("reason", reason)])
        };
        Self { queue: counter("queue"), collector: counter("collector") }
    }
}

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Drops {
    /// Ended, and not handed to the exporter yet.
    waiting: AtomicUsize,
    /// Dropped since the exporter was last handed something.
    overflowed: AtomicUsize,
    counters: OnceLock<Counters>,
}

impl Drops {
    /// Whether there is room for one more, which is then taken.
    pub(super) fn enters(&self, most: usize) -> bool {
        let next = |waiting| (waiting < most).then_some(waiting + 1);
        let room = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok();
        if !room {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            if let Some(counters) = self.counters.get() {
                counters.queue.increment(1);
            }
        }
        room
    }

    /// The exporter was handed so many; how many there was no room for since the last time.
    pub(super) fn taken(&self, spans: usize) -> usize {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.overflowed.swap(0, Ordering::Relaxed)
    }

    /// The collector did not take so many.
    pub(super) fn refused(&self, spans: usize) {
        if let Some(counters) = self.counters.get() {
            counters.collector.increment(u64::try_from(spans).unwrap_or(u64::MAX));
        }
    }
}

/// A queue of at most so many spans. The one inside drops what does not fit and tells nobody, so nothing gets there that does not.
#[derive(Debug)]
pub(super) struct Bounded<P> {
    inner: P,
    most: usize,
    drops: Arc<Drops>,
}

impl<P> Bounded<P> {
    /// `most` is at most what fits inside.
    pub(super) fn new(inner: P, most: usize, drops: Arc<Drops>) -> Self {
        Self { inner, most, drops }
    }
}

impl<P: SpanProcessor> SpanProcessor for Bounded<P> {
    fn on_start(&self, span: &mut Span, cx: &Context) {
        self.inner.on_start(span, cx);
    }

    fn on_end(&self, span: SpanData) {
        if self.drops.enters(self.most) {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
