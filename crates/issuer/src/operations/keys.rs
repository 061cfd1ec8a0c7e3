//! The signing keys, as administrators and verifiers see them.

use std::sync::Arc;

use tessera_keys::SigningKey;
use tessera_store::{Action, Actor, SigningKeyRecord, Target};
use tessera_types::KeyState;

use super::clients::AdminError;
use super::setup::fact;
use crate::context::Context;

/// Every key, the newest first, without its private part.
///
/// # Errors
/// `Store`.
pub async fn list(cx: &Context) -> Result<Vec<SigningKeyRecord>, AdminError> {
    Ok(cx.store.keys().list().await?)
}

/// Lets a published key sign, in the place of the one that does: once every introspector has it, so that no token under it meets one
/// that does not know the key. Tokens under the old key stay good.
///
/// # Errors
/// `Unconfirmed` where an introspector has not confirmed the key in time: then nothing has changed, and it may be tried again.
pub async fn promote(cx: &Context, next: Arc<SigningKey>) -> Result<(), AdminError> {
    let published = cx.store.log().head().await?.revision();
    cx.publication.confirm(published, cx.policy.confirm_within).await?;
    let mut tx = super::clients::begin(cx).await?;
    for record in tx.keys().list().await? {
        let wanted = record.key == *next.key_id();
        let state = match record.state {
            // Not where another issuer on this database was faster: then it is active already.
            KeyState::Active if !wanted => KeyState::Retiring,
            KeyState::Next if wanted => KeyState::Active,
            _ => continue,
        };
        tx.keys().set_state(&record.key, record.state, state).await?;
        tx.record(fact(&record, state));
        if state == KeyState::Active {
            tx.audit(cx.did_or(Actor::Issuer, Action::KeyPromote).to(Target::Key(record.key)));
        }
    }
    cx.publication.commit(tx).await?;
    tracing::info!(key_id = %next.key_id(), algorithm = %next.algorithm(), "this key signs from now on");
    cx.signer.store(Some(next));
    Ok(())
}

/// The published keys as a JWK set (RFC 7517): whatever may have signed a token that is still accepted, and what will sign next.
#[must_use]
pub fn jwks(cx: &Context) -> Option<String> {
    let state = cx.replica.state()?;
    let mut keys = state.keys();
    keys.retain(|key| key.fact.state != KeyState::Retired);
    keys.sort_by(|a, b| a.fact.key.cmp(&b.fact.key));
    Some(tessera_keys::jwks(keys.iter().map(|key| &*key.fact.public_jwk)))
}
