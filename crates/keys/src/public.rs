//! Public keys: what verifies, as a JWK (RFC 7517) and in the key set that is published.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use serde_json::{Map, Value};
use tessera_types::{Algorithm, KeyId};

use crate::json;

/// A public key with the only algorithm it is used with.
#[derive(Clone)]
pub struct PublicKey {
    id: KeyId,
    algorithm: Algorithm,
    numbers: Numbers,
    decoding: DecodingKey,
}

/// The members of a JWK that make the key, base64url as they stand in it.
#[derive(Clone)]
enum Numbers {
    Rsa { n: String, e: String },
    P256 { x: String, y: String },
    Ed25519 { x: String },
}

/// Why a text is not a public key for an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicKey {
    /// Not JSON, a member missing, of the wrong type or badly encoded.
    #[error("the JWK is malformed")]
    Malformed,
    /// A key of another type or curve, or one that names another algorithm or use.
    #[error("the key does not belong to the algorithm")]
    Mismatch,
    /// It has a private member.
    #[error("the JWK holds a private key")]
    Private,
    /// Too short, or not a point of the curve.
    #[error("the key is weak or no key at all")]
    Unsound,
}

/// The signature is not this key's over these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

impl PublicKey {
    /// Reads a JWK for an algorithm. The algorithm is the key record's; an `alg` member may only repeat it (RFC 8725
    /// section 3.1).
    pub fn from_jwk(algorithm: Algorithm, jwk: &str) -> Result<Self, InvalidPublicKey> {
        let jwk = json::object(jwk.as_bytes()).map_err(|_| InvalidPublicKey::Malformed)?;
        if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|member| jwk.contains_key(*member)) {
            return Err(InvalidPublicKey::Private);
        }
        repeats(&jwk, "alg", algorithm.as_str())?;
        repeats(&jwk, "use", "sig")?;
        let numbers = match algorithm {
            Algorithm::Rs256 => {
                names(&jwk, "kty", "RSA")?;
                Numbers::Rsa { n: text(&jwk, "n")?, e: text(&jwk, "e")? }
            }
            Algorithm::Es256 => {
                names(&jwk, "kty", "EC")?;
                names(&jwk, "crv", "P-256")?;
                Numbers::P256 { x: text(&jwk, "x")?, y: text(&jwk, "y")? }
            }
            Algorithm::EdDsa => {
                names(&jwk, "kty", "OKP")?;
                names(&jwk, "crv", "Ed25519")?;
                Numbers::Ed25519 { x: text(&jwk, "x")? }
            }
        };
        Self::new(numbers)
    }

    pub(crate) fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, InvalidPublicKey> {
        Self::new(Numbers::Rsa { n: URL_SAFE_NO_PAD.encode(n), e: URL_SAFE_NO_PAD.encode(e) })
    }

    /// From an uncompressed point: 4, x, y (SEC 1 section 2.3.3).
    pub(crate) fn from_p256(point: &[u8]) -> Result<Self, InvalidPublicKey> {
        let (Some(4), Some(x), Some(y), 65) = (point.first(), point.get(1..33), point.get(33..65), point.len()) else {
            return Err(InvalidPublicKey::Malformed);
        };
        Self::new(Numbers::P256 { x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) })
    }

    pub(crate) fn from_ed25519(x: &[u8]) -> Result<Self, InvalidPublicKey> {
        Self::new(Numbers::Ed25519 { x: URL_SAFE_NO_PAD.encode(x) })
    }

    fn new(numbers: Numbers) -> Result<Self, InvalidPublicKey> {
        let decoding = numbers.decoding_key()?;
        Ok(Self { id: numbers.thumbprint()?, algorithm: numbers.algorithm(), numbers, decoding })
    }

    /// The key's identifier: its RFC 7638 thumbprint.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.id
    }

    /// The only algorithm the key is used with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as a JWK, with `use`, `alg` and `kid`.
    #[must_use]
    pub fn to_jwk(&self) -> String {
        self.to_jwk_with(None)
    }

    /// As [`to_jwk`](Self::to_jwk), with a certificate of the key, in base64.
    pub(crate) fn to_jwk_with(&self, certificate: Option<String>) -> String {
        let mut members = self.numbers.required_members();
        for (name, value) in [("use", "sig"), ("alg", self.algorithm.as_str()), ("kid", self.id.as_str())] {
            members.insert(name.to_owned(), value.into());
        }
        if let Some(certificate) = certificate {
            members.insert("x5c".to_owned(), vec![certificate].into());
        }
        Value::Object(members).to_string()
    }

    /// Verifies a signature over bytes.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        // The provider is named here: with two of them in a build, the process-wide default would panic.
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&self.numbers.jwt_algorithm(), &self.decoding)
            .map_err(|_| BadSignature)?;
        verifier.verify(message, &signature.to_vec()).map_err(|_| BadSignature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for PublicKey {}

impl Numbers {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    fn jwt_algorithm(&self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rsa { .. } => jsonwebtoken::Algorithm::RS256,
            Self::P256 { .. } => jsonwebtoken::Algorithm::ES256,
            Self::Ed25519 { .. } => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    /// The members that RFC 7638 section 3.2 and RFC 8037 section 2 require. `serde_json` keeps them sorted.
    fn required_members(&self) -> Map<String, Value> {
        let members: &[(&str, &str)] = match self {
            Self::Rsa { n, e } => &[("e", e), ("kty", "RSA"), ("n", n)],
            Self::P256 { x, y } => &[("crv", "P-256"), ("kty", "EC"), ("x", x), ("y", y)],
            Self::Ed25519 { x } => &[("crv", "Ed25519"), ("kty", "OKP"), ("x", x)],
        };
        members.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
    }

    /// RFC 7638: SHA-256 over the required members, sorted, without white space.
    fn thumbprint(&self) -> Result<KeyId, InvalidPublicKey> {
        let canonical = Value::Object(self.required_members()).to_string();
        let digest = digest::digest(&digest::SHA256, canonical.as_bytes());
        URL_SAFE_NO_PAD.encode(digest.as_ref()).parse().map_err(|_| InvalidPublicKey::Malformed)
    }

    /// The key as `jsonwebtoken` wants it. aws-lc parses it once here, so that a key that is none is refused when it comes
    /// and not when a token does.
    fn decoding_key(&self) -> Result<DecodingKey, InvalidPublicKey> {
        match self {
            Self::Rsa { n, e } => {
                let (n, e) = (bytes(n)?, bytes(e)?);
                sound_rsa(&n, &e)?;
                Ok(DecodingKey::from_rsa_raw_components(&n, &e))
            }
            Self::P256 { x, y } => {
                let point = [vec![4], fixed(x)?, fixed(y)?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| InvalidPublicKey::Unsound)?;
                Ok(DecodingKey::from_ec_der(&point))
            }
            Self::Ed25519 { x } => {
                let x = fixed(x)?;
                ParsedPublicKey::new(&ED25519, &x).map_err(|_| InvalidPublicKey::Unsound)?;
                Ok(DecodingKey::from_ed_der(&x))
            }
        }
    }
}

/// RFC 7518 section 3.3: at least 2048 bits. An even or tiny exponent makes signatures forgeable.
fn sound_rsa(n: &[u8], e: &[u8]) -> Result<(), InvalidPublicKey> {
    let exponent_ok = e.last().is_some_and(|last| last % 2 == 1) && e != [1] && e.len() <= 4;
    if !exponent_ok || !(256..=1024).contains(&n.len()) {
        return Err(InvalidPublicKey::Unsound);
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map(drop)
        .map_err(|_| InvalidPublicKey::Unsound)
}

fn bytes(text: &str) -> Result<Vec<u8>, InvalidPublicKey> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidPublicKey::Malformed)
}

/// A number of exactly 32 bytes, leading zeros included (RFC 7518 section 6.2.1.2).
fn fixed(text: &str) -> Result<Vec<u8>, InvalidPublicKey> {
    bytes(text).and_then(|b| if b.len() == 32 { Ok(b) } else { Err(InvalidPublicKey::Malformed) })
}

fn text(jwk: &Map<String, Value>, member: &str) -> Result<String, InvalidPublicKey> {
    jwk.get(member).and_then(Value::as_str).map(str::to_owned).ok_or(InvalidPublicKey::Malformed)
}

fn names(jwk: &Map<String, Value>, member: &str, expected: &str) -> Result<(), InvalidPublicKey> {
    if text(jwk, member)? == expected { Ok(()) } else { Err(InvalidPublicKey::Mismatch) }
}

fn repeats(jwk: &Map<String, Value>, member: &str, expected: &str) -> Result<(), InvalidPublicKey> {
    if jwk.contains_key(member) { names(jwk, member, expected) } else { Ok(()) }
}

/// Writes a key set (RFC 7517 section 5) of JWKs, in the order given. Only public members are copied, and what is no JSON
/// object is left out: a key set is no place for surprises.
#[must_use]
pub fn jwks<'a>(jwks: impl IntoIterator<Item = &'a str>) -> String {
    const PUBLISHED: &[&str] = &["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y", "x5c"];
    let keys: Vec<Value> = jwks
        .into_iter()
        .filter_map(|jwk| json::object(jwk.as_bytes()).ok())
        .map(|jwk| jwk.into_iter().filter(|(name, _)| PUBLISHED.contains(&name.as_str())).collect())
        .map(Value::Object)
        .collect();
    serde_json::json!({ "keys": keys }).to_string()
}

#[cfg(test)]
mod tests;
