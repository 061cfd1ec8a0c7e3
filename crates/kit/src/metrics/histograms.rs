//! Histograms that are counted where they are recorded.
//!
//! The exporter's own keep each sample with its time until somebody folds them: a clock read a call, and at a hundred thousand calls
//! a second megabytes between two foldings, which then hold up the runtime. Here a sample is two additions, and a scrape reads what
//! is there (ADR 20).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Histogram, HistogramFn};

use super::BUCKETS;

/// Samples in seconds, by bucket. The last bucket has what is beyond all bounds.
struct Samples {
    counts: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Samples {
    fn new() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BUCKETS.len() + 1], nanoseconds: AtomicU64::new(0) }
    }

    /// How many there are up to and with each bucket.
    fn cumulated(&self) -> [u64; BUCKETS.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|at| {
            sum += self.counts[at].load(Ordering::Relaxed);
            sum
        })
    }
}

impl HistogramFn for Samples {
    fn record(&self, seconds: f64) {
        let bucket = BUCKETS.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is not positive counts as none"
        )]
        self.nanoseconds.fetch_add((seconds * 1e9) as u64, Ordering::Relaxed);
    }
}

/// The histograms of a registry, by name and labels.
#[derive(Default)]
pub(super) struct Histograms(Mutex<BTreeMap<&'static str, Family>>);

struct Family {
    help: &'static str,
    /// By labels as they are written.
    series: BTreeMap<String, Arc<Samples>>,
}

impl Histograms {
    /// The handle of one; the same for the same name and labels.
    pub(super) fn draw(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        let mut families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| Family { help, series: BTreeMap::new() });
        let samples = family.series.entry(written(labels)).or_insert_with(|| Arc::new(Samples::new()));
        Histogram::from_arc(Arc::clone(samples))
    }

    /// Adds them to what is scraped, in the [text format](https://prometheus.io/docs/instrumenting/exposition_formats/).
    pub(super) fn render(&self, text: &mut String) {
        let families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, family) in &*families {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} histogram", family.help);
            for (labels, samples) in &family.series {
                let _ = series(text, name, labels, samples);
            }
            text.push('\n');
        }
    }
}

fn series(text: &mut String, name: &str, labels: &str, samples: &Samples) -> std::fmt::Result {
    let cumulated = samples.cumulated();
    let comma = if labels.is_empty() { "" } else { "," };
    for (bound, count) in BUCKETS.iter().zip(&cumulated) {
        writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}")?;
    }
    // A scrape between two additions has a sum that is a sample behind; the count is that of the last bucket.
    let count = cumulated[BUCKETS.len()];
    #[allow(clippy::cast_precision_loss, reason = "a sum of many samples need not be exact to the nanosecond")]
    let sum = samples.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
    writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}")?;
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    writeln!(text, "{name}_sum{braced} {sum}\n{name}_count{braced} {count}")
}

/// Labels as the text format has them.
fn written(labels: &[(&'static str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(histograms: &Histograms) -> String {
        let mut text = String::new();
        histograms.render(&mut text);
        text
    }

    #[test]
    fn samples_are_in_every_bucket_from_theirs_on() {
        let histograms = Histograms::default();
        let took = histograms.draw("a_seconds", "How long.", &[("x", "y")]);
        for seconds in [0.000_025, 0.000_03, 11.0] {
            took.record(seconds);
        }
        let text = rendered(&histograms);
        for line in [
            "# HELP a_seconds How long.",
            "# TYPE a_seconds histogram",
            "a_seconds_bucket{x=\"y\",le=\"0.000025\"} 1",
            "a_seconds_bucket{x=\"y\",le=\"0.00005\"} 2",
            "a_seconds_bucket{x=\"y\",le=\"10\"} 2",
            "a_seconds_bucket{x=\"y\",le=\"+Inf\"} 3",
            "a_seconds_sum{x=\"y\"} 11.000055",
            "a_seconds_count{x=\"y\"} 3",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing from\n{text}");
        }
    }

    #[test]
    fn one_series_for_each_combination_of_labels_under_one_head() {
        let histograms = Histograms::default();
        for value in ["one", "two", "one"] {
            histograms.draw("a_seconds", "How long.", &[("x", value)]).record(1.0);
        }
        histograms.draw("b_seconds", "Or this.", &[]).record(1.0);
        let text = rendered(&histograms);
        assert_eq!(text.matches("# TYPE").count(), 2, "{text}");
        assert!(text.contains("a_seconds_count{x=\"one\"} 2\n") && text.contains("a_seconds_count{x=\"two\"} 1\n"));
        assert!(text.contains("b_seconds_bucket{le=\"1\"} 1\n") && text.contains("b_seconds_count 1\n"), "{text}");
    }

    #[test]
    fn what_is_no_duration_breaks_nothing() {
        let histograms = Histograms::default();
        let took = histograms.draw("a_seconds", "How long.", &[("x", "\"\\\n")]);
        for seconds in [-1.0, f64::NAN, f64::INFINITY] {
            took.record(seconds);
        }
        let text = rendered(&histograms);
        assert!(text.contains(r#"a_seconds_count{x="\"\\\n"} 3"#), "{text}");
    }
}
