//! When a key's time has come. Decides only; reads and writes nothing.

use std::time::Duration;

use tessera_store::SigningKeyRecord;
use tessera_types::{KeyId, KeyState, Timestamp};

/// How long keys stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long one signs; none where only an operator says so.
    pub rotate_after: Option<Duration>,
    /// How long one is published before it signs.
    pub publish_for: Duration,
    /// How long the tokens are accepted of one that signs no more.
    pub retire_after: Duration,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due<'a> {
    /// A successor of this key is to be published.
    Successor(&'a KeyId),
    /// This key is to sign.
    Promote(&'a KeyId),
    /// Nothing that this key has signed can be alive.
    Retire(&'a KeyId),
}

impl Schedule {
    /// Since when a key counts as being what it is. One that waits or signs has been known since it was made; of one that retires nothing
    /// can be assumed, or its tokens would end before their time.
    #[must_use]
    pub fn since(record: &SigningKeyRecord) -> Option<Timestamp> {
        match record.state {
            KeyState::Next | KeyState::Active => record.since.or(Some(record.created)),
            KeyState::Retiring | KeyState::Retired => record.since,
        }
    }

    /// When a key becomes something else by itself.
    #[must_use]
    pub fn changes(&self, record: &SigningKeyRecord) -> Option<Timestamp> {
        let span = match record.state {
            KeyState::Next => Some(self.publish_for),
            KeyState::Active => self.rotate_after,
            KeyState::Retiring => Some(self.retire_after),
            KeyState::Retired => None,
        };
        // Moments are whole seconds, cut off: one more, or the span is not over. There is nothing to be over where it is none.
        let span = span?;
        let whole = if span.is_zero() { span } else { span + Duration::from_secs(1) };
        Some(Self::since(record)?.plus(whole))
    }

    /// What is due at a moment, the one that changes first before the others.
    #[must_use]
    pub fn due<'a>(&self, records: &'a [SigningKeyRecord], now: Timestamp) -> Vec<Due<'a>> {
        let waiting = records.iter().any(|record| record.state == KeyState::Next);
        let mut due: Vec<(Timestamp, Due<'a>)> = Vec::new();
        for record in records {
            let Some(at) = self.changes(record) else { continue };
            match record.state {
                KeyState::Next if at <= now => due.push((at, Due::Promote(&record.key))),
                // So early that it has been published for long enough when its time has come.
                KeyState::Active if !waiting && at.minus(self.publish_for) <= now => {
                    due.push((at, Due::Successor(&record.key)));
                }
                KeyState::Retiring if at <= now => due.push((at, Due::Retire(&record.key))),
                _ => {}
            }
        }
        due.sort_by_key(|(at, _)| *at);
        due.into_iter().map(|(_, due)| due).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tessera_types::Algorithm;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    const RULES: Schedule = Schedule {
        rotate_after: Some(Duration::from_secs(100 * 3600)),
        publish_for: HOUR,
        retire_after: Duration::from_secs(25 * 3600),
    };

    fn key(id: &str, state: KeyState, since: Option<i64>) -> SigningKeyRecord {
        SigningKeyRecord {
            key: id.parse().expect("an id"),
            algorithm: Algorithm::EdDsa,
            state,
            public_jwk: String::new(),
            sealed_private: Vec::new(),
            created: Timestamp(0),
            since: since.map(Timestamp),
        }
    }

    fn hours(hours: i64) -> Timestamp {
        Timestamp(hours * 3600)
    }

    /// A second later: what is shown as the hour may have been the end of that second.
    fn after(hour: i64) -> Timestamp {
        hours(hour).plus(Duration::from_secs(1))
    }

    #[test]
    fn a_successor_is_published_before_its_time_and_only_one() {
        let records = [key("a", KeyState::Active, Some(0))];
        assert_eq!(RULES.due(&records, hours(99)), []);
        assert_eq!(RULES.due(&records, after(99)), [Due::Successor(&records[0].key)]);
        let both = [key("a", KeyState::Active, Some(0)), key("b", KeyState::Next, Some(hours(99).0))];
        assert_eq!(RULES.due(&both, hours(100)), [], "it is not published for long enough");
        assert_eq!(RULES.due(&both, after(100)), [Due::Promote(&both[1].key)]);
        let never = Schedule { rotate_after: None, ..RULES };
        assert_eq!(never.due(&records, Timestamp(i64::MAX)), []);
    }

    #[test]
    fn a_key_retires_once_nothing_of_it_can_be_alive_and_never_by_a_guess() {
        let known = [key("a", KeyState::Retiring, Some(hours(10).0))];
        assert_eq!(RULES.due(&known, hours(35)), []);
        assert_eq!(RULES.due(&known, after(35)), [Due::Retire(&known[0].key)]);
        let unknown = [key("a", KeyState::Retiring, None)];
        assert_eq!(RULES.due(&unknown, Timestamp(i64::MAX)), [], "since when is not known");
        assert_eq!(RULES.due(&[key("a", KeyState::Retired, Some(0))], Timestamp(i64::MAX)), []);
    }

    #[test]
    fn of_two_that_wait_the_earlier_signs_first() {
        let records = [key("b", KeyState::Next, Some(20)), key("a", KeyState::Next, Some(10))];
        assert_eq!(RULES.due(&records, hours(9)), [Due::Promote(&records[1].key), Due::Promote(&records[0].key)]);
        let at_once = Schedule { publish_for: Duration::ZERO, ..RULES };
        assert_eq!(
            at_once.due(&records[..1], Timestamp(20)),
            [Due::Promote(&records[0].key)],
            "there is nothing to wait for"
        );
        let old = [key("a", KeyState::Next, None)];
        assert_eq!(RULES.due(&old, after(1)), [Due::Promote(&old[0].key)], "published when it was made");
    }

    proptest! {
        #[test]
        fn nothing_signs_that_was_published_for_less_and_nothing_ends_before_its_tokens(
            since in -1_000_000_i64..1_000_000, now in -1_000_000_i64..2_000_000, state in 0_usize..4,
        ) {
            let records = [key("a", KeyState::ALL[state], Some(since))];
            for due in RULES.due(&records, Timestamp(now)) {
                let least = match due {
                    Due::Promote(_) => RULES.publish_for,
                    Due::Retire(_) => RULES.retire_after,
                    Due::Successor(_) => Duration::from_secs(99 * 3600),
                };
                prop_assert!(Timestamp(since).plus(least) < Timestamp(now));
            }
        }
    }
}
