//! Moments as people read them.

use tessera_types::Timestamp;
use time::OffsetDateTime;

use super::texts::Texts;

/// The day: `3 March 2026`.
pub(super) fn day(texts: &Texts, at: Timestamp) -> String {
    let Ok(moment) = OffsetDateTime::from_unix_timestamp(at.0) else { return at.to_string() };
    let month = texts.months[usize::from(u8::from(moment.month())) - 1];
    let ordinal = if moment.day() == 1 { texts.first_of_month } else { "" };
    format!("{}{ordinal} {month} {}", moment.day(), moment.year())
}

/// The day and the minute, in UTC; the script turns it into the reader's own time.
pub(super) fn minute(texts: &Texts, at: Timestamp) -> String {
    let Ok(moment) = OffsetDateTime::from_unix_timestamp(at.0) else { return at.to_string() };
    format!("{}, {:02}:{:02}\u{a0}UTC", day(texts, at), moment.hour(), moment.minute())
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::*;

    #[test]
    fn dates_read_naturally_in_both_languages() {
        let [en, fr] = Language::ALL.map(Texts::of);
        let first = Timestamp(1_772_373_900);
        assert_eq!(minute(en, first), "1 March 2026, 14:05\u{a0}UTC");
        assert_eq!(minute(fr, first), "1er mars 2026, 14:05\u{a0}UTC");
        assert_eq!(day(fr, Timestamp(1_772_373_900 + 86_400)), "2 mars 2026");
        assert_eq!(day(en, Timestamp(i64::MAX)), i64::MAX.to_string());
    }
}
