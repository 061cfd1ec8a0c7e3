//! What is stored of a user's password.

use std::fmt;
use std::str::FromStr;

/// The hash of a password. (Replaced by the pool's.)
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// argon2id, as a PHC string.
    Argon2id(Box<str>),
    /// bcrypt.
    Bcrypt(Box<str>),
}

/// The text is not a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a password hash")]
pub struct InvalidPasswordHash;

impl PasswordHash {
    /// The form that is stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        match self {
            Self::Argon2id(text) | Self::Bcrypt(text) => text.to_string(),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, InvalidPasswordHash> {
        match text {
            _ if text.starts_with("$argon2id$") => Ok(Self::Argon2id(text.into())),
            _ if text.starts_with("$2") => Ok(Self::Bcrypt(text.into())),
            _ => Err(InvalidPasswordHash),
        }
    }
}
