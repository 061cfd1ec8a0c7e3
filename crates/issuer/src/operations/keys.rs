//! The signing keys, as administrators and verifiers see them.

use tessera_store::SigningKeyRecord;

use super::clients::AdminError;
use crate::context::Context;

/// Every key, the newest first, without its private part.
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
    keys.retain(|key| key.fact.state != tessera_types::KeyState::Retired);
    keys.sort_by(|a, b| a.fact.key.cmp(&b.fact.key));
    Some(tessera_keys::jwks(keys.iter().map(|key| &*key.fact.public_jwk)))
}
