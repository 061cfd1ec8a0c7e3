//! Whether a replica has heard from its issuer lately.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Never heard, or told to forget it.
const NEVER: u64 = 0;

/// When the issuer was last heard, shared between the one that follows the feed and those who answer checks.
///
/// A check asks this *first* and loads the state it answers from afterwards: the other way round, a pause between the two could
/// make an old state pass as fresh.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Nanoseconds on the monotonic clock, plus one.
    heard: AtomicU64,
}

impl Freshness {
    /// Takes over what [`Follower::last_heard`](crate::follower::Follower::last_heard) says.
    pub fn set(&self, heard: Option<Duration>) {
        let stamp =
            heard.map_or(NEVER, |heard| u64::try_from(heard.as_nanos()).unwrap_or(u64::MAX - 1).saturating_add(1));
        self.heard.store(stamp, Ordering::Release);
    }

    /// When the issuer was last heard.
    #[must_use]
    pub fn last_heard(&self) -> Option<Duration> {
        self.heard.load(Ordering::Acquire).checked_sub(1).map(Duration::from_nanos)
    }

    /// Whether the issuer was heard at most so long ago.
    #[must_use]
    pub fn is_fresh(&self, now: Duration, max_staleness: Duration) -> bool {
        is_fresh(self.last_heard(), now, max_staleness)
    }
}

/// The one rule for both sides of the cell. Exactly `max_staleness` ago is still fresh.
pub(crate) fn is_fresh(heard: Option<Duration>, now: Duration, max_staleness: Duration) -> bool {
    heard.is_some_and(|heard| now.saturating_sub(heard) <= max_staleness)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    #[test]
    fn a_replica_that_never_heard_is_not_fresh() {
        assert!(!Freshness::default().is_fresh(Duration::ZERO, Duration::MAX));
    }

    #[test]
    fn a_replica_is_fresh_up_to_max_staleness() {
        let freshness = Freshness::default();
        let heard = Duration::from_nanos(7);
        freshness.set(Some(heard));
        assert_eq!(freshness.last_heard(), Some(heard));
        assert!(freshness.is_fresh(heard + MAX, MAX));
        assert!(!freshness.is_fresh(heard + MAX + Duration::from_nanos(1), MAX));
    }

    #[test]
    fn hearing_at_the_clocks_first_moment_counts() {
        let freshness = Freshness::default();
        freshness.set(Some(Duration::ZERO));
        assert!(freshness.is_fresh(Duration::ZERO, MAX));
        freshness.set(None);
        assert!(!freshness.is_fresh(Duration::ZERO, MAX));
    }
}
