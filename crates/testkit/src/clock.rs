//! A clock that stands still until a test moves it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tessera_types::{Clock, Timestamp};

/// A clock whose two hands a test moves. Share it in an `Arc`.
#[derive(Debug)]
pub struct MockClock {
    hands: Mutex<Hands>,
}

#[derive(Clone, Copy, Debug)]
struct Hands {
    wall: Timestamp,
    wall_rest: Duration,
    monotonic: Duration,
}

impl MockClock {
    /// A clock that shows a moment of the wall clock.
    #[must_use]
    pub fn at(wall: Timestamp) -> Self {
        Self { hands: Mutex::new(Hands { wall, wall_rest: Duration::ZERO, monotonic: Duration::from_secs(1000) }) }
    }

    /// Lets time pass: both hands move. Parts of a second add up.
    pub fn advance(&self, by: Duration) {
        self.change(|hands| {
            hands.monotonic += by;
            hands.wall_rest += by;
            hands.wall = hands.wall.plus(hands.wall_rest);
            hands.wall_rest = Duration::from_nanos(hands.wall_rest.subsec_nanos().into());
        });
    }

    /// Sets the wall clock, as an operator or NTP does: the monotonic hand does not notice.
    pub fn set_wall(&self, wall: Timestamp) {
        self.change(|hands| hands.wall = wall);
    }

    fn change(&self, how: impl FnOnce(&mut Hands)) {
        how(&mut self.hands.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> Hands {
        *self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 2026-01-01T00:00:00Z.
impl Default for MockClock {
    fn default() -> Self {
        Self::at(Timestamp(1_767_225_600))
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        self.read().wall
    }

    fn monotonic(&self) -> Duration {
        self.read().monotonic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_add_up() {
        let clock = MockClock::at(Timestamp(10));
        let start = clock.monotonic();
        for _ in 0..3 {
            clock.advance(Duration::from_millis(400));
        }
        assert_eq!(clock.now(), Timestamp(11));
        assert_eq!(clock.monotonic(), start + Duration::from_millis(1200));
    }

    #[test]
    fn setting_the_wall_clock_leaves_the_other_hand() {
        let clock = MockClock::default();
        let before = clock.monotonic();
        clock.set_wall(Timestamp(5));
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp(5), before));
    }
}
