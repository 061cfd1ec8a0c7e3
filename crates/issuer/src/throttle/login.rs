//! Failed logins, counted per person and network.
//!
//! The 10th failure blocks the pair for 10 s, the 15th for 30 s, the 20th and every later one for 60 s; between them the next guess
//! is free, so that a person who mistypes does not notice. A right password forgets the failures, and so does an hour
//! without one. Who guesses from elsewhere locks nobody out. Known and unknown people are counted alike.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tessera_types::Clock;

use super::{MOST, Pairs, TooMany};

/// A counter that rests so long is forgotten.
const REST: Duration = Duration::from_secs(60 * 60);

/// Counts failed logins and says when there were too many.
#[derive(Clone)]
pub struct LoginThrottle {
    clock: Arc<dyn Clock>,
    pairs: Pairs,
    counters: Arc<Mutex<Counters>>,
}

#[derive(Default)]
struct Counters(HashMap<u64, Counter>);

/// One pair's failures, on the monotonic clock.
#[derive(Clone, Copy, Default)]
struct Counter {
    failures: u32,
    last: Duration,
    blocked_until: Duration,
}

impl LoginThrottle {
    /// A throttle on this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, pairs: Pairs::default(), counters: Arc::default() }
    }

    /// Whether a further password may be looked at.
    ///
    /// # Errors
    /// [`TooMany`] with the time to wait, at least a second.
    pub fn admit(&self, who: &str, from: Option<IpAddr>) -> Result<(), TooMany> {
        let now = self.clock.monotonic();
        let blocked_until = self.lock().0.get(&self.pairs.of(who, from)).map_or(now, |counter| counter.blocked_until);
        let wait = blocked_until.saturating_sub(now);
        if wait.is_zero() { Ok(()) } else { Err(TooMany(wait.max(Duration::from_secs(1)))) }
    }

    /// Counts a wrong password.
    pub fn failed(&self, who: &str, from: Option<IpAddr>) {
        let now = self.clock.monotonic();
        let pair = self.pairs.of(who, from);
        let mut counters = self.lock();
        counters.make_room(pair, now);
        let counter = counters.0.entry(pair).or_default();
        if counter.rests(now) {
            *counter = Counter::default();
        }
        counter.failures = counter.failures.saturating_add(1);
        counter.last = now;
        // Checks that began before a block may end within it: they do not shorten it.
        counter.blocked_until = counter.blocked_until.max(now + block_after(counter.failures));
    }

    /// Forgets the failures: the password was right.
    pub fn succeeded(&self, who: &str, from: Option<IpAddr>) {
        self.lock().0.remove(&self.pairs.of(who, from));
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    /// Forgets what rests, and where that is not enough, the half that failed longest ago. No bucket is shared here: whoever
    /// filled the table would block everybody's logins. Who means to have his own counter forgotten pays with a slow hash for
    /// each of the pairs that push it out.
    fn make_room(&mut self, pair: u64, now: Duration) {
        if self.0.len() < MOST || self.0.contains_key(&pair) {
            return;
        }
        self.0.retain(|_, counter| !counter.rests(now));
        if self.0.len() < MOST {
            return;
        }
        let mut failed_at: Vec<Duration> = self.0.values().map(|counter| counter.last).collect();
        let middle = *failed_at.select_nth_unstable(MOST / 2).1;
        self.0.retain(|_, counter| counter.last > middle);
    }
}

impl Counter {
    fn rests(&self, now: Duration) -> bool {
        now.saturating_sub(self.last) >= REST
    }
}

