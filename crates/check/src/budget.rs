//! How much of the machine signature checks may take.
//!
//! An unknown token costs a signature check, whoever sent it: a lever for anyone who floods. Two bounds: how many run at
//! once, and how much of the cores' time they take. Over them a caller is told to come back, and those who ask about known
//! tokens notice nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tessera_types::Clock;

/// How far checks may run ahead of their share: long enough for the tokens of a restart, short enough that known tokens do
/// not wait noticeably.
const BURST: Duration = Duration::from_millis(250);

/// The bounds and what is used of them.
#[derive(Debug)]
pub(crate) struct Budget {
    running: AtomicUsize,
    at_once: usize,
    /// When the time already spent will have been paid off, in nanoseconds of the monotonic clock.
    paid_off: AtomicU64,
    cores: u64,
    percent: u64,
    checks: AtomicU64,
}

impl Budget {
    pub(crate) fn new(cores: usize, percent: u8) -> Self {
        let cores = cores.max(1);
        Self {
            running: AtomicUsize::new(0),
            at_once: cores,
            paid_off: AtomicU64::new(0),
            cores: cores as u64,
            percent: u64::from(percent.clamp(1, 100)),
            checks: AtomicU64::new(0),
        }
    }

    /// Takes a place for one check; none where the bounds are reached.
    pub(crate) fn start<'a>(&'a self, clock: &'a dyn Clock) -> Option<Permit<'a>> {
        let started = nanos(clock.monotonic());
        if self.paid_off.load(Ordering::Relaxed) > started.saturating_add(nanos(BURST)) {
            return None;
        }
        if self.running.fetch_add(1, Ordering::Relaxed) >= self.at_once {
            self.running.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        self.checks.fetch_add(1, Ordering::Relaxed);
        Some(Permit { budget: self, clock, started })
    }

    /// How many checks were begun so far.
    pub(crate) fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }

    fn charge(&self, started: u64, ended: u64) {
        let cost = ended.saturating_sub(started).saturating_mul(100) / self.percent / self.cores;
        // The closure always returns a value, so the update succeeds.
        let _ = self.paid_off.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid_off| {
            Some(paid_off.max(started).saturating_add(cost))
        });
    }
}

/// A place for one signature check; given back, and its time charged, when dropped.
pub(crate) struct Permit<'a> {
    budget: &'a Budget,
    clock: &'a dyn Clock,
    started: u64,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.budget.charge(self.started, nanos(self.clock.monotonic()));
        self.budget.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_types::Timestamp;

    struct Ticking(AtomicU64);
    impl Clock for Ticking {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }
    impl Ticking {
        fn pass(&self, millis: u64) {
            self.0.fetch_add(millis, Ordering::Relaxed);
        }
    }

    #[test]
    fn no_more_than_the_cores_check_at_once() {
        let (budget, clock) = (Budget::new(2, 50), Ticking(AtomicU64::new(0)));
        let one = budget.start(&clock).expect("a place");
        let _two = budget.start(&clock).expect("a place");
        assert!(budget.start(&clock).is_none());
        drop(one);
        assert!(budget.start(&clock).is_some());
        assert_eq!(budget.checks(), 3);
    }

    #[test]
    fn checks_take_their_share_of_the_time_and_no_more() {
        let (budget, clock) = (Budget::new(2, 25), Ticking(AtomicU64::new(0)));
        let mut spent = 0;
        // Ten seconds of a flood: whoever is let in keeps one core busy for five milliseconds.
        while clock.0.load(Ordering::Relaxed) < 10_000 {
            match budget.start(&clock) {
                Some(_permit) => {
                    clock.pass(5);
                    spent += 5;
                }
                None => clock.pass(1),
            }
        }
        // A quarter of two cores for ten seconds, and the burst.
        assert!((5_000..5_200).contains(&spent), "{spent} ms");
    }

    #[test]
    fn rest_does_not_save_up_more_than_the_burst() {
        let (budget, clock) = (Budget::new(1, 50), Ticking(AtomicU64::new(1_000_000)));
        let mut let_in = 0;
        while let Some(_permit) = budget.start(&clock) {
            clock.pass(10);
            let_in += 1;
        }
        assert!((25..=30).contains(&let_in), "{let_in}");
    }
}
