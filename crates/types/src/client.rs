//! Clients (RFC 6749 section 2) and the grants they may use.

use std::fmt;
use std::str::FromStr;

/// A client's identifier: 1 to 255 bytes without white space and control characters (RFC 6749 section 2.2). Wider than its
/// Appendix A.1, since systems that people move from have identifiers with letters beyond ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Box<str>);

/// The text is not a client identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client id has 1 to 255 bytes, without spaces and control characters")]
pub struct InvalidClientId;

impl ClientId {
    /// The longest identifier, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = InvalidClientId;

    fn from_str(text: &str) -> Result<Self, InvalidClientId> {
        let well_formed = !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if text.is_empty() || text.len() > Self::MAX_LEN || !well_formed {
            return Err(InvalidClientId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ClientId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

words! {
    /// Whether a client can keep a secret (RFC 6749 section 2.1).
    ClientType, "client type" {
        /// It keeps a secret and authenticates with it.
        Confidential = "confidential",
        /// It has none: an application on a person's device.
        Public = "public",
    }
}

words! {
    /// The shape of an access token's claims.
    ClaimsProfile, "claims profile" {
        /// RFC 9068: `typ: at+jwt`, `aud` the resource server, `sub` the client's id for client credentials.
        Rfc9068 = "rfc9068",
        /// What shop systems expect: `typ: JWT`, `aud` the client's id, `scopes` a list.
        Legacy = "legacy",
    }
}

words! {
    /// A grant type, by the value of the `grant_type` parameter.
    GrantType, "grant type" {
        /// The client acts for itself (RFC 6749 section 4.4).
        ClientCredentials = "client_credentials",
        /// The client acts for a user who consented (RFC 6749 section 4.1).
        AuthorizationCode = "authorization_code",
        /// The client presents a user's password (RFC 6749 section 4.3); first-party clients only.
        Password = "password",
        /// The client renews what it was granted (RFC 6749 section 6).
        RefreshToken = "refresh_token",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_bounded_and_has_no_space() {
        for good in ["SWIABXZIEHRJVNJPZVNKUNI5EA", "a:b%c+dé", &"a".repeat(255)] {
            assert!(good.parse::<ClientId>().is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "a\u{a0}b", "a\0", "a\n", &"a".repeat(256)] {
            assert_eq!(bad.parse::<ClientId>(), Err(InvalidClientId), "{bad:?}");
        }
    }

    #[test]
    fn words_read_back_as_written() {
        for grant in GrantType::ALL {
            assert_eq!(grant.as_str().parse(), Ok(*grant));
        }
        assert!("implicit".parse::<GrantType>().is_err());
    }
}
