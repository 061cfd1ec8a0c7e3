//! The introspector's metrics.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use tessera_check::Source;
use tessera_kit::metrics::Metrics;

/// Handles of every metric, drawn once.
pub(crate) struct Measures {
    cache: BySource,
    signature: BySource,
    /// What was no token of ours at the first look.
    shape: BySource,
    unanswered: Unanswered,
    lag: Gauge,
    entries: Gauge,
    remembered: Gauge,
    resyncs: Counter,
    rewritten: Gauge,
}

struct BySource {
    active: Counter,
    inactive: Counter,
    duration: Histogram,
}

/// What got no answer.
struct Unanswered {
    error: Counter,
    refused: Counter,
    duration: Histogram,
}

const TOTAL: &str = "tessera_introspections_total";
const TOTAL_HELP: &str =
    "Introspections, by their result and by how it was found out; error is our failure, refused the caller's mistake.";

/// The source of what got no answer.
const NO_SOURCE: &str = "none";

fn total(metrics: &Metrics, result: &'static str, source: &'static str) -> Counter {
    metrics.counter(TOTAL, TOTAL_HELP, &[("result", result), ("source", source)])
}

fn duration(metrics: &Metrics, source: &'static str) -> Histogram {
    let help = "How long introspections took, waits included; of those without an answer, how long they waited.";
    metrics.histogram("tessera_introspection_duration_seconds", help, &[("source", source)])
}

/// A source as labels and traces have it.
pub(crate) fn name(source: Source) -> &'static str {
    match source {
        Source::Memory => "cache",
        Source::Signature => "signature",
        Source::Shape => "shape",
    }
}

impl BySource {
    fn new(metrics: &Metrics, source: &'static str) -> Self {
        let total = |result| total(metrics, result, source);
        Self { active: total("active"), inactive: total("inactive"), duration: duration(metrics, source) }
    }
}

impl Unanswered {
    fn new(metrics: &Metrics) -> Self {
        let total = |result| total(metrics, result, NO_SOURCE);
        Self { error: total("error"), refused: total("refused"), duration: duration(metrics, NO_SOURCE) }
    }
}

impl Measures {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            cache: BySource::new(metrics, name(Source::Memory)),
            signature: BySource::new(metrics, name(Source::Signature)),
            shape: BySource::new(metrics, name(Source::Shape)),
            unanswered: Unanswered::new(metrics),
            lag: metrics.gauge(
                "tessera_replica_lag_seconds",
                "How long ago the issuer was last heard by a replica that has caught up; +Inf before that.",
                &[],
            ),
            entries: metrics.gauge("tessera_replica_entries", "Facts of the log held in memory.", &[]),
            remembered: metrics.gauge("tessera_verified_tokens", "Verified tokens that are remembered.", &[]),
            resyncs: metrics.counter("tessera_replica_resyncs_total", "Snapshots installed.", &[]),
            rewritten: metrics.gauge(
                "tessera_log_rewritten",
                "1 where the issuer's database lacks what was applied here: it was set back without a new epoch.",
                &[],
            ),
        }
    }

    /// An answer.
    pub(crate) fn introspected(&self, source: Source, active: bool, took: Duration) {
        let measures = match source {
            Source::Memory => &self.cache,
            Source::Signature => &self.signature,
            Source::Shape => &self.shape,
        };
        if active { &measures.active } else { &measures.inactive }.increment(1);
        measures.duration.record(took.as_secs_f64());
    }

    /// No answer, by our fault or the caller's, after so long a wait.
    pub(crate) fn unanswered(&self, ours: bool, waited: Duration) {
        let measures = &self.unanswered;
        if ours { &measures.error } else { &measures.refused }.increment(1);
        measures.duration.record(waited.as_secs_f64());
    }

    /// Whether the issuer's log is known to be another one than was applied here.
    pub(crate) fn rewritten(&self, rewritten: bool) {
        self.rewritten.set(if rewritten { 1.0 } else { 0.0 });
    }

    pub(crate) fn resynced(&self) {
        self.resyncs.increment(1);
    }

    pub(crate) fn replica(&self, unheard: Option<Duration>, entries: usize, remembered: usize) {
        self.lag.set(unheard.map_or(f64::INFINITY, |unheard| unheard.as_secs_f64()));
        self.entries.set(as_f64(entries));
        self.remembered.set(as_f64(remembered));
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge need not count to the last of 2^53")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
