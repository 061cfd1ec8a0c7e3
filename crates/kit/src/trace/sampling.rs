//! Which calls are traced.
//!
//! A call whose caller decided is traced as the caller did (parent-based), but callers may be strangers: what they can ask for has a
//! bound of its own. A call that brings no decision is traced by the ratio. Decided before there is a span: what is not traced costs
//! nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::context::TraceParent;
use crate::config::Telemetry;

/// The rule.
#[derive(Debug)]
pub(crate) struct Sampling {
    /// The ratio, as a part of 2^64; `None` is all.
    step: Option<u64>,
    /// Grows by `step` with each call; one that overflows is traced.
    phase: AtomicU64,
    asked: PerSecond,
}

impl Sampling {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        Self {
            step: (telemetry.sample_ratio < 1.0).then(|| part(telemetry.sample_ratio)),
            phase: AtomicU64::new(0),
            asked: PerSecond { most: telemetry.callers_per_second, used: AtomicU64::new(0) },
        }
    }

    /// Whether a call is traced that comes at `now`.
    pub(crate) fn traces(&self, parent: Option<&TraceParent>, now: Duration) -> bool {
        match parent {
            Some(parent) if !parent.is_sampled() => false,
            Some(_) if self.asked.take(now) => true,
            Some(_) | None => self.by_ratio(),
        }
    }

    fn by_ratio(&self) -> bool {
        let Some(step) = self.step else { return true };
        step > 0 && self.phase.fetch_add(step, Ordering::Relaxed).checked_add(step).is_none()
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a ratio below 1 of 2^64 is in range, and need not be exact"
)]
fn part(ratio: f64) -> u64 {
    (ratio * u64::MAX as f64) as u64
}

/// So many in each second of the clock: the second in the upper half, how many in the lower.
#[derive(Debug)]
struct PerSecond {
    most: u32,
    used: AtomicU64,
}

impl PerSecond {
    fn take(&self, now: Duration) -> bool {
        let second = (now.as_secs() & u64::from(u32::MAX)) << 32;
        let next = |used: u64| {
            let count = if used & !u64::from(u32::MAX) == second { used & u64::from(u32::MAX) } else { 0 };
            (count < u64::from(self.most)).then_some(second | (count + 1))
        };
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);

    fn sampling(sample_ratio: f64, callers_per_second: u32) -> Sampling {
        Sampling::new(&Telemetry { sample_ratio, callers_per_second, ..Telemetry::default() })
    }

    fn parent(flags: &str) -> TraceParent {
        TraceParent::parse(format!("00-{}-{}-{flags}", "a".repeat(32), "b".repeat(16)).as_bytes()).expect("well-formed")
    }

    fn traced(sampling: &Sampling, parent: Option<&TraceParent>) -> usize {
        (0..1000).filter(|_| sampling.traces(parent, NOW)).count()
    }

    #[test]
    fn the_ratio_decides_where_the_caller_does_not() {
        for (ratio, expected) in [(0.0, 0..=0), (0.25, 249..=250), (1.0, 1000..=1000)] {
            let count = traced(&sampling(ratio, 0), None);
            assert!(expected.contains(&count), "{ratio}: {count}");
        }
    }

    #[test]
    fn a_caller_decides_within_bounds() {
        assert_eq!(traced(&sampling(1.0, 100), Some(&parent("00"))), 0, "not traced there, not traced here");
        assert_eq!(traced(&sampling(0.0, 100), Some(&parent("01"))), 100, "in one second");
        assert_eq!(traced(&sampling(0.0, 0), Some(&parent("01"))), 0, "nobody is followed");
        let sampling = sampling(0.0, 1);
        let seconds = [5, 5, 6, 6].map(|s| sampling.traces(Some(&parent("01")), Duration::from_secs(s)));
        assert_eq!(seconds, [true, false, true, false]);
    }
}
