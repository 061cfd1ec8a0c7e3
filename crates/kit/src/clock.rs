//! The clocks of the operating system.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tessera_types::{Clock, Timestamp};

/// `CLOCK_REALTIME` for [`Clock::now`] and `CLOCK_BOOTTIME` for [`Clock::monotonic`]: the latter also counts the time a machine
/// was suspended, which `std::time::Instant` does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(clock_gettime(ClockId::Realtime).tv_sec)
    }

    fn monotonic(&self) -> Duration {
        duration(clock_gettime(ClockId::Boottime))
    }
}

/// The wall clock with its fraction, for logs.
pub(crate) fn wall() -> Duration {
    duration(clock_gettime(ClockId::Realtime))
}

fn duration(spec: Timespec) -> Duration {
    Duration::new(u64::try_from(spec.tv_sec).unwrap_or(0), u32::try_from(spec.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_run_backwards() {
        let first = SystemClock.monotonic();
        assert!(SystemClock.monotonic() >= first);
        assert!(SystemClock.now() > Timestamp(1_700_000_000), "the wall clock counts from 1970");
    }
}
