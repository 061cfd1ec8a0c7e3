//! The result, for people and for programs.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::generator::Run;
use crate::sample::{Pair, Sample, Verdict, median};

/// What a benchmark found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What made the load.
    pub generator: String,
    /// Whether servers and load had cores to themselves.
    pub pinned: bool,
    /// The size of the request's message.
    pub request_bytes: usize,
    /// The size of the answer's message.
    pub response_bytes: usize,
    /// Calls in each run.
    pub requests_per_run: u32,
    /// What was measured, in order.
    pub pairs: Vec<Pair>,
    /// Times of single calls.
    pub latency: Latency,
    /// What it comes to.
    pub verdict: Verdict,
}

/// Times of calls made one after the other.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// The empty handler's.
    pub empty: Run,
    /// The introspector's.
    pub real: Run,
}

impl Report {
    fn samples(&self, of: fn(&Pair) -> Sample) -> Vec<Sample> {
        self.pairs.iter().map(of).collect()
    }

    /// Writes the report to a folder, as text and as JSON.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(folder.join("introspect.txt"), self.to_string())?;
        fs::write(folder.join("introspect.json"), serde_json::to_string_pretty(self)?)?;
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pinned = if self.pinned { "server and load on a core each" } else { "NOT pinned to cores" };
        writeln!(f, "Introspect, one token, warm: {} pairs of {} calls", self.pairs.len(), self.requests_per_run)?;
        writeln!(
            f,
            "request {} B, answer {} B; load by {}, {pinned}",
            self.request_bytes, self.response_bytes, self.generator
        )?;
        writeln!(f)?;
        writeln!(f, "                 calls/s   CPU/call    busy       p50       p99   (single calls)")?;
        row(f, "empty handler", &self.samples(|pair| pair.empty), self.latency.empty)?;
        row(f, "introspector", &self.samples(|pair| pair.real), self.latency.real)?;
        writeln!(f)?;
        let throughput = median(self.pairs.iter().map(Pair::throughput_ratio));
        let cpu = median(self.pairs.iter().map(Pair::cpu_ratio));
        writeln!(f, "median ratio: {throughput:.2} by throughput, {cpu:.2} by CPU time")?;
        let by = if self.verdict.by_throughput {
            "throughput: every run kept its server's core busy"
        } else {
            "CPU time: some run did not keep its server's core busy"
        };
        writeln!(f, "counts: {:.2}, by {by}", self.verdict.ratio)
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, samples: &[Sample], latency: Run) -> fmt::Result {
    let of = |part: fn(&Sample) -> f64| median(samples.iter().map(part));
    let per_second = of(|sample| sample.per_second);
    let cpu = of(|sample| sample.cpu_micros);
    let busy = of(|sample| sample.busy) * 100.0;
    let (p50, p99) = (latency.p50, latency.p99);
    writeln!(f, "{name:14} {per_second:9.0} {cpu:7.2} µs {busy:6.0}% {p50:6.0} µs {p99:6.0} µs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let run = Run { requests: 5_000, micros: 500_000, p50: 100.0, p99: 200.0 };
        let empty = Sample { per_second: 80_000.0, cpu_micros: 12.0, busy: 0.99 };
        let real = Sample { per_second: 60_000.0, cpu_micros: 16.0, busy: 0.99 };
        let pairs = vec![Pair { empty, real }; 5];
        Report {
            generator: "h2load".to_owned(),
            pinned: true,
            request_bytes: 800,
            response_bytes: 200,
            requests_per_run: 100_000,
            verdict: Verdict::of(&pairs),
            pairs,
            latency: Latency { empty: run, real: run },
        }
    }

    #[test]
    fn a_report_is_written_for_people_and_for_programs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        report().write(folder.path()).expect("it can be written");
        let text = fs::read_to_string(folder.path().join("introspect.txt")).expect("the text is there");
        assert!(text.contains("introspector       60000   16.00 µs     99%    100 µs    200 µs"), "{text}");
        assert!(text.contains("counts: 0.75, by throughput"), "{text}");
        let json = fs::read(folder.path().join("introspect.json")).expect("the JSON is there");
        let read: Report = serde_json::from_slice(&json).expect("it reads back");
        assert_eq!(read.pairs.len(), 5);
    }
}
