//! Failed authentications, counted per client identifier and address (security.md, item 6).
//!
//! A leaky bucket for each pair: every failure adds one, time takes away. Known and unknown identifiers are counted alike, so
//! that the counter tells nothing of which exist. Successes count nothing: a busy client is never throttled by being busy.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tessera_types::Clock;

/// So many failures at once are forgiven.
const BURST: u32 = 20;

/// How long it takes until one failure is forgotten.
const REFILL: Duration = Duration::from_secs(3);

/// With so many pairs the ones at rest are forgotten; with twice as many, new ones share one bucket.
const SWEEP_ABOVE: usize = 10_000;

type Key = (Box<str>, Option<IpAddr>);

/// Counts failures and says when there were too many.
#[derive(Clone)]
pub struct FailureThrottle {
    clock: Arc<dyn Clock>,
    /// When each pair's bucket will be empty, on the monotonic clock.
    empty_at: Arc<Mutex<HashMap<Key, Duration>>>,
}

/// Too many failures; how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany(pub Duration);

impl FailureThrottle {
    /// A throttle on this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, empty_at: Arc::default() }
    }

    /// Whether a further attempt may be looked at.
    ///
    /// # Errors
    /// [`TooMany`] with the time to wait, at least a second.
    pub fn admit(&self, who: &str, from: Option<IpAddr>) -> Result<(), TooMany> {
        let now = self.clock.monotonic();
        let buckets = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        let level = buckets.get(&(Box::from(who), from)).map_or(Duration::ZERO, |at| at.saturating_sub(now));
        let over = level.saturating_sub(REFILL * (BURST - 1));
        if over.is_zero() { Ok(()) } else { Err(TooMany(over.max(Duration::from_secs(1)))) }
    }

    /// Counts a failure.
    pub fn failed(&self, who: &str, from: Option<IpAddr>) {
        let now = self.clock.monotonic();
        let mut buckets = self.empty_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= SWEEP_ABOVE {
            buckets.retain(|_, at| *at > now);
        }
        let key = if buckets.len() >= 2 * SWEEP_ABOVE { (Box::from(""), None) } else { (Box::from(who), from) };
        let at = buckets.entry(key).or_insert(now);
        *at = (*at).max(now) + REFILL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_testkit::clock::MockClock;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn failures_are_forgiven_up_to_a_burst_and_again_with_time() {
        let clock = Arc::new(MockClock::default());
        let throttle = FailureThrottle::new(Arc::clone(&clock) as Arc<dyn Clock>);
        for _ in 0..BURST {
            assert_eq!(throttle.admit("c", HERE), Ok(()));
            throttle.failed("c", HERE);
        }
        assert_eq!(throttle.admit("c", HERE), Err(TooMany(REFILL)));
        assert_eq!(throttle.admit("other", HERE), Ok(()));
        assert_eq!(throttle.admit("c", None), Ok(()));
        clock.advance(REFILL);
        assert_eq!(throttle.admit("c", HERE), Ok(()));
    }
}
