//! Moments and spans as protobuf writes them.

use std::time::Duration;

use tessera_types::Timestamp;

use super::WireError;

/// 0001-01-01T00:00:00Z, where protobuf's calendar begins.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z, where it ends.
const LAST_SECOND: i64 = 253_402_300_799;
/// The longest span protobuf knows: about 10 000 years.
const LONGEST_SPAN: i64 = 315_576_000_000;

/// A moment as a message. One outside protobuf's calendar becomes the nearest one inside.
#[must_use]
pub fn timestamp_to_wire(moment: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: moment.0.clamp(FIRST_SECOND, LAST_SECOND), nanos: 0 }
}

/// A moment from a message: inside protobuf's calendar, and whole seconds, since nothing here is finer. (Rounding would be
/// wrong for one of an expiry and a floor.)
///
/// # Errors
/// [`WireError::Unknown`] where it is unset, [`WireError::Invalid`] where it is out of bounds.
pub fn timestamp_from_wire(
    moment: Option<prost_types::Timestamp>,
    field: &'static str,
) -> Result<Timestamp, WireError> {
    let moment = moment.ok_or(WireError::Unknown(field))?;
    if !(FIRST_SECOND..=LAST_SECOND).contains(&moment.seconds) || moment.nanos != 0 {
        return Err(WireError::Invalid(field));
    }
    Ok(Timestamp(moment.seconds))
}

/// A span as a message. One longer than protobuf's longest becomes that.
#[must_use]
pub fn duration_to_wire(span: Duration) -> prost_types::Duration {
    match i64::try_from(span.as_secs()) {
        Ok(seconds) if seconds < LONGEST_SPAN => {
            prost_types::Duration { seconds, nanos: i32::try_from(span.subsec_nanos()).unwrap_or_default() }
        }
        _ => prost_types::Duration { seconds: LONGEST_SPAN, nanos: 0 },
    }
}

/// A span from a message; never negative.
///
/// # Errors
/// [`WireError::Unknown`] where it is unset, [`WireError::Invalid`] where it is out of bounds.
pub fn duration_from_wire(span: Option<prost_types::Duration>, field: &'static str) -> Result<Duration, WireError> {
    let span = span.ok_or(WireError::Unknown(field))?;
    let nanos = u32::try_from(span.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    match (u64::try_from(span.seconds), nanos) {
        (Ok(seconds), Some(nanos)) if (span.seconds, nanos) <= (LONGEST_SPAN, 0) => Ok(Duration::new(seconds, nanos)),
        _ => Err(WireError::Invalid(field)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(seconds: i64, nanos: i32) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos }
    }

    fn span(seconds: i64, nanos: i32) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos }
    }

    #[test]
    fn a_moment_outside_the_calendar_is_refused() {
        assert_eq!(timestamp_from_wire(Some(wire(LAST_SECOND, 0)), "t"), Ok(Timestamp(LAST_SECOND)));
        assert_eq!(timestamp_from_wire(Some(wire(FIRST_SECOND, 0)), "t"), Ok(Timestamp(FIRST_SECOND)));
        assert_eq!(timestamp_from_wire(None, "t"), Err(WireError::Unknown("t")));
        for bad in [wire(LAST_SECOND + 1, 0), wire(FIRST_SECOND - 1, 0), wire(0, 1), wire(0, -1), wire(i64::MIN, 0)] {
            assert_eq!(timestamp_from_wire(Some(bad), "t"), Err(WireError::Invalid("t")), "{bad:?}");
        }
    }

    #[test]
    fn a_moment_outside_the_calendar_is_written_as_the_nearest_inside() {
        assert_eq!(timestamp_to_wire(Timestamp(i64::MAX)), wire(LAST_SECOND, 0));
        assert_eq!(timestamp_to_wire(Timestamp(i64::MIN)), wire(FIRST_SECOND, 0));
    }

    #[test]
    fn a_span_is_neither_negative_nor_endless() {
        assert_eq!(duration_from_wire(Some(span(1, 999_999_999)), "d"), Ok(Duration::new(1, 999_999_999)));
        assert_eq!(duration_from_wire(None, "d"), Err(WireError::Unknown("d")));
        assert_eq!(
            duration_from_wire(Some(span(LONGEST_SPAN, 0)), "d"),
            Ok(Duration::from_secs(LONGEST_SPAN.unsigned_abs()))
        );
        let long = [span(LONGEST_SPAN, 1), span(LONGEST_SPAN + 1, 0)];
        for bad in [span(-1, 0), span(0, -1), span(0, 1_000_000_000), span(i64::MIN, 0)].into_iter().chain(long) {
            assert_eq!(duration_from_wire(Some(bad), "d"), Err(WireError::Invalid("d")), "{bad:?}");
        }
        assert_eq!(duration_to_wire(Duration::MAX), span(LONGEST_SPAN, 0));
    }

    proptest! {
        #[test]
        fn moments_and_spans_read_back_as_written(
            seconds in FIRST_SECOND..=LAST_SECOND, whole in 0..LONGEST_SPAN.unsigned_abs(), nanos in 0..1_000_000_000_u32,
        ) {
            let moment = Timestamp(seconds);
            prop_assert_eq!(timestamp_from_wire(Some(timestamp_to_wire(moment)), "t"), Ok(moment));
            let span = Duration::new(whole, nanos);
            prop_assert_eq!(duration_from_wire(Some(duration_to_wire(span)), "d"), Ok(span));
        }
    }
}
