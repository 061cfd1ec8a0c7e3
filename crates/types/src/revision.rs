//! Places in the log.

use std::fmt;
use std::str::FromStr;

/// Which log a revision belongs to: random, new after a restore from backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Epoch {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        let canonical = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !canonical {
            return Err(InvalidRevision);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| InvalidRevision)
    }
}

/// A place in a log: how many events came up to it. Written `epoch.number`; callers treat the text as opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision {
    /// Which log.
    pub epoch: Epoch,
    /// The place in it. 0 is before the first event.
    pub number: u64,
}

/// The text is not a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a revision of this server")]
pub struct InvalidRevision;

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        let (epoch, number) = text.split_once('.').ok_or(InvalidRevision)?;
        let canonical = !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
            && (number == "0" || !number.starts_with('0'));
        if !canonical {
            return Err(InvalidRevision);
        }
        Ok(Self { epoch: epoch.parse()?, number: number.parse().map_err(|_| InvalidRevision)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_revision_reads_back_as_written(epoch: u64, number: u64) {
            let revision = Revision { epoch: Epoch(epoch), number };
            prop_assert_eq!(revision.to_string().parse(), Ok(revision));
        }
    }

    #[test]
    fn only_the_canonical_form_is_a_revision() {
        for bad in [
            "",
            ".",
            "1.1",
            "0000000000000001",
            "0000000000000001.",
            "0000000000000001.01",
            "0000000000000001.+1",
            "000000000000000A.1",
        ] {
            assert_eq!(bad.parse::<Revision>(), Err(InvalidRevision), "{bad:?}");
        }
    }
}
