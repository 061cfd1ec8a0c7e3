//! What the server hands out and takes back without a meaning to anybody else: authorization codes, sessions, the identifiers of
//! authorization requests, and refresh tokens.
//!
//! Each kind has a prefix of its own, so that one never passes for another, and ends in a checksum, so that scanners find what leaked.
//! Only hashes of them are stored.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::random::{self, Randomness};
use crate::secret::{CHECK_LEN, PREFIX, checksum};
use crate::token::GrantId;

/// The text is not one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this kind of this server")]
pub struct InvalidOpaque;

/// The SHA-256 of an opaque token: what is stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpaqueHash(pub [u8; 32]);

impl OpaqueHash {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Debug for OpaqueHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpaqueHash(…)")
    }
}

/// The form that is stored.
impl fmt::Display for OpaqueHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for OpaqueHash {
    type Err = InvalidOpaque;

    fn from_str(text: &str) -> Result<Self, InvalidOpaque> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidOpaque)?;
        bytes.try_into().map(Self).map_err(|_| InvalidOpaque)
    }
}

/// Writes bytes as a token of a kind: `tsk_`, the kind, the bytes in base64url, a checksum.
fn write(kind: &str, bytes: &[u8]) -> String {
    let body = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
    format!("{PREFIX}{kind}_{}{}", *body, checksum(&body))
}

/// The bytes of a token of a kind.
fn read<const N: usize>(kind: &str, text: &str) -> Result<[u8; N], InvalidOpaque> {
    let rest =
        text.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(kind)).and_then(|rest| rest.strip_prefix('_'));
    let rest = rest.filter(|rest| rest.is_ascii()).ok_or(InvalidOpaque)?;
    let (body, check) = rest.len().checked_sub(CHECK_LEN).map(|at| rest.split_at(at)).ok_or(InvalidOpaque)?;
    if checksum(body) != check {
        return Err(InvalidOpaque);
    }
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| InvalidOpaque)?);
    bytes.as_slice().try_into().map_err(|_| InvalidOpaque)
}

/// 256 random bits of one kind.
macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
        pub struct $name(String);

        impl $name {
            /// A new one.
            #[must_use]
            pub fn generate(random: &dyn Randomness) -> Self {
                let bits: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes(random));
                Self(write($kind, &*bits))
            }

            /// What is stored of it.
            #[must_use]
            pub fn hash(&self) -> OpaqueHash {
                OpaqueHash::of(&self.0)
            }

            /// The text itself, for whom it is meant.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidOpaque;

            fn from_str(text: &str) -> Result<Self, InvalidOpaque> {
                read::<32>($kind, text).map(|mut bytes| {
                    bytes.zeroize();
                    Self(text.to_owned())
                })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

opaque! {
    /// An authorization code (RFC 6749 section 4.1.2).
    AuthorizationCode, "ac"
}

opaque! {
    /// A person's session at the issuer, in a cookie of their browser or in the hands of a front end.
    SessionToken, "se"
}

opaque! {
    /// An authorization request that waits for a person's decision. It opens nothing by itself.
    RequestToken, "ar"
}

/// A refresh token (RFC 6749 section 1.5): which grant, which turn of it, 256 bits that are its secret, and a tag by which the issuer
/// knows any token it ever gave out, long after it has forgotten the secret.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RefreshToken {
    /// The grant.
    #[zeroize(skip)]
    pub grant: GrantId,
    /// How many came before it.
    pub generation: u32,
    /// 256 bits.
    pub secret: [u8; 32],
    /// The issuer's tag over all of it.
    pub tag: [u8; 16],
}

const REFRESH_LEN: usize = 16 + 4 + 32 + 16;

impl RefreshToken {
    const KIND: &str = "rt";

    /// The text that is handed out.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; REFRESH_LEN]);
        bytes[..16].copy_from_slice(&self.grant.0);
        bytes[16..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..52].copy_from_slice(&self.secret);
        bytes[52..].copy_from_slice(&self.tag);
        Zeroizing::new(write(Self::KIND, &*bytes))
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> OpaqueHash {
        OpaqueHash::of(&self.to_text())
    }
}

impl FromStr for RefreshToken {
    type Err = InvalidOpaque;

    fn from_str(text: &str) -> Result<Self, InvalidOpaque> {
        let bytes: Zeroizing<[u8; REFRESH_LEN]> = Zeroizing::new(read(Self::KIND, text)?);
        let part = |from: usize| bytes[from..].iter().copied();
        let mut token = Self { grant: GrantId([0; 16]), generation: 0, secret: [0; 32], tag: [0; 16] };
        token.grant.0.iter_mut().zip(part(0)).for_each(|(to, from)| *to = from);
        token.generation = part(16).take(4).fold(0, |number, byte| number << 8 | u32::from(byte));
        token.secret.iter_mut().zip(part(20)).for_each(|(to, from)| *to = from);
        token.tag.iter_mut().zip(part(52)).for_each(|(to, from)| *to = from);
        Ok(token)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("generation", &self.generation).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::{PresentedSecret, SecretShape};

    struct Fixed;
    impl Randomness for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[test]
    fn one_kind_never_passes_for_another() {
        let code = AuthorizationCode::generate(&Fixed);
        let session = SessionToken::generate(&Fixed);
        assert_eq!(code.expose().parse(), Ok(code.clone()));
        assert_eq!(code.expose().parse::<SessionToken>(), Err(InvalidOpaque));
        assert_eq!(session.expose().parse::<RequestToken>(), Err(InvalidOpaque));
        assert_eq!(session.expose().parse::<RefreshToken>(), Err(InvalidOpaque));
        let as_secret = PresentedSecret::new(code.expose().to_owned()).expect("not empty");
        assert_eq!(as_secret.shape(), SecretShape::Chosen);
        assert_ne!(code.hash(), session.hash());
        assert_eq!(code.hash().to_string().parse(), Ok(code.hash()));
    }

    #[test]
    fn any_changed_character_is_noticed_before_anything_is_looked_up() {
        let text = SessionToken::generate(&Fixed).expose().to_owned();
        for index in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(bytes).expect("ascii");
            assert_eq!(other.parse::<SessionToken>(), Err(InvalidOpaque), "at {index}");
        }
        for bad in ["", "tsk_se_", &text[..text.len() - 1], &format!("{text}A"), "tsk_se_é"] {
            assert_eq!(bad.parse::<SessionToken>(), Err(InvalidOpaque), "{bad:?}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let token = RefreshToken { grant: GrantId([1; 16]), generation: 3, secret: [7; 32], tag: [8; 16] };
        let shown = format!("{token:?} {:?} {:?}", SessionToken::generate(&Fixed), token.hash());
        assert!(!shown.contains("7, 7") && !shown.contains("Bwc"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_refresh_token_reads_back_as_written(grant: [u8; 16], generation: u32, secret: [u8; 32], tag: [u8; 16]) {
            let token = RefreshToken { grant: GrantId(grant), generation, secret, tag };
            prop_assert_eq!(token.to_text().parse(), Ok(token));
        }
    }
}
