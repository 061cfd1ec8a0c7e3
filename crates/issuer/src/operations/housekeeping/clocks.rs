//! Which clocks to believe, and how far the floor may rise. Decides only; reads and writes nothing.

use std::time::Duration;

use tessera_ledger::replica::forgotten_before;
use tessera_types::Timestamp;

/// How far clocks may be off. The floor stays this far behind them, and what moves them further is not believed.
pub const SKEW: Duration = Duration::from_mins(1);

/// The floor rises by no less than this, so that the log is not full of it.
const STEP: Duration = Duration::from_mins(10);

/// What the clocks said at one moment, more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// This machine's wall clock.
    pub own: Timestamp,
    /// The database's wall clock.
    pub database: Timestamp,
    /// This machine's monotonic clock.
    pub monotonic: Duration,
}

/// Why the clocks are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Somebody set the wall clock.
    #[error("the wall clock jumped by {0} s against the time that passed")]
    Jumped(i64),
    /// One of the two is wrong, and nobody knows which.
    #[error("the wall clock is {0} s ahead of the database's")]
    Apart(i64),
}

/// Watches the clocks. Once they were not to be believed, they are not any more: only a restart, by somebody who has looked at them,
/// mends that.
#[derive(Debug)]
pub struct Clocks {
    last: (Timestamp, Duration),
    distrust: Option<Distrust>,
}

impl Clocks {
    /// Begins with what this machine's clocks say.
    #[must_use]
    pub fn new(own: Timestamp, monotonic: Duration) -> Self {
        Self { last: (own, monotonic), distrust: None }
    }

    /// The moment that either clock has come to.
    ///
    /// # Errors
    /// Why they are not believed, from the first time on.
    pub fn look(&mut self, reading: Reading) -> Result<Timestamp, Distrust> {
        let (wall, monotonic) = self.last;
        let expected = wall.plus(reading.monotonic.saturating_sub(monotonic));
        let (jump, apart) = (apart(reading.own, expected), apart(reading.own, reading.database));
        let found = match () {
            () if is_more_than_skew(jump) => Some(Distrust::Jumped(jump)),
            () if is_more_than_skew(apart) => Some(Distrust::Apart(apart)),
            () => None,
        };
        self.distrust = self.distrust.or(found);
        self.last = (reading.own, reading.monotonic);
        match self.distrust {
            Some(distrust) => Err(distrust),
            None => Ok(reading.own.min(reading.database)),
        }
    }
}

fn apart(one: Timestamp, other: Timestamp) -> i64 {
    one.0.saturating_sub(other.0)
}

fn is_more_than_skew(seconds: i64) -> bool {
    seconds.unsigned_abs() > SKEW.as_secs()
}

/// The floor to release at a moment that every clock has come to, where one is due: `released` is the one there is, `first` when the
/// first revocation ends that it has not forgotten. It only rises, in steps, and only where there is something to forget.
#[must_use]
pub fn next_floor(now: Timestamp, released: Option<Timestamp>, first: Option<Timestamp>) -> Option<Timestamp> {
    let floor = now.minus(SKEW);
    let rises = released.is_none_or(|released| floor >= released.plus(STEP));
    let forgets = first.is_some_and(|expires| expires < forgotten_before(floor));
    (rises && forgets).then_some(floor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp(1_000_000);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What clocks say that are off by so much, a while after the start.
    fn after(passed: u64, own: i64, database: i64) -> Reading {
        let at = |off: i64| Timestamp(START.plus(seconds(passed)).0 + off);
        Reading { own: at(own), database: at(database), monotonic: seconds(50 + passed) }
    }

    fn clocks() -> Clocks {
        Clocks::new(START, seconds(50))
    }

    #[test]
    fn clocks_that_go_with_time_are_believed_and_the_slower_one_counts() {
        let mut clocks = clocks();
        assert_eq!(clocks.look(after(60, 0, -5)), Ok(Timestamp(1_000_055)));
        assert_eq!(clocks.look(after(86_400, 1, 61)), Ok(Timestamp(1_086_401)));
        assert_eq!(clocks.look(after(86_460, 61, 61)), Ok(Timestamp(1_086_521)), "a minute's step is within bounds");
    }

    #[test]
    fn a_jump_in_either_direction_ends_the_belief_for_good() {
        for jump in [61, -61, 86_400, -86_400, i64::MAX / 4] {
            let mut clocks = clocks();
            assert_eq!(clocks.look(after(60, jump, jump)), Err(Distrust::Jumped(jump)));
            assert_eq!(clocks.look(after(120, 0, 0)), Err(Distrust::Jumped(jump)), "also when it is set right again");
        }
    }

    #[test]
    fn clocks_that_differ_end_the_belief_for_good() {
        for apart in [61, -61] {
            let mut clocks = clocks();
            assert_eq!(clocks.look(after(60, 0, -apart)), Err(Distrust::Apart(apart)));
            assert_eq!(clocks.look(after(120, 0, 0)), Err(Distrust::Apart(apart)));
        }
    }

    #[test]
    fn the_floor_rises_where_there_is_something_to_forget() {
        let now = Timestamp(3600 * 5 + 60);
        let floor = Timestamp(3600 * 5);
        let before = Some(Timestamp(3600 * 5 - 1));
        assert_eq!(next_floor(now, None, before), Some(floor));
        assert_eq!(next_floor(now, None, None), None);
        assert_eq!(next_floor(now, None, Some(floor)), None, "it is not over");
        assert_eq!(next_floor(Timestamp(now.0 - 1), None, before), None, "its hour is not over");
        assert_eq!(next_floor(now, Some(Timestamp(floor.0 - 600)), before), Some(floor));
        assert_eq!(next_floor(now, Some(Timestamp(floor.0 - 599)), before), None, "too small a step");
    }

    proptest! {
        #[test]
        fn the_floor_never_falls_and_never_passes_what_is_alive(now: i64, released: Option<i64>, first: Option<i64>) {
            let (now, released, first) = (Timestamp(now), released.map(Timestamp), first.map(Timestamp));
            if let Some(floor) = next_floor(now, released, first) {
                prop_assert!(floor <= now);
                prop_assert!(released.is_none_or(|released| released < floor));
                prop_assert!(first.is_some_and(|first| first < floor));
            }
        }
    }
}
