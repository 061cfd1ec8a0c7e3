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
