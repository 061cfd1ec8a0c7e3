//! How one refresh token follows from another.
//!
//! The successor of a token is a keyed hash of it. So the *same* successor can be handed out again to a client that lost the answer,
//! though nothing is stored of it but its hash; and who holds the database, or an old token, cannot make it without the issuer's key.
//! Every token carries a tag by which it is known as one of ours after its hash has been forgotten: that is how a spent token is told
//! from a forged one, and only the former kills its family.

use subtle::ConstantTimeEq as _;
use tessera_keys::MacKey;
use tessera_types::{GrantId, Randomness, RefreshToken, random};

/// Makes refresh tokens, and knows them again.
#[derive(Clone, Debug)]
pub struct Lineage {
    next: MacKey,
    tag: MacKey,
}

impl Lineage {
    /// The lineage of everybody who has these two keys. Under others the tokens there are go on working; only those spent before are
    /// then not known any more.
    #[must_use]
    pub fn new(next: MacKey, tag: MacKey) -> Self {
        Self { next, tag }
    }

    /// The first token of a family.
    #[must_use]
    pub fn first(&self, grant: GrantId, random: &dyn Randomness) -> RefreshToken {
        self.tagged(grant, 0, random::bytes(random))
    }

    /// The token that follows one; always the same.
    #[must_use]
    pub fn successor(&self, token: &RefreshToken) -> RefreshToken {
        let secret = self.next.tag(&[&token.grant.0, &token.generation.to_be_bytes(), &token.secret]);
        self.tagged(token.grant, token.generation.saturating_add(1), *secret)
    }

    /// Whether a token is one of ours.
    #[must_use]
    pub fn knows(&self, token: &RefreshToken) -> bool {
        self.tag_of(token).ct_eq(&token.tag).into()
    }

    fn tagged(&self, grant: GrantId, generation: u32, secret: [u8; 32]) -> RefreshToken {
        let mut token = RefreshToken { grant, generation, secret, tag: [0; 16] };
        token.tag = self.tag_of(&token);
        token
    }

    fn tag_of(&self, token: &RefreshToken) -> [u8; 16] {
        let tag = self.tag.tag(&[&token.grant.0, &token.generation.to_be_bytes(), &token.secret]);
        let mut short = [0; 16];
        short.iter_mut().zip(tag.iter()).for_each(|(to, from)| *to = *from);
        short
    }
}

#[cfg(test)]
mod tests {
    use tessera_testkit::SeededRandom;

    use super::*;

    fn lineage(key: u8) -> Lineage {
        Lineage::new(MacKey::from_bytes(&[key; 32]), MacKey::from_bytes(&[key + 100; 32]))
    }

    #[test]
    fn a_successor_is_always_the_same_and_nobody_elses() {
        let (ours, theirs) = (lineage(1), lineage(2));
        let first = ours.first(GrantId([3; 16]), &SeededRandom::new(1));
        let second = ours.successor(&first);
        assert_eq!(second, ours.successor(&first));
        assert_eq!((second.generation, second.grant), (1, first.grant));
        assert_ne!(second.secret, first.secret);
        assert_ne!(second.secret, ours.successor(&second).secret);
        assert_ne!(second.secret, theirs.successor(&first).secret, "without the key it cannot be made");
    }

    #[test]
    fn every_token_is_known_and_none_that_differs_in_anything() {
        let ours = lineage(1);
        let mut token = ours.first(GrantId([3; 16]), &SeededRandom::new(1));
        for _ in 0..5 {
            assert!(ours.knows(&token));
            assert!(!lineage(2).knows(&token));
            let forged = [
                RefreshToken { generation: token.generation + 1, ..token.clone() },
                RefreshToken { grant: GrantId([4; 16]), ..token.clone() },
                RefreshToken { secret: [0; 32], ..token.clone() },
                RefreshToken { tag: [0; 16], ..token.clone() },
            ];
            assert!(forged.iter().all(|forged| !ours.knows(forged)));
            token = ours.successor(&token);
        }
    }
}
