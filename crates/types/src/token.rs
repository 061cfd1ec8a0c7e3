//! Identifiers of tokens and grants.

use std::fmt;
use std::str::FromStr;

use crate::random::Randomness;

/// The text is not one of our identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier of this server")]
pub struct InvalidId;

/// 128 random bits, written as 22 characters of base64url, after a prefix where there is one.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        random_id! { $(#[$doc])* $name, prefix "" }
    };
    ($(#[$doc:meta])* $name:ident, prefix $prefix:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A new one.
            #[must_use]
            pub fn generate(random: &dyn Randomness) -> Self {
                Self($crate::random::bytes(random))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                use base64::Engine as _;
                f.write_str($prefix)?;
                f.write_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                use base64::Engine as _;
                let text = text.strip_prefix($prefix).ok_or(InvalidId)?;
                let bytes =
                    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidId)?;
                bytes.try_into().map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

random_id! {
    /// An access token's `jti` (RFC 7519 section 4.1.7).
    TokenId
}

random_id! {
    /// A grant: what a user or client was given once, and every token that came of it.
    GrantId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_written() {
        let id = TokenId([7; 16]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "AAAA", "not base64!", &"A".repeat(23)] {
            assert_eq!(bad.parse::<TokenId>(), Err(InvalidId));
        }
    }
}
