//! Compact signed tokens (RFC 7515 section 7.1): written, and read so strictly that a token has exactly one form.
//!
//! What is read here is not yet verified: [`parse_unverified`] gives the header to find the key by, [`verify`] holds the
//! token against it. The algorithm is the key record's; the header may only repeat it (RFC 8725 section 3.1), so neither
//! `none` nor an HMAC keyed with a public key gets anywhere. Keys that a token brings or points to (`jwk`, `jku`, `x5u`,
//! `x5c`) are ignored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tessera_types::KeyId;

use crate::json;
use crate::public::PublicKey;
use crate::signing::{SignError, SigningKey};

/// The longest token that is looked at, in bytes.
pub const MAX_LEN: usize = 16 * 1024;

/// What a token's header says, as far as anybody here listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The algorithm it claims; never the one that is used.
    pub alg: Box<str>,
    /// The key it names: an opaque map key.
    pub kid: Option<KeyId>,
    /// Its media type (RFC 7515 section 4.1.9).
    pub typ: Option<Box<str>>,
}

/// A token, taken apart and not yet verified.
#[derive(Clone, Debug)]
pub struct Parsed<'a> {
    /// The header.
    pub header: Header,
    /// The claims, decoded: bytes that should be JSON.
    pub claims: Vec<u8>,
    /// What the signature is over.
    pub signing_input: &'a str,
    /// The signature, decoded.
    pub signature: Vec<u8>,
}

/// Why a text is not a compact token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`MAX_LEN`].
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of canonical base64url without padding.
    #[error("the token is not three parts of base64url")]
    Form,
    /// The header is not a JSON object with `alg`, or a member stands twice or is of the wrong type.
    #[error("the token's header is malformed")]
    Header,
    /// It demands extensions; there are none here (RFC 7515 section 4.1.11).
    #[error("the token demands extensions that are not known here")]
    Critical,
}

/// Why a token is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The header names another algorithm than the key's record.
    #[error("the token's algorithm is not the key's")]
    Algorithm,
    /// The signature is not the key's.
    #[error("the token's signature does not verify")]
    Signature,
}

/// Writes the header of a token that a key signs: `alg`, `kid`, `typ`.
#[must_use]
pub fn header_json(typ: &str, key: &SigningKey) -> String {
    serde_json::json!({ "typ": typ, "alg": key.algorithm().as_str(), "kid": key.key_id().as_str() }).to_string()
}

/// Signs a header and claims, each a JSON text, into a compact token.
pub fn sign_compact(header_json: &str, claims_json: &str, key: &SigningKey) -> Result<String, SignError> {
    let mut token = String::with_capacity((header_json.len() + claims_json.len() + 256) * 4 / 3 + 4);
    URL_SAFE_NO_PAD.encode_string(header_json, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims_json, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Takes a token apart. Nothing of it may be believed before [`verify`].
pub fn parse_unverified(token: &str) -> Result<Parsed<'_>, ParseError> {
    if token.len() > MAX_LEN {
        return Err(ParseError::TooLong);
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(ParseError::Form)?;
    let (header, claims) = signing_input.split_once('.').ok_or(ParseError::Form)?;
    // The alphabet has no dot, so a fourth part is refused with the rest.
    let header = read_header(&decode(header)?)?;
    Ok(Parsed { header, claims: decode(claims)?, signing_input, signature: decode(signature)? })
}

/// Verifies a token with a key, by the algorithm of the key's record.
pub fn verify(token: &Parsed<'_>, key: &PublicKey) -> Result<(), VerifyError> {
    if &*token.header.alg != key.algorithm().as_str() {
        return Err(VerifyError::Algorithm);
    }
    key.verify(token.signing_input.as_bytes(), &token.signature).map_err(|_| VerifyError::Signature)
}

/// The engine refuses padding and stray trailing bits: otherwise several texts would be the same token.
fn decode(part: &str) -> Result<Vec<u8>, ParseError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| ParseError::Form)
}

fn read_header(bytes: &[u8]) -> Result<Header, ParseError> {
    let mut members = json::object(bytes).map_err(|_| ParseError::Header)?;
    if members.contains_key("crit") {
        return Err(ParseError::Critical);
    }
    let mut text = |name: &str| match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ParseError::Header),
    };
    let alg = text("alg")?.ok_or(ParseError::Header)?.into_boxed_str();
    let kid = text("kid")?.map(|kid| kid.parse()).transpose().map_err(|_| ParseError::Header)?;
    let typ = text("typ")?.map(String::into_boxed_str);
    Ok(Header { alg, kid, typ })
}

#[cfg(test)]
mod tests;
