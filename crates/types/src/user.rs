//! Users: who they are, and what they type to say so.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;

use crate::random::Randomness;
use crate::token::InvalidId;

/// What every user's identifier begins with. No client's does: a token's `sub` must not be somebody else's (RFC 9068 section 5).
pub const ID_PREFIX: &str = "usr_";

random_id! {
    /// A user's identifier, the `sub` of their tokens: random, and never used again.
    UserId, prefix ID_PREFIX
}

/// The name a user signs in with: 1 to 255 characters, without `@`, white space and control characters. Kept as written; two names
/// that differ in case or in the way accents are encoded are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(Box<str>);

/// The text is not a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a username has 1 to 255 characters, without @, white space and control characters")]
pub struct InvalidUsername;

/// An e-mail address: at most 254 bytes, something on both sides of its last `@`, no white space and no control characters. Whether
/// mail arrives is not known here. Kept as written, compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(Box<str>);

/// The text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address has at most 254 bytes, an @ with something on both sides, and no white space")]
pub struct InvalidEmail;

/// What somebody typed to say who they are, ready to be looked up: a username's key, or an e-mail address's where it has an `@`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoginKey {
    /// Of a username.
    Username(String),
    /// Of an e-mail address.
    Email(String),
}

impl Username {
    /// The longest name, in characters.
    pub const MAX_LEN: usize = 255;

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is compared and looked up by.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        let bad = |c: char| c == '@' || c.is_whitespace() || c.is_control();
        // The key is what must be unique: a name that folds to nothing, or to more than a name, is none.
        let key = fold(text);
        let lengths = 1..=Self::MAX_LEN;
        let in_bounds = |text: &str| lengths.contains(&text.chars().count());
        if !in_bounds(text) || !in_bounds(&key) || text.chars().any(bad) || key.chars().any(bad) {
            return Err(InvalidUsername);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Email {
    /// The longest address, in bytes (RFC 5321 section 4.5.3.1.3).
    pub const MAX_LEN: usize = 254;

    /// The address as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is compared and looked up by.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let bad = |c: char| c.is_whitespace() || c.is_control();
        if local.is_empty() || domain.is_empty() || text.len() > Self::MAX_LEN || text.chars().any(bad) {
            return Err(InvalidEmail);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LoginKey {
    /// Reads what somebody typed; white space around it is forgiven. `None` where no user can be meant.
    #[must_use]
    pub fn read(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        if typed.contains('@') {
            return typed.parse::<Email>().ok().map(|email| Self::Email(email.key()));
        }
        typed.parse::<Username>().ok().map(|name| Self::Username(name.key()))
    }
}

/// One spelling for all that look and sound the same to their owner: compatibility composition, lower case.
fn fold(text: &str) -> String {
    let lower: String = text.nfkc().flat_map(char::to_lowercase).collect();
    lower.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_user_id_reads_back_and_is_no_other_identifier() {
        let id = UserId([9; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().starts_with(ID_PREFIX));
        for bad in ["", "usr_", "AAAAAAAAAAAAAAAAAAAAAA", "usr_AAAA", "USR_AAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(bad.parse::<UserId>(), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn spellings_of_one_name_have_one_key() {
        let key = |text: &str| text.parse::<Username>().expect("a username").key();
        for (one, other) in [("Ada", "ada"), ("Zoë", "zoe\u{308}"), ("ﬁn", "FIN"), ("ŸVES", "ÿves")] {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        assert_ne!(key("ada"), key("àda"));
    }

    #[test]
    fn a_name_is_no_address_and_an_address_no_name() {
        for bad in ["", "a b", "a@b", "a\u{a0}b", "a\n", "\u{ff20}", &"a".repeat(256)] {
            assert_eq!(bad.parse::<Username>(), Err(InvalidUsername), "{bad:?}");
        }
        for bad in ["", "@", "a@", "@b", "a b@c", "a@b\r\nc", &format!("a@{}", "b".repeat(254))] {
            assert_eq!(bad.parse::<Email>(), Err(InvalidEmail), "{bad:?}");
        }
        assert_eq!(LoginKey::read(" Ada@Example.test "), Some(LoginKey::Email("ada@example.test".into())));
        assert_eq!(LoginKey::read("ADA"), Some(LoginKey::Username("ada".into())));
        assert_eq!(LoginKey::read("a b"), None);
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(name in "\\PC{1,40}") {
            if let Ok(name) = name.parse::<Username>() {
                let key = name.key();
                prop_assert_eq!(key.parse::<Username>().map(|again| again.key()), Ok(key));
            }
        }
    }
}
