//! Proof Key for Code Exchange (RFC 7636), with S256 alone: `plain` shows the verifier to whoever sees the request.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The only method there is.
pub const METHOD: &str = "S256";

/// A code challenge: the SHA-256 of a verifier (RFC 7636 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

/// The text is not a code challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code challenge is 32 bytes in base64url without padding")]
pub struct InvalidChallenge;

/// A code verifier: 43 to 128 unreserved characters (RFC 7636 section 4.1). Redacted, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct CodeVerifier(String);

/// The text is not a code verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code verifier has 43 to 128 unreserved characters")]
pub struct InvalidVerifier;

impl CodeChallenge {
    /// Whether a verifier is the one behind this challenge, in constant time.
    #[must_use]
    pub fn is_of(&self, verifier: &CodeVerifier) -> bool {
        self.0.ct_eq(&verifier.challenge().0).into()
    }
}

impl FromStr for CodeChallenge {
    type Err = InvalidChallenge;

    fn from_str(text: &str) -> Result<Self, InvalidChallenge> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidChallenge)?;
        bytes.try_into().map(Self).map_err(|_| InvalidChallenge)
    }
}

impl fmt::Display for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl CodeVerifier {
    /// The challenge that is sent ahead of it.
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        CodeChallenge(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl FromStr for CodeVerifier {
    type Err = InvalidVerifier;

    fn from_str(text: &str) -> Result<Self, InvalidVerifier> {
        let unreserved = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        if !(43..=128).contains(&text.len()) || !unreserved {
            return Err(InvalidVerifier);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 Appendix B.
    #[test]
    fn the_example_of_the_rfc_holds() {
        let verifier: CodeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".parse().expect("a verifier");
        let challenge: CodeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse().expect("a challenge");
        assert!(challenge.is_of(&verifier));
        assert_eq!(challenge.to_string(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let other: CodeVerifier = "a".repeat(43).parse().expect("a verifier");
        assert!(!challenge.is_of(&other));
    }

    #[test]
    fn bounds_and_characters_are_those_of_the_rfc() {
        for good in ["a".repeat(43), "~".repeat(128)] {
            assert!(good.parse::<CodeVerifier>().is_ok());
        }
        for bad in ["a".repeat(42), "a".repeat(129), format!("{}+", "a".repeat(43)), "é".repeat(43)] {
            assert!(bad.parse::<CodeVerifier>().is_err(), "{bad}");
        }
        for bad in ["", "a", &"A".repeat(42), &"A".repeat(44), &format!("{}=", "A".repeat(43)), &"+".repeat(43)] {
            assert!(bad.parse::<CodeChallenge>().is_err(), "{bad}");
        }
        assert!(!format!("{:?}", "a".repeat(43).parse::<CodeVerifier>()).contains("aaa"));
    }
}
