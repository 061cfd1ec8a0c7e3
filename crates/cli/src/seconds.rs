//! Spans of time as people write and read them.

use std::time::Duration;

/// Reads `90`, `90s`, `15m`, `24h` or `30d`; whole units only.
///
/// # Errors
/// Fixed text that says what is accepted.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(ACCEPTED.into()),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ACCEPTED.into());
    }
    let number: u64 = digits.parse().map_err(|_| ACCEPTED.to_owned())?;
    // Bounded so that it fits every wire form (protobuf allows 10,000 years).
    number.checked_mul(unit).filter(|s| *s <= 315_576_000_000).map(Duration::from_secs).ok_or_else(|| ACCEPTED.into())
}

const ACCEPTED: &str = "expected whole seconds or a number with s, m, h or d, such as 900 or 15m";

/// Shows a span in the largest unit that needs no fraction: `15m`, `90s`, `24h`.
#[must_use]
pub fn show(seconds: i64) -> String {
    match seconds {
        s if s > 0 && s % 86_400 == 0 && s >= 2 * 86_400 => format!("{}d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Shows a measured time with three digits: `412 µs`, `1.24 ms`, `2.01 s`.
#[must_use]
pub fn measured(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        m if m < 1000.0 => format!("{m:.0} µs"),
        m if m < 100_000.0 => format!("{:.2} ms", m / 1e3),
        m if m < 1_000_000.0 => format!("{:.0} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

/// A span as protobuf's `Duration`.
#[must_use]
pub fn to_wire(span: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX), nanos: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_and_without_a_unit() {
        for (text, seconds) in [("0", 0), ("900", 900), ("90s", 90), ("15m", 900), ("24h", 86_400), ("30d", 2_592_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "-1", "+1", "1.5h", "15min", "1 h", "99999999999999999999", "99999999999d", "é"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spans_are_shown_in_the_largest_whole_unit() {
        for (seconds, text) in [(0, "0s"), (90, "90s"), (900, "15m"), (86_400, "24h"), (2_592_000, "30d"), (-5, "-5s")]
        {
            assert_eq!(show(seconds), text);
        }
    }

    #[test]
    fn measured_times_have_three_digits() {
        for (micros, text) in [(412, "412 µs"), (1_240, "1.24 ms"), (250_000, "250 ms"), (2_010_000, "2.01 s")] {
            assert_eq!(measured(Duration::from_micros(micros)), text);
        }
    }
}
