//! Client secrets: what we generate, what is presented, and what is stored of them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::random::{self, Randomness};

/// What every generated secret starts with, so that scanners of repositories and logs find it.
pub const PREFIX: &str = "tsk_";

const BODY_LEN: usize = 43;
pub(crate) const CHECK_LEN: usize = 6;

/// A secret as somebody presented it: 1 to 1024 bytes. Redacted, never displayed, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PresentedSecret(String);

/// What a presented secret looks like, and so which hash it is held against. The shape alone decides, whoever the client is,
/// so that time tells nothing of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretShape {
    /// One of ours: 256 random bits and a checksum that holds. A fast hash suffices.
    Generated,
    /// Anything else: may be guessable, so only a slow hash will do.
    Chosen,
}

impl PresentedSecret {
    /// The longest secret that is looked at, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Takes a secret; `None` where it is empty (an empty secret never authenticates) or too long.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let secret = Self(text);
        (!secret.0.is_empty() && secret.0.len() <= Self::MAX_LEN).then_some(secret)
    }

    /// What stands for a secret that is too long to be anybody's: held against a hash, it takes as long, and is never right, for no
    /// secret that is set may have a NUL.
    #[must_use]
    pub fn nobodys() -> Self {
        Self("\0".to_owned())
    }

    /// Makes a new secret: `tsk_`, 256 random bits, a checksum; all URL-safe.
    #[must_use]
    pub fn generate(random: &dyn Randomness) -> Self {
        let mut bits: [u8; 32] = random::bytes(random);
        let body = URL_SAFE_NO_PAD.encode(bits);
        bits.zeroize();
        Self(format!("{PREFIX}{body}{}", checksum(&body)))
    }

    /// What it looks like.
    #[must_use]
    pub fn shape(&self) -> SecretShape {
        let generated = self.0.strip_prefix(PREFIX).is_some_and(|rest| {
            rest.len() == BODY_LEN + CHECK_LEN && rest.is_ascii() && checksum(&rest[..BODY_LEN]) == rest[BODY_LEN..]
        });
        if generated { SecretShape::Generated } else { SecretShape::Chosen }
    }

    /// The fast hash: SHA-256 of the whole text.
    #[must_use]
    pub fn fast_hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The text itself, for the slow hash, and for showing a new secret this once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PresentedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedSecret(…)")
    }
}

pub(crate) fn checksum(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest[..4])
}

/// What is stored of a secret. Written `sha256:…` or as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretHash {
    /// SHA-256 of a generated secret.
    Fast([u8; 32]),
    /// argon2id of a chosen or imported one, as a PHC string.
    Slow(Box<str>),
}

/// The text is not a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stored secret hash")]
pub struct InvalidSecretHash;

impl SecretHash {
    /// Whether a fast hash is this one, in constant time. A slow hash never is.
    #[must_use]
    pub fn matches_fast(&self, presented: &[u8; 32]) -> bool {
        match self {
            Self::Fast(stored) => stored.ct_eq(presented).into(),
            Self::Slow(_) => false,
        }
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast(_) => "SecretHash::Fast(…)",
            Self::Slow(_) => "SecretHash::Slow(…)",
        })
    }
}

impl SecretHash {
    /// The form that is stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        match self {
            Self::Fast(digest) => format!("sha256:{}", URL_SAFE_NO_PAD.encode(digest)),
            Self::Slow(phc) => phc.to_string(),
        }
    }
}

impl FromStr for SecretHash {
    type Err = InvalidSecretHash;

    fn from_str(text: &str) -> Result<Self, InvalidSecretHash> {
        if let Some(digest) = text.strip_prefix("sha256:") {
            let bytes = URL_SAFE_NO_PAD.decode(digest).map_err(|_| InvalidSecretHash)?;
            return Ok(Self::Fast(bytes.try_into().map_err(|_| InvalidSecretHash)?));
        }
        if text.starts_with("$argon2id$") {
            return Ok(Self::Slow(text.into()));
        }
        Err(InvalidSecretHash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl Randomness for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for (index, byte) in buffer.iter_mut().enumerate() {
                *byte = u8::try_from(index % 251).expect("small");
            }
        }
    }

    #[test]
    fn a_generated_secret_is_recognised_and_carries_256_bits() {
        let secret = PresentedSecret::generate(&Counting);
        assert_eq!(secret.shape(), SecretShape::Generated);
        assert_eq!(secret.expose().len(), PREFIX.len() + BODY_LEN + CHECK_LEN);
        assert!(secret.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
    }

    #[test]
    fn any_flipped_character_breaks_the_shape() {
        let secret = PresentedSecret::generate(&Counting);
        for index in PREFIX.len()..secret.expose().len() {
            let mut bytes = secret.expose().as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let other = PresentedSecret::new(String::from_utf8(bytes).expect("ascii")).expect("not empty");
            assert_eq!(other.shape(), SecretShape::Chosen, "at {index}");
        }
    }

    #[test]
    fn an_empty_secret_is_none() {
        assert!(PresentedSecret::new(String::new()).is_none());
        assert!(PresentedSecret::new("x".repeat(1025)).is_none());
    }

    #[test]
    fn a_stored_hash_reads_back_and_matches_only_its_secret() {
        let secret = PresentedSecret::generate(&Counting);
        let hash: SecretHash = SecretHash::Fast(secret.fast_hash()).to_stored().parse().expect("stored form");
        assert!(hash.matches_fast(&secret.fast_hash()));
        assert!(!hash.matches_fast(&[0; 32]));
        assert!("plain".parse::<SecretHash>().is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = PresentedSecret::new("hunter2".into()).expect("not empty");
        assert!(!format!("{secret:?} {:?}", SecretHash::Fast(secret.fast_hash())).contains("hunter"));
    }
}
