//! What an introspection endpoint answers (RFC 7662 section 2.2).

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::verified::Verified;

/// The answer for a token.
#[derive(Clone, Debug)]
pub enum Introspection {
    /// `{"active":false}` and nothing else, whatever the cause.
    Inactive,
    /// The token's members.
    Active(std::sync::Arc<Verified>),
}

impl Serialize for Introspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let Self::Active(verified) = self else {
            map.serialize_entry("active", &false)?;
            return map.end();
        };
        let claims = verified.claims();
        map.serialize_entry("active", &true)?;
        map.serialize_entry("scope", &claims.scopes.to_string())?;
        map.serialize_entry("client_id", claims.client.as_str())?;
        if let Some(username) = &claims.username {
            map.serialize_entry("username", username)?;
        }
        map.serialize_entry("token_type", "Bearer")?;
        map.serialize_entry("exp", &claims.expires.0)?;
        map.serialize_entry("iat", &claims.issued.0)?;
        map.serialize_entry("nbf", &claims.not_before.0)?;
        map.serialize_entry("sub", &claims.subject)?;
        let aud: Vec<&str> = claims.aud().collect();
        match aud[..] {
            [one] => map.serialize_entry("aud", one)?,
            _ => map.serialize_entry("aud", &aud)?,
        }
        map.serialize_entry("iss", &claims.issuer)?;
        map.serialize_entry("jti", &claims.token.to_string())?;
        map.end()
    }
}
