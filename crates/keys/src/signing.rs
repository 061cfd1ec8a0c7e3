//! Private keys, parsed once and kept.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_types::{Algorithm, KeyId, Randomness};
use zeroize::Zeroizing;

use crate::certificate;
use crate::public::PublicKey;
use crate::ring::KekRing;
use crate::sealed::{Kek, SealError};

/// A key that signs. Its parts are generated and used by aws-lc, with aws-lc's own randomness.
pub struct SigningKey {
    public: PublicKey,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The library made none.
    #[error("no key could be generated")]
    Generate,
    /// The bytes are no PKCS #8 key of this algorithm, or one too weak (RSA below 2048 bits).
    #[error("the bytes are not a private key for {0}")]
    Rejected(Algorithm),
    /// The private half was not sealed, or does not open.
    #[error("the private key cannot be sealed or opened")]
    Sealed(#[from] SealError),
    /// What opened is another key than the record says.
    #[error("the private key that opened is not the key it stands for")]
    OtherKey,
}

/// The library did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed")]
pub struct SignError;

impl SigningKey {
    /// Makes a new key. An RSA key takes some tens to hundreds of milliseconds. None whose identifier begins with `-`, as one of 64 would:
    /// on a command line, in an emergency, it would pass for an option.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        loop {
            let key = Self::generate_any(algorithm)?;
            if !key.key_id().as_str().starts_with('-') {
                return Ok(key);
            }
        }
    }

    fn generate_any(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::P256),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed25519),
        };
        Self::new(pair.map_err(|_| KeyError::Generate)?)
    }

    /// Reads a private key in PKCS #8 (RFC 5208), DER.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa),
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::P256),
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed25519),
        };
        Self::new(pair.map_err(|_| KeyError::Rejected(algorithm))?)
    }

    /// Reads an RSA private key in PKCS #1 (RFC 8017 appendix A.1.2), DER.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_der(der).map_err(|_| KeyError::Rejected(Algorithm::Rs256))?;
        Self::new(Pair::Rsa(pair))
    }

    /// Opens a key that [`SigningKey::seal`] sealed, and makes sure that it is the one meant.
    pub fn unseal(algorithm: Algorithm, key: &KeyId, keks: &KekRing, sealed: &[u8]) -> Result<Self, KeyError> {
        let der = keks.open(key.as_str().as_bytes(), sealed)?;
        let opened = Self::from_pkcs8(algorithm, &der)?;
        if opened.key_id() == key { Ok(opened) } else { Err(KeyError::OtherKey) }
    }

    fn new(pair: Pair) -> Result<Self, KeyError> {
        let public = match &pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                PublicKey::from_rsa(n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero())
            }
            Pair::P256(pair) => PublicKey::from_p256(pair.public_key().as_ref()),
            Pair::Ed25519(pair) => PublicKey::from_ed25519(pair.public_key().as_ref()),
        };
        let public = public.map_err(|_| KeyError::Rejected(pair.algorithm()))?;
        Ok(Self { public, pair })
    }

    /// The key's identifier: its RFC 7638 thumbprint.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        self.public.key_id()
    }

    /// The only algorithm the key is used with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The half that is published.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The half that is published, as a JWK. An RSA key's has `x5c` with its certificate, always the same (RFC 7517 section 4.7).
    #[must_use]
    pub fn public_jwk(&self) -> String {
        let certificate = self.certificate();
        self.public.to_jwk_with(certificate.map(|der| STANDARD.encode(der)))
    }

    /// The half that is published, as SPKI (RFC 5280 section 4.1), DER.
    pub(crate) fn spki(&self) -> Option<Vec<u8>> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::P256(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        }
        .ok()?;
        Some(der.as_ref().to_vec())
    }

    fn certificate(&self) -> Option<Vec<u8>> {
        if self.algorithm() != Algorithm::Rs256 {
            return None;
        }
        let unsigned = certificate::unsigned(self.key_id(), &self.spki()?);
        let signature = self.sign(&unsigned).ok()?;
        Some(certificate::signed(&unsigned, &signature))
    }

    /// Signs bytes. ES256 signatures are r and s of 32 bytes each (RFC 7518 section 3.4).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // aws-lc ignores the generator it is handed and uses its own.
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| SignError)?;
                Ok(signature)
            }
            Pair::P256(pair) => Ok(pair.sign(&random, message).map_err(|_| SignError)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(|_| SignError)?.as_ref().to_vec()),
        }
    }

    /// Seals the private half for its rest in the database, bound to the key's identifier.
    pub fn seal(&self, kek: &Kek, random: &dyn Randomness) -> Result<Vec<u8>, KeyError> {
        Ok(kek.seal(random, self.key_id().as_str().as_bytes(), &self.to_pkcs8()?)?)
    }

    /// The private half in PKCS #8 (RFC 5208), DER; wiped when dropped.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.pair.to_pkcs8().ok_or(KeyError::Rejected(self.algorithm()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Pair {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
                Some(Zeroizing::new(der.as_ref().to_vec()))
            }
            Self::P256(pair) => Some(Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec())),
            Self::Ed25519(pair) => Some(Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec())),
        }
    }
}

#[cfg(test)]
mod tests;
