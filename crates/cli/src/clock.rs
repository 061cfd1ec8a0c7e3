//! The machine's clocks.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tessera_types::{Clock, Timestamp};

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(clock_gettime(ClockId::Realtime).tv_sec)
    }

    fn monotonic(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}
