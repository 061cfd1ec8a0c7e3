//! Whom a token is meant for (RFC 7519 section 4.1.3, RFC 8707).

use std::fmt;
use std::str::FromStr;

/// An audience: 1 to 255 printable ASCII characters without space, `"` and `\`.
///
/// Names (`orders-api`) and absolute URIs (RFC 8707) alike; compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audience(Box<str>);

/// The text is not an audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an audience has 1 to 255 printable ASCII characters without space, quote and backslash")]
pub struct InvalidAudience;

impl Audience {
    /// The longest audience, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The audience as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = InvalidAudience;

    fn from_str(text: &str) -> Result<Self, InvalidAudience> {
        let well_formed = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if text.is_empty() || text.len() > Self::MAX_LEN || !well_formed {
            return Err(InvalidAudience);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Audience {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
