//! Signing keys: how tokens are signed and verified, how public keys are published, and how private ones rest.
//!
//! Keys are parsed once and kept: parsing an RSA key for each signature costs more than the signature itself. Signatures
//! are made with aws-lc directly; they are verified through `jsonwebtoken`, with its aws-lc provider named at the call, so
//! that no process-wide default decides.
//!
//! - [`signing`]: [`SigningKey`], the private half.
//! - [`public`]: [`PublicKey`], JWKs, thumbprints, and the key set that is published.
//! - [`jws`]: compact signed tokens (RFC 7515), written and strictly read.
//! - [`sealed`]: AES-256-GCM under a key-encryption key from a file.
//! - [`ring`]: several such keys, the first of which seals.
//! - [`mac`]: keyed hashes, under keys derived from that key.
//! - [`files`]: a key pair of the operator's own, in two PEM files.
//! - [`json`]: JSON objects in which no member stands twice.

mod certificate;
pub mod files;
pub mod json;
pub mod jws;
pub mod mac;
pub mod public;
pub mod ring;
pub mod sealed;
pub mod signing;

pub use files::{KeyFileError, KeyFiles};
pub use mac::MacKey;
pub use public::{PublicKey, jwks};
pub use ring::KekRing;
pub use sealed::{Kek, KekError, KekId, SealError};
pub use signing::{KeyError, SignError, SigningKey};
