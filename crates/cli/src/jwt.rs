//! Reading a JWT (RFC 7519) without checking it: for people who look, never for a decision.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// The two readable parts of a JWT. The signature is not checked.
pub struct Decoded {
    /// The JOSE header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

impl Decoded {
    /// Decodes a compact JWT.
    ///
    /// # Errors
    /// Usage, where it is none.
    pub fn parse(token: &str) -> Result<Self, Problem> {
        let bad = |why: &str| {
            Problem::usage("NOT_A_JWT", format!("this is no JWT: {why}"))
                .hint("an access token has three parts of base64url with dots between them")
        };
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(bad("it does not have three parts"));
        };
        let decode = |part: &str| -> Option<Map<String, Value>> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        if URL_SAFE_NO_PAD.decode(signature).is_err() {
            return Err(bad("its signature is not base64url"));
        }
        Ok(Self {
            header: decode(header).ok_or_else(|| bad("its header is not a JSON object in base64url"))?,
            claims: decode(claims).ok_or_else(|| bad("its claims are not a JSON object in base64url"))?,
        })
    }

    /// A claim that is a text.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// A claim that is a time (NumericDate, whole seconds).
    #[must_use]
    pub fn time(&self, claim: &str) -> Option<i64> {
        self.claims.get(claim).and_then(Value::as_i64)
    }

    /// The audiences, whether one or a list.
    #[must_use]
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Makes a JWT whose signature is none, for tests.
#[cfg(test)]
pub(crate) fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = serde_json::json!({ "typ": "at+jwt", "alg": "RS256", "kid": "k1" });
    format!("{}.{}.AAAA", part(&header), part(claims))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_parts_are_read() {
        let decoded =
            Decoded::parse(&unsigned(&json!({ "client_id": "a", "exp": 9, "aud": ["x", "y"] }))).expect("reads");
        assert_eq!(decoded.header["kid"], "k1");
        assert_eq!(decoded.text("client_id"), Some("a"));
        assert_eq!(decoded.time("exp"), Some(9));
        assert_eq!(decoded.audiences(), ["x", "y"]);
    }

    #[test]
    fn what_is_no_jwt_is_said_to_be_none() {
        for bad in ["", "a", "a.b", "a.b.c.d", "e30.W10.AAAA", "e30.e30.!", "e30=.e30.AAAA"] {
            assert_eq!(Decoded::parse(bad).err().expect(bad).reason, "NOT_A_JWT", "{bad}");
        }
    }
}
