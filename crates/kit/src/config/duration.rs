//! Durations as people write them: whole seconds (`90`), or `"500ms"`, `"90s"`, `"15m"`, `"24h"`, `"7d"`. For
//! `#[serde(with = "tessera_kit::config::duration")]`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// Reads a duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Reading)
}

/// Writes a duration so that it reads back.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&written(*duration))
}

/// The shortest text that reads back as the duration.
#[must_use]
pub fn written(duration: Duration) -> String {
    match (duration.as_millis(), duration.as_secs()) {
        (millis, _) if !millis.is_multiple_of(1000) => format!("{millis}ms"),
        (_, secs) if secs > 0 && secs.is_multiple_of(3600) => format!("{}h", secs / 3600),
        (_, secs) if secs > 0 && secs.is_multiple_of(60) => format!("{}m", secs / 60),
        (_, secs) => format!("{secs}s"),
    }
}

/// Reads a duration; `None` where the text is none.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: u64 = text[..digits].parse().ok()?;
    let seconds = |unit: u64| count.checked_mul(unit).map(Duration::from_secs);
    match text[digits..].trim_start() {
        "" | "s" => seconds(1),
        "ms" => Some(Duration::from_millis(count)),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86400),
        _ => None,
    }
}

/// A duration in the configuration's schema.
#[derive(Debug)]
pub struct Span;

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "minimum": 0, "pattern": "^[0-9]+ *(ms|s|m|h|d)?$" })
    }
}

struct Reading;

impl Visitor<'_> for Reading {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 90, \"90s\", \"15m\" or \"24h\"")
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Duration, E> {
        let seconds = u64::try_from(seconds).map_err(|_| E::custom("a duration is not negative"))?;
        Ok(Duration::from_secs(seconds))
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).ok_or_else(|| E::custom("not a duration: write 90, \"90s\", \"15m\" or \"24h\""))
    }
}

/// The same for a duration that may be absent.
pub mod option {
    use std::time::Duration;

    use serde::Deserialize;
    use serde::de::Deserializer;
    use serde::ser::Serializer;

    #[derive(Deserialize)]
    struct Present(#[serde(with = "super")] Duration);

    /// Reads a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<Present>::deserialize(deserializer).map(|present| present.map(|p| p.0))
    }

    /// Writes a duration so that it reads back.
    #[allow(clippy::ref_option, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, seconds) in
            [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604_800), ("1 h", 3600)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        for bad in ["", "s", "-1s", "1.5h", "1w", "99999999999999999999s", "18446744073709551615h", "1h30m"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [0, 1, 1500, 1000, 60_000, 61_000, 3_600_000, 86_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(&written(duration)), Some(duration), "{}", written(duration));
        }
    }
}
