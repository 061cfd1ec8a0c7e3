//! Sealing anew, under the first key-encryption key, whatever an older one has sealed.

use tessera_keys::KekId;
use tessera_store::{Action, Actor};
use tessera_types::KeyState;

use super::KeyChangeError;
use super::change::{begin, commit};
use crate::context::Context;
use crate::operations::setup::kept;

/// What was sealed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// How much.
    pub rewrapped: i32,
    /// Of how much there is.
    pub total: i32,
    /// The key-encryption key that opens all of it now.
    pub kek: KekId,
}

/// Seals everything under the first key-encryption key: then the older ones are needed no more. All of it or nothing; to do it again
/// does nothing.
///
/// # Errors
/// `Sealed` where something is sealed under none of those there are.
pub async fn rewrap(cx: &Context) -> Result<Rewrapped, KeyChangeError> {
    let keks = &cx.signing.keks;
    let (mut rewrapped, mut total): (i32, i32) = (0, 0);
    let mut tx = begin(cx).await?;
    for record in tx.keys().list().await? {
        if record.state == KeyState::Retired {
            // A version before this one kept them.
            tx.keys().set_sealed(&record.key, Vec::new()).await?;
            continue;
        }
        total += 1;
        let anew = keks.rewrap(&*cx.random, record.key.as_str().as_bytes(), &record.sealed_private);
        let what = || format!("the signing key {}", record.key);
        if let Some(anew) = anew.map_err(|source| KeyChangeError::Sealed { what: what(), source })? {
            tx.keys().set_sealed(&record.key, anew).await?;
            rewrapped += 1;
        }
    }
    for secret in tx.kept_secrets().list().await? {
        total += 1;
        let anew = keks.rewrap(&*cx.random, &kept::bound_to(&secret.name), &secret.sealed);
        let what = || format!("the secret for {}", secret.name);
        if let Some(anew) = anew.map_err(|source| KeyChangeError::Sealed { what: what(), source })? {
            tx.kept_secrets().set_sealed(&secret.name, anew).await?;
            rewrapped += 1;
        }
    }
    tx.audit(cx.did_or(Actor::Issuer, Action::KeyRewrap));
    commit(cx, tx).await?;
    let kek = keks.first().id();
    tracing::info!(%kek, rewrapped, total, "everything is sealed under the first key-encryption key");
    Ok(Rewrapped { rewrapped, total, kek })
}
