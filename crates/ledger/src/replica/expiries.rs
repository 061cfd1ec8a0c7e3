//! When revocations may be forgotten: by the hour, so that a raised floor drops whole hours and scans nothing else.

use std::collections::BTreeMap;

use tessera_types::{GrantId, Timestamp, TokenId};

const HOUR: i64 = 3600;

/// The revocations that end in one hour.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) tokens: Vec<TokenId>,
    pub(super) grants: Vec<GrantId>,
}

/// Revocations by the hour in which what they are about expires.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    hours: BTreeMap<i64, Bucket>,
}

impl Expiries {
    /// The bucket of a moment.
    pub(super) fn bucket(&mut self, expires: Timestamp) -> &mut Bucket {
        self.hours.entry(hour(expires)).or_default()
    }

    /// Takes out the buckets in which everything expired before the floor.
    pub(super) fn below(&mut self, floor: Timestamp) -> impl Iterator<Item = Bucket> {
        let kept = self.hours.split_off(&hour(floor));
        std::mem::replace(&mut self.hours, kept).into_values()
    }

    /// How many revocations wait here.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.hours.values().map(|bucket| bucket.tokens.len() + bucket.grants.len()).sum()
    }
}

/// Whether the hour of this moment is wholly below the floor: its revocations are forgotten, the floor answers for them.
pub(super) fn is_forgotten(expires: Timestamp, floor: Timestamp) -> bool {
    hour(expires) < hour(floor)
}

/// Whatever expires before this moment is forgotten under the floor, and nothing else: so that a store forgets exactly what its replicas
/// do.
#[must_use]
pub fn forgotten_before(floor: Timestamp) -> Timestamp {
    Timestamp(hour(floor).saturating_mul(HOUR))
}

/// Rounded down, also before 1970.
fn hour(moment: Timestamp) -> i64 {
    moment.0.div_euclid(HOUR)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_what_expired_before_the_floor_is_forgotten(expires: i64, floor: i64) {
            let (expires, floor) = (Timestamp(expires), Timestamp(floor));
            let mut expiries = Expiries::default();
            expiries.bucket(expires).tokens.push(TokenId([1; 16]));
            let dropped = expiries.below(floor).count() == 1;
            prop_assert_eq!(dropped, is_forgotten(expires, floor));
            prop_assert_eq!(expiries.len(), usize::from(!dropped));
            prop_assert_eq!(dropped, expires < forgotten_before(floor));
            prop_assert!(!dropped || expires < floor);
            prop_assert!(dropped || expires.0 >= floor.0.saturating_sub(HOUR));
        }
    }
}
