//! Ending grants: what a user or client was given once, with every token that came of it.

use std::time::Duration;

use tessera_ledger::event::Event;
use tessera_store::StoreError;
use tessera_types::{GrantId, Revision};

use crate::context::Context;
use crate::operations::clients::LIFETIME_MAX;

/// How much longer than the longest access token a revoked grant is remembered: what was being minted while it was revoked.
const MARGIN: Duration = Duration::from_secs(10 * 60);

/// Ends a grant: its refresh tokens at once, its access tokens with the event that is written. Returns where that stands; it holds
/// everywhere once that revision is confirmed.
///
/// # Errors
/// What the database says.
pub async fn end(cx: &Context, grant: GrantId) -> Result<Revision, StoreError> {
    let event = Event::GrantRevoked { grant, expires: cx.clock.now().plus(LIFETIME_MAX + MARGIN) };
    let mut tx = cx.store.begin().await?;
    tx.exclusive().await?;
    tx.families().delete(grant).await?;
    let known = tx.log().fact(&event.about()).await?;
    if known.is_none() {
        tx.record(event);
    }
    let committed = cx.publication.commit(tx).await?;
    let number = known.map_or(committed.position.revision, |fact| fact.revision);
    Ok(Revision { epoch: committed.position.epoch, number })
}

/// Ends a grant whose token or code was used twice, and waits until that holds everywhere, as long as is configured. Whoever misused
/// it is refused in any case: what went wrong here is logged and not told.
pub async fn end_after_misuse(cx: &Context, grant: GrantId) {
    match end(cx, grant).await {
        // Where it is not confirmed, that is logged already.
        Ok(revision) => drop(cx.publication.confirm(revision, cx.policy.confirm_within).await),
        Err(error) => tracing::error!(grant_id = %grant, error = %error, "a misused grant could not be revoked"),
    }
}
