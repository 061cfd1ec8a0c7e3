//! The hash that chains every place of the log to all before it, so that two logs which agree at one place agree below it.

use sha2::{Digest as _, Sha256};

use crate::event::ChainHash;

/// The hash at revision 0, before the first event.
pub const START: ChainHash = [0; 32];

/// The hash at a place: SHA-256 over the hash before it, the revision (big-endian) and the event as
/// [`wire::encode_event`](crate::wire::encode_event) writes it. The first two are of fixed length, so no two inputs run
/// together.
#[must_use]
pub fn next(previous: &ChainHash, revision: u64, payload: &[u8]) -> ChainHash {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(revision.to_be_bytes());
    hash.update(payload);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_hash_is_sha_256_of_previous_revision_and_payload() {
        let hex = next(&START, 1, b"abc").iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string");
            text
        });
        // printf '%064d%016x616263' 0 1 | xxd -r -p | sha256sum
        assert_eq!(hex, "328976acf07e9b1c4a8967f2d63902c9a724235b6363ac83087246ad84cd222a");
    }

    proptest! {
        #[test]
        fn every_input_counts(previous: ChainHash, revision: u64, payload: Vec<u8>, bit in 0..256_usize) {
            let hash = next(&previous, revision, &payload);
            let mut other = previous;
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(next(&other, revision, &payload), hash);
            prop_assert_ne!(next(&previous, revision ^ (1 << (bit % 64)), &payload), hash);
            let mut longer = payload;
            longer.push(0);
            prop_assert_ne!(next(&previous, revision, &longer), hash);
        }
    }
}
