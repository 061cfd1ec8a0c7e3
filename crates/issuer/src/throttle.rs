//! Failed authentications, counted per client identifier and address (security.md, item 6); failed logins in [`login`].
//!
//! A leaky bucket for each pair: every failure adds one, time takes away. Known and unknown identifiers are counted alike, so
//! that the counter tells nothing of which exist. Successes count nothing: a busy client is never throttled by being busy. A pair is
//! kept as a keyed hash: what callers send takes no room here, and nobody can aim at another's bucket.
//!
//! The same buckets pace what anybody may make the issuer keep: authorization requests, per address alone.

mod login;

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::quality::RandomState;
use hashbrown::HashMap;
use tessera_types::Clock;

pub(crate) use login::{Attempt, LoginThrottle};

/// So many failures at once are forgiven.
const BURST: u32 = 20;

/// How long it takes until one failure is forgotten.
const REFILL: Duration = Duration::from_secs(3);

/// The most pairs that are counted; further ones share a bucket here, and push out others among the logins.
const MOST: usize = 100_000;

/// The bucket of all pairs beyond [`MOST`].
const SHARED: u64 = 0;

/// How often buckets at rest are forgotten, at most.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// So many authorization requests at once are kept for one address, and one more each [`REQUEST_EVERY`].
const REQUESTS: u32 = 1000;

/// See [`REQUESTS`].
const REQUEST_EVERY: Duration = Duration::from_millis(100);

/// Counts failures and says when there were too many.
#[derive(Clone)]
pub struct FailureThrottle {
    clock: Arc<dyn Clock>,
    burst: u32,
    refill: Duration,
    pairs: Pairs,
    buckets: Arc<Mutex<Buckets>>,
}

#[derive(Default)]
struct Buckets {
    /// When each pair's bucket will be empty, on the monotonic clock.
    empty_at: HashMap<u64, Duration>,
    swept: Duration,
}

/// Too many failures; how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany(pub Duration);

impl FailureThrottle {
    /// A throttle on this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, burst: BURST, refill: REFILL, pairs: Pairs::default(), buckets: Arc::default() }
    }

    /// The pace at which authorization requests are kept.
    #[must_use]
    pub fn of_requests(clock: Arc<dyn Clock>) -> Self {
        Self { burst: REQUESTS, refill: REQUEST_EVERY, ..Self::new(clock) }
    }

    /// Counts a request, where there were not too many before it.
    ///
    /// # Errors
    /// [`TooMany`] with the time to wait, at least a second.
    pub fn take(&self, from: Option<IpAddr>) -> Result<(), TooMany> {
        self.admit("", from)?;
        self.failed("", from);
        Ok(())
    }

    /// Whether a further attempt may be looked at.
    ///
    /// # Errors
    /// [`TooMany`] with the time to wait, at least a second.
    pub fn admit(&self, who: &str, from: Option<IpAddr>) -> Result<(), TooMany> {
        let now = self.clock.monotonic();
        let buckets = self.lock();
        let key = buckets.key(self.pairs.of(who, from));
        let level = buckets.empty_at.get(&key).map_or(Duration::ZERO, |at| at.saturating_sub(now));
        let over = level.saturating_sub(self.refill * (self.burst - 1));
        if over.is_zero() { Ok(()) } else { Err(TooMany(over.max(Duration::from_secs(1)))) }
    }

    /// Counts a failure.
    pub fn failed(&self, who: &str, from: Option<IpAddr>) {
        let now = self.clock.monotonic();
        let mut buckets = self.lock();
        if buckets.empty_at.len() >= MOST && now.saturating_sub(buckets.swept) >= SWEEP_EVERY {
            buckets.empty_at.retain(|_, at| *at > now);
            buckets.swept = now;
        }
        let key = buckets.key(self.pairs.of(who, from));
        let at = buckets.empty_at.entry(key).or_insert(now);
        // Never further ahead than a burst and one: who goes on while refused does not wait longer for it.
        *at = ((*at).max(now) + self.refill).min(now + self.refill * (self.burst + 1));
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn key(&self, pair: u64) -> u64 {
        if self.empty_at.contains_key(&pair) || self.empty_at.len() < MOST { pair } else { SHARED }
    }
}

/// Who, from where: a keyed hash of the two.
#[derive(Clone, Default)]
struct Pairs(RandomState);

impl Pairs {
    fn of(&self, who: &str, from: Option<IpAddr>) -> u64 {
        self.0.hash_one((who, from.map(network)))
    }
}

/// One subscriber has many IPv6 addresses: what counts is its network (/64).
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
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

    #[test]
    fn authorization_requests_are_kept_at_a_pace() {
        let clock = Arc::new(MockClock::default());
        let throttle = FailureThrottle::of_requests(Arc::clone(&clock) as Arc<dyn Clock>);
        assert_eq!((0..REQUESTS + 50).filter(|_| throttle.take(HERE).is_ok()).count(), REQUESTS as usize);
        assert!(throttle.take(Some("192.0.2.1".parse().expect("an address"))).is_ok());
        clock.advance(REQUEST_EVERY * 10);
        assert_eq!((0..50).filter(|_| throttle.take(HERE).is_ok()).count(), 10);
    }

    #[test]
    fn addresses_of_one_network_share_a_bucket() {
        let throttle = FailureThrottle::new(Arc::new(MockClock::default()));
        for host in 0..BURST {
            throttle.failed("c", Some(format!("2001:db8::{host:x}").parse().expect("an address")));
        }
        assert!(throttle.admit("c", Some("2001:db8::ffff".parse().expect("an address"))).is_err());
        assert!(throttle.admit("c", Some("2001:db8:0:1::1".parse().expect("an address"))).is_ok());
    }

    #[test]
    fn pairs_without_number_share_a_bucket_and_take_no_more_room() {
        let clock = Arc::new(MockClock::default());
        let throttle = FailureThrottle::new(Arc::clone(&clock) as Arc<dyn Clock>);
        for pair in 0..=MOST + BURST as usize {
            throttle.failed(&pair.to_string(), HERE);
        }
        assert!(throttle.lock().empty_at.len() <= MOST + 1);
        assert!(throttle.admit("one more", HERE).is_err(), "the shared bucket is full");
        clock.advance(REFILL * (BURST + 1));
        throttle.failed("after a while", HERE);
        assert!(throttle.admit("one more", HERE).is_ok(), "and was forgotten");
    }
}
