//! What one run of load measured, and what several say together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Below this share of its core a server waits for the load generator, and throughput says nothing about it.
pub const BUSY: f64 = 0.95;

/// One run of load against one server.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Calls answered in a second.
    pub per_second: f64,
    /// The server's CPU time for a call, in microseconds.
    pub cpu_micros: f64,
    /// The share of one core the server used.
    pub busy: f64,
}

impl Sample {
    /// From how many calls there were, how long they took, and the CPU time the server used meanwhile.
    #[must_use]
    pub fn new(requests: u32, took: Duration, cpu: Duration) -> Self {
        let requests = f64::from(requests);
        Self {
            per_second: requests / took.as_secs_f64(),
            cpu_micros: cpu.as_secs_f64() * 1e6 / requests,
            busy: cpu.as_secs_f64() / took.as_secs_f64(),
        }
    }
}

/// A run against the empty handler and one against the introspector, one right after the other.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Pair {
    /// The empty handler.
    pub empty: Sample,
    /// The introspector.
    pub real: Sample,
}

impl Pair {
    /// The introspector's throughput as a fraction of the empty handler's.
    #[must_use]
    pub fn throughput_ratio(&self) -> f64 {
        self.real.per_second / self.empty.per_second
    }

    /// The same by CPU time: how many calls the introspector answers on what the empty handler spends on one.
    #[must_use]
    pub fn cpu_ratio(&self) -> f64 {
        self.empty.cpu_micros / self.real.cpu_micros
    }

    /// Whether both servers kept their cores busy, so that throughput may be compared.
    #[must_use]
    pub fn saturated(&self) -> bool {
        self.empty.busy >= BUSY && self.real.busy >= BUSY
    }
}

/// What the pairs say together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The median of the ratios that count.
    pub ratio: f64,
    /// Whether it compares throughput; otherwise CPU time per call, since some server was not kept busy.
    pub by_throughput: bool,
}

impl Verdict {
    /// Throughput counts only where every run kept its server busy.
    #[must_use]
    pub fn of(pairs: &[Pair]) -> Self {
        let by_throughput = pairs.iter().all(Pair::saturated);
        let ratio = if by_throughput { Pair::throughput_ratio } else { Pair::cpu_ratio };
        Self { ratio: median(pairs.iter().map(ratio)), by_throughput }
    }
}

/// The middle value; of an even number the mean of the two in the middle, of none NaN.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => f64::NAN,
        odd if odd.len() % 2 == 1 => odd[odd.len() / 2],
        even => f64::midpoint(even[even.len() / 2 - 1], even[even.len() / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(per_second: f64, cpu_micros: f64, busy: f64) -> Sample {
        Sample { per_second, cpu_micros, busy }
    }

    #[test]
    fn a_sample_divides_by_calls_and_by_time() {
        let sample = Sample::new(1_000, Duration::from_secs(2), Duration::from_secs(1));
        assert!((sample.per_second - 500.0).abs() < 1e-9);
        assert!((sample.cpu_micros - 1_000.0).abs() < 1e-9);
        assert!((sample.busy - 0.5).abs() < 1e-9);
    }

    #[test]
    fn throughput_counts_where_all_servers_were_busy() {
        let pair = Pair { empty: sample(100.0, 10.0, 0.99), real: sample(70.0, 12.5, 0.99) };
        assert_eq!(Verdict::of(&[pair; 3]), Verdict { ratio: 0.7, by_throughput: true });
    }

    #[test]
    fn one_idle_server_makes_cpu_time_the_measure() {
        let busy = Pair { empty: sample(100.0, 10.0, 0.99), real: sample(70.0, 12.5, 0.99) };
        let idle = Pair { empty: sample(80.0, 10.0, 0.80), ..busy };
        assert_eq!(Verdict::of(&[busy, idle, busy]), Verdict { ratio: 0.8, by_throughput: false });
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median([]).is_nan());
    }
}
