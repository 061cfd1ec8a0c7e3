//! Time, passed in.

use std::fmt;
use std::time::Duration;

/// A moment: whole seconds since 1970-01-01T00:00:00Z, as JWT's NumericDate (RFC 7519 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment a duration later; stays at the end of time rather than wrap.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// The moment a duration earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// How long until a later moment; nothing where it is not later.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

/// RFC 3339, or the bare number where the calendar ends.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = time::OffsetDateTime::from_unix_timestamp(self.0)
            .ok()
            .and_then(|t| t.format(&time::format_description::well_known::Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The text is not a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of RFC 3339, such as 2026-11-26T03:00:00Z")]
pub struct InvalidTimestamp;

/// RFC 3339; what is finer than a second is dropped.
impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let parsed = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
        parsed.map(|time| Self(time.unix_timestamp())).map_err(|_| InvalidTimestamp)
    }
}

/// The two clocks there are. The edges hand one in; rules never read the wall clock themselves.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: may jump. For claims and expiry.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, never running backwards and running on in suspend (`CLOCK_BOOTTIME`). For waiting and
    /// staleness.
    fn monotonic(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp(i64::MAX).plus(Duration::from_secs(1)), Timestamp(i64::MAX));
        assert_eq!(Timestamp(5).until(Timestamp(3)), Duration::ZERO);
        assert_eq!(Timestamp(3).until(Timestamp(5)), Duration::from_secs(2));
    }

    #[test]
    fn a_moment_reads_back_as_shown() {
        for moment in [Timestamp(0), Timestamp(1_800_000_000)] {
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
        assert_eq!("1970-01-01T01:00:00.5+01:00".parse(), Ok(Timestamp(0)));
        assert_eq!("1970-01-01".parse::<Timestamp>(), Err(InvalidTimestamp));
    }

    #[test]
    fn a_moment_is_shown_as_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), i64::MAX.to_string());
    }
}
