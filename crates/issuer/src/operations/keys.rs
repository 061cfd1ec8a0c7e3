//! The signing keys: next, active, retiring, retired.
//!
//! Whoever checks tokens must know a key before it signs. Introspectors follow the log, so a key signs once the barrier has passed that
//! added it; others keep the key set for a while, so it is published for as long as `[keys] publish_for` says. Retiring and retired pass
//! the log too: after a retirement has returned, nothing that the key has signed is active anywhere. Threats: a key that leaked and
//! cannot be put away, and a rotation that has resource servers refuse what is good.

mod change;
mod error;
mod keeper;
mod rewrap;
mod schedule;

pub(in crate::operations) use change::shift;
pub use change::{Changed, promote, retire, rotate};
pub use error::KeyChangeError;
pub use keeper::{Keeper, follow};
pub use rewrap::{Rewrapped, rewrap};
pub use schedule::{Due, Schedule};

use std::sync::atomic::{AtomicBool, Ordering};

use tessera_keys::{KekRing, KeyFiles, SigningKey};
use tessera_store::SigningKeyRecord;
use tessera_types::{Algorithm, KeyState};

use super::clients::AdminError;
use crate::context::Context;

/// What the operator decided about keys.
#[derive(Clone, Debug)]
pub struct KeyPolicy {
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
    /// Where the operator's own pair is; none where the issuer makes keys.
    pub files: Option<KeyFiles>,
    /// How one follows another.
    pub schedule: Schedule,
}

/// What opens keys, and whether one may sign.
#[derive(Debug)]
pub struct Signing {
    /// The key-encryption keys.
    pub keks: KekRing,
    /// Whether the operator's own pair is missing: then nothing signs, whatever keys there are.
    missing: AtomicBool,
    /// Held while the signer is exchanged, so that what was read later is not overtaken.
    swap: tokio::sync::Mutex<()>,
}

impl Signing {
    /// Something may sign, unless the operator's own pair is missing.
    #[must_use]
    pub fn new(keks: KekRing, missing: bool) -> Self {
        Self { keks, missing: AtomicBool::new(missing), swap: tokio::sync::Mutex::default() }
    }

    /// Opens a key.
    ///
    /// # Errors
    /// `Sealed` where its key-encryption key is missing.
    fn open(&self, record: &SigningKeyRecord) -> Result<SigningKey, KeyChangeError> {
        let opened = SigningKey::unseal(record.algorithm, &record.key, &self.keks, &record.sealed_private);
        opened.map_err(|error| match error {
            tessera_keys::KeyError::Sealed(source) => {
                KeyChangeError::Sealed { what: format!("the signing key {}", record.key), source }
            }
            other => KeyChangeError::Key(other),
        })
    }

    fn is_missing(&self) -> bool {
        self.missing.load(Ordering::Acquire)
    }

    fn found(&self) {
        self.missing.store(false, Ordering::Release);
    }
}

/// Every key, the oldest first, without its private part.
///
/// # Errors
/// `Store`.
pub async fn list(cx: &Context) -> Result<Vec<SigningKeyRecord>, AdminError> {
    Ok(cx.store.keys().list().await?)
}

/// The published keys as a JWK set (RFC 7517): whatever may have signed a token that is still accepted, and what will sign next.
#[must_use]
pub fn jwks(cx: &Context) -> Option<String> {
    let state = cx.replica.state()?;
    let mut keys = state.keys();
    keys.retain(|key| KeyState::is_published(key.fact.state));
    keys.sort_by(|a, b| a.fact.key.cmp(&b.fact.key));
    Some(tessera_keys::jwks(keys.iter().map(|key| &*key.fact.public_jwk)))
}
