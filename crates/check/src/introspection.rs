//! What an introspection endpoint answers (RFC 7662 section 2.2).

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use tessera_types::{Scope, ScopeSet};

use crate::requirement::requirement;
use crate::verified::ActiveToken;

/// The answer for a token.
#[derive(Clone, Debug)]
pub enum Introspection {
    /// `{"active":false}` and nothing else, whatever the cause.
    Inactive,
    /// The token's members.
    Active(ActiveToken),
}

/// The answer for a token and, as an extension, for the scopes that were asked for.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ScopedIntrospection {
    #[serde(flatten)]
    introspection: Introspection,
    /// Whether the token is active and has every scope asked for; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<bool>,
    /// The scopes asked for that it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_scopes: Option<Vec<String>>,
}

impl ScopedIntrospection {
    /// The answer for a token that is active, or is not. What is inactive is said nothing more of.
    #[must_use]
    pub fn new(verified: Option<ActiveToken>, all_of: &ScopeSet) -> Self {
        let Some(verified) = verified else {
            return Self { introspection: Introspection::Inactive, allowed: None, missing_scopes: None };
        };
        let (allowed, missing) = requirement(all_of, &ScopeSet::empty(), &verified.claims().scopes);
        let asked = !all_of.is_empty();
        Self {
            introspection: Introspection::Active(verified),
            allowed: asked.then_some(allowed),
            missing_scopes: asked.then(|| missing.iter().map(Scope::to_string).collect()),
        }
    }
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
        map.serialize_entry("sub", &*verified.subject())?;
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
