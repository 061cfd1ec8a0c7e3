//! Metrics in Prometheus's format.
//!
//! Every service has a registry of its own and keeps the handles it draws from it: looking a metric up by name costs several
//! times as much as counting.

mod histograms;

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use self::histograms::Histograms;

/// Histogram buckets in seconds: from 25 µs, since an answer from memory takes less than the first bucket of most libraries.
pub const BUCKETS: &[f64] = &[
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0,
];

const METADATA: Metadata<'static> = Metadata::new("tessera", Level::INFO, None);

/// A registry of metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
}

struct Registry {
    /// Counters and gauges.
    recorder: PrometheusRecorder,
    histograms: Histograms,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics(…)")
    }
}

impl Metrics {
    /// An empty registry that already says which build this is (`tessera_build_info`).
    #[must_use]
    pub fn new(service: &'static str, version: &'static str) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = Self { registry: Arc::new(Registry { recorder, histograms: Histograms::default() }) };
        let labels = &[("service", service), ("version", version)];
        metrics.gauge("tessera_build_info", "Always 1; the labels say which build runs.", labels).set(1.0);
        metrics
    }

    /// A counter's handle. Its name ends in `_total`.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        self.registry.recorder.describe_counter(KeyName::from_const_str(name), None, SharedString::const_str(help));
        self.registry.recorder.register_counter(&key(name, labels), &METADATA)
    }

    /// A gauge's handle.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &'static str)]) -> Gauge {
        self.registry.recorder.describe_gauge(KeyName::from_const_str(name), None, SharedString::const_str(help));
        self.registry.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram's handle; it takes seconds. Values of labels may be known only while the process runs; there must be few of them.
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        self.registry.histograms.draw(name, help, labels)
    }

    /// The text Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.registry.recorder.handle().render();
        self.registry.histograms.render(&mut text);
        text
    }
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    let labels: Vec<_> = labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_help_and_small_buckets() {
        let metrics = Metrics::new("test", "0.0.0");
        metrics.counter("tessera_test_total", "Counts.", &[("result", "active")]).increment(3);
        metrics.histogram("tessera_test_seconds", "Takes.", &[]).record(0.000_03);
        let text = metrics.render();
        for line in [
            "# HELP tessera_test_total Counts.",
            "tessera_test_total{result=\"active\"} 3",
            "tessera_test_seconds_bucket{le=\"0.000025\"} 0",
            "tessera_test_seconds_bucket{le=\"0.00005\"} 1",
            "tessera_build_info{service=\"test\",version=\"0.0.0\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
    }

    #[test]
    fn two_registries_share_nothing() {
        let (one, other) = (Metrics::new("a", "1"), Metrics::new("b", "1"));
        one.counter("tessera_test_total", "Counts.", &[]).increment(1);
        assert!(!other.render().contains("tessera_test_total"));
    }
}