/// How long the pair is blocked by its n-th failure.
fn block_after(failures: u32) -> Duration {
    Duration::from_secs(match failures {
        10 => 10,
        15 => 30,
        20.. => 60,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_testkit::MockClock;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn throttle() -> (Arc<MockClock>, LoginThrottle) {
        let clock = Arc::new(MockClock::default());
        let throttle = LoginThrottle::new(Arc::clone(&clock) as Arc<dyn Clock>);
        (clock, throttle)
    }

    fn fail(throttle: &LoginThrottle, times: u32) {
        for _ in 0..times {
            throttle.failed("ada", HERE);
        }
    }

    fn wait(throttle: &LoginThrottle) -> u64 {
        throttle.admit("ada", HERE).err().map_or(0, |TooMany(wait)| wait.as_secs())
    }

    #[test]
    fn the_10th_15th_20th_and_every_later_failure_block() {
        let (clock, throttle) = throttle();
        for failure in 1..=23 {
            fail(&throttle, 1);
            let expected = match failure {
                10 => 10,
                15 => 30,
                20.. => 60,
                _ => 0,
            };
            assert_eq!(wait(&throttle), expected, "after {failure} failures");
            clock.advance(Duration::from_secs(expected));
            assert_eq!(wait(&throttle), 0, "after the wait of {failure} failures");
        }
    }

    #[test]
    fn a_wait_is_at_least_a_second_and_ends_on_time() {
        let (clock, throttle) = throttle();
        fail(&throttle, 10);
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(throttle.admit("ada", HERE), Err(TooMany(Duration::from_secs(1))));
        clock.advance(Duration::from_millis(1));
        assert_eq!(throttle.admit("ada", HERE), Ok(()));
    }

    #[test]
    fn a_failure_within_a_block_does_not_shorten_it() {
        let (_, throttle) = throttle();
        fail(&throttle, 11);
        assert_eq!(wait(&throttle), 10);
    }

    #[test]
    fn success_forgets_the_failures() {
        let (_, throttle) = throttle();
        fail(&throttle, 9);
        throttle.succeeded("ada", HERE);
        fail(&throttle, 9);
        assert_eq!(wait(&throttle), 0);
        fail(&throttle, 1);
        assert_eq!(wait(&throttle), 10);
    }

    #[test]
    fn an_hour_of_rest_forgets_the_failures() {
        let (clock, throttle) = throttle();
        fail(&throttle, 9);
        clock.advance(REST);
        fail(&throttle, 9);
        assert_eq!(wait(&throttle), 0);
        clock.advance(REST.saturating_sub(Duration::from_secs(1)));
        fail(&throttle, 1);
        assert_eq!(wait(&throttle), 10);
    }

    #[test]
    fn one_network_has_one_counter_and_another_its_own() {
        let (_, throttle) = throttle();
        for host in 0..10 {
            throttle.failed("ada", Some(format!("2001:db8::{host:x}").parse().expect("an address")));
        }
        assert!(throttle.admit("ada", Some("2001:db8::ffff".parse().expect("an address"))).is_err());
        assert!(throttle.admit("ada", Some("2001:db8:0:1::1".parse().expect("an address"))).is_ok());
        assert!(throttle.admit("grace", Some("2001:db8::1".parse().expect("an address"))).is_ok());
        assert!(throttle.admit("ada", HERE).is_ok());
        assert!(throttle.admit("ada", None).is_ok());
    }

    #[test]
    fn pairs_without_number_take_no_more_room_and_block_nobody_else() {
        let (clock, throttle) = throttle();
        for pair in 0..MOST {
            clock.advance(Duration::from_millis(1));
            throttle.failed(&pair.to_string(), HERE);
        }
        fail(&throttle, 10);
        assert!(throttle.lock().0.len() <= MOST);
        assert_eq!(wait(&throttle), 10, "the latest are kept");
        for pair in 0..MOST / 4 {
            throttle.failed(&format!("more {pair}"), HERE);
        }
        assert_eq!(wait(&throttle), 10, "a further quarter pushes out none of them");
        assert!(throttle.admit("somebody", HERE).is_ok());
        clock.advance(REST);
        for pair in 0..=MOST {
            throttle.failed(&format!("later {pair}"), HERE);
        }
        assert!(throttle.lock().0.len() <= MOST);
    }
}
