//! Keyed hashes (HMAC-SHA256), under keys derived from a key-encryption key: one for each purpose, so that no tag made for one
//! means anything for another.

use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// A key that tags what the issuer must know again, and derives what it must be able to make again.
#[derive(Clone)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// The key of a purpose, derived from key material that is never used otherwise.
    pub(crate) fn derive(material: &hmac::Key, purpose: &str) -> Self {
        Self::from_bytes(&Self::derive_bytes(material, purpose))
    }

    /// What [`MacKey::derive`] makes its key of.
    pub(crate) fn derive_bytes(material: &hmac::Key, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut context = hmac::Context::with_key(material);
        context.update(b"tessera derived key\0");
        context.update(purpose.as_bytes());
        let derived = context.sign();
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.iter_mut().zip(derived.as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// The key that is these 32 bytes: one that was [derived](crate::Kek::derive) and kept.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The tag of some parts, each with its length before it, so that no two lists of parts are one.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        let signed = context.sign();
        let mut tag = Zeroizing::new([0; 32]);
        tag.iter_mut().zip(signed.as_ref()).for_each(|(to, from)| *to = *from);
        tag
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kek;

    #[test]
    fn a_tag_depends_on_the_key_the_purpose_and_where_each_part_ends() {
        let kek = Kek::from_bytes(&[1; 32]).expect("a key");
        let tag = |purpose, parts: &[&[u8]]| *kek.derive(purpose).tag(parts);
        let one = tag("a", &[b"xy", b"z"]);
        assert_eq!(one, tag("a", &[b"xy", b"z"]), "again the same");
        assert_ne!(one, tag("b", &[b"xy", b"z"]));
        assert_ne!(one, tag("a", &[b"x", b"yz"]));
        assert_ne!(one, tag("a", &[b"xyz"]));
        let other = Kek::from_bytes(&[2; 32]).expect("a key");
        assert_ne!(one, *other.derive("a").tag(&[b"xy", b"z"]));
        assert_eq!(one, *MacKey::from_bytes(&kek.derive_bytes("a")).tag(&[b"xy", b"z"]), "kept, it is the same");
        assert!(!format!("{:?}", kek.derive("a")).contains('['));
    }
}
