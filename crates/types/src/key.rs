//! Signing keys, as the other words speak of them.

use std::fmt;
use std::str::FromStr;

/// A key's identifier, the `kid` of a JWT's header: an opaque map key of 1 to 255 bytes. Ours are RFC 7638 thumbprints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Box<str>);

/// The text is not a key identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id has 1 to 255 bytes")]
pub struct InvalidKeyId;

impl KeyId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        if text.is_empty() || text.len() > 255 {
            return Err(InvalidKeyId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// A signature algorithm (RFC 7518 section 3.1, RFC 8037): the only three there are here.
    Algorithm, "signature algorithm" {
        /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits. The default: everything verifies it.
        Rs256 = "RS256",
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}

words! {
    /// Where a signing key stands in its life.
    KeyState, "key state" {
        /// Published, does not sign yet.
        Next = "next",
        /// Signs.
        Active = "active",
        /// Signs no more; its tokens are still accepted.
        Retiring = "retiring",
        /// Its tokens are inactive.
        Retired = "retired",
    }
}

impl KeyState {
    /// Whether a key may go from this state to another. It goes forward; only where the one in its place turns out bad does it sign
    /// again, since everybody knows it still. A retired key comes back by no way: its tokens would come with it.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Next | Self::Retiring, Self::Active | Self::Retired) | (Self::Active, Self::Retiring)
        )
    }

    /// Whether verifiers are told of the key.
    #[must_use]
    pub const fn is_published(self) -> bool {
        !matches!(self, Self::Retired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_key_becomes_nothing_and_none_leaves_the_signature_for_the_end_at_once() {
        for to in KeyState::ALL {
            assert!(!KeyState::Retired.may_become(*to));
            assert!(!to.may_become(*to));
            assert!(!to.may_become(KeyState::Next), "published once is published");
        }
        assert!(!KeyState::Active.may_become(KeyState::Retired), "something has to sign");
        assert!(KeyState::Next.may_become(KeyState::Active) && KeyState::Active.may_become(KeyState::Retiring));
        assert!(KeyState::Retiring.may_become(KeyState::Retired) && KeyState::Next.may_become(KeyState::Retired));
        assert!(KeyState::Retiring.may_become(KeyState::Active), "back, where the new one is bad");
    }
}
