//! Failed logins, counted three ways.
//!
//! Per person and network: the 10th failure blocks the pair for 10 s, the 15th for 30 s, the 20th and every later one for 60 s; between
//! them the next guess is free, so that a person who mistypes does not notice. A right password forgets the failures, and so does an
//! hour without one.
//!
//! Per network alone, against one password tried on everybody: 200 failures at once, and one more each 3 s. A right password forgets
//! nothing: whoever guesses may have an account. A server that relays its users' logins from its own address is not counted so.
//!
//! Per person alone, against guesses from many networks: after 100 failures each further guess waits before it is looked at.
//!
//! Who guesses from elsewhere locks nobody out: what counts over all networks delays and never refuses. Known and unknown people are
//! counted alike.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use tessera_types::Clock;

use super::{FailureThrottle, MOST, Pairs, TooMany};

/// A counter that rests so long is forgotten.
const REST: Duration = Duration::from_secs(60 * 60);

/// So many failures at once are forgiven a network.
const NETWORK_BURST: u32 = 200;

/// How long it takes until one failure of a network is forgotten.
const NETWORK_REFILL: Duration = Duration::from_secs(3);

/// So many failures at once are forgiven a person, over all networks.
const PERSON_BURST: u32 = 100;

/// How long it takes until one failure of a person is forgotten: a hundred in an hour.
const PERSON_REFILL: Duration = Duration::from_secs(36);

/// How long a login waits whose person has failed too often: short enough for the person.
const DELAY: Duration = Duration::from_secs(3);

/// A login: what its failure counts under.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The person, however they are named.
    pub who: String,
    /// From where, as far as known.
    pub from: Option<IpAddr>,
    /// Whether that is a server's address from which everybody's logins come.
    pub relayed: bool,
}

/// Counts failed logins and says when there were too many.
#[derive(Clone)]
pub struct LoginThrottle {
    clock: Arc<dyn Clock>,
    networks: FailureThrottle,
    people: FailureThrottle,
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
        let paced = |burst, refill| FailureThrottle { burst, refill, ..FailureThrottle::new(Arc::clone(&clock)) };
        Self {
            networks: paced(NETWORK_BURST, NETWORK_REFILL),
            people: paced(PERSON_BURST, PERSON_REFILL),
            clock,
            pairs: Pairs::default(),
            counters: Arc::default(),
        }
    }

    /// Whether a further password may be looked at.
    ///
    /// # Errors
    /// [`TooMany`] with the time to wait, at least a second.
    pub fn admit(&self, attempt: &Attempt) -> Result<(), TooMany> {
        let pair = self.pairs.of(&attempt.who, attempt.from);
        let now = self.clock.monotonic();
        let blocked_until = self.lock().0.get(&pair).map_or(now, |counter| counter.blocked_until);
        let wait = blocked_until.saturating_sub(now);
        if !wait.is_zero() {
            return Err(TooMany(wait.max(Duration::from_secs(1))));
        }
        attempt.network().map_or(Ok(()), |network| self.networks.admit("", Some(network)))
    }

    /// How long a login has to wait before its password is looked at; right or wrong, or the time would tell.
    #[must_use]
    pub fn delay(&self, attempt: &Attempt) -> Duration {
        if self.people.admit(&attempt.who, None).is_err() { DELAY } else { Duration::ZERO }
    }

    /// Counts a wrong password.
    pub fn failed(&self, attempt: &Attempt) {
        self.people.failed(&attempt.who, None);
        if let Some(network) = attempt.network() {
            self.networks.failed("", Some(network));
        }
        let now = self.clock.monotonic();
        let pair = self.pairs.of(&attempt.who, attempt.from);
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

    /// Forgets the pair's failures: the password was right.
    pub fn succeeded(&self, attempt: &Attempt) {
        self.lock().0.remove(&self.pairs.of(&attempt.who, attempt.from));
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// The network whose failures are counted, over all people. One subscriber may have a whole IPv6 site (/48), of 65536 networks.
    fn network(&self) -> Option<IpAddr> {
        let from = self.from.filter(|_| !self.relayed)?.to_canonical();
        Some(match from {
            IpAddr::V4(_) => from,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80)),
        })
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
mod tests;
