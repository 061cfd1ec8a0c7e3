//! Ending grants: what a user or client was given once, with every token that came of it.

use std::time::Duration;

use tessera_kit::calls;
use tessera_ledger::event::Event;
use tessera_store::{NewRecord, StoreError, Target};
use tessera_types::error::chain;
use tessera_types::{GrantId, Revision};

use crate::context::Context;
use crate::operations::clients::LIFETIME_MAX;

/// How long a grant is remembered after its end, so that it can still be revoked: as long as its longest access token, and a little more
/// for what is being minted meanwhile.
pub const REMEMBERED: Duration = LIFETIME_MAX.saturating_add(Duration::from_secs(10 * 60));

/// Ends a grant: its refresh tokens at once, its access tokens with the event that is written. Returns where that stands; it holds
/// everywhere once that revision is confirmed. The record says who
/// ended it and why.
///
/// # Errors
/// What the database says.
pub async fn end(cx: &Context, grant: GrantId, record: NewRecord) -> Result<Revision, StoreError> {
    // Whoever repeats a revocation, or a misuse, keeps nobody from writing.
    if let Some(revision) = ended_at(cx, grant).await? {
        return Ok(revision);
    }
    let event = Event::GrantRevoked { grant, expires: cx.clock.now().plus(REMEMBERED) };
    let mut tx = cx.store.begin().await?;
    tx.exclusive().await?;
    tx.families().delete(grant).await?;
    let known = tx.log().fact(&event.about()).await?;
    if known.is_none() {
        tx.record(event);
        tx.audit(record.to(Target::Grant(grant)));
    }
    let committed = cx.publication.commit(tx).await?;
    let number = known.map_or(committed.position.revision, |fact| fact.revision);
    Ok(Revision { epoch: committed.position.epoch, number })
}

/// Where the revocation of a grant stands that was revoked before.
///
/// # Errors
/// What the database says.
pub async fn ended_at(cx: &Context, grant: GrantId) -> Result<Option<Revision>, StoreError> {
    let about = Event::GrantRevoked { grant, expires: cx.clock.now() }.about();
    let log = cx.store.log();
    let Some(fact) = log.fact(&about).await? else { return Ok(None) };
    Ok(Some(Revision { epoch: log.head().await?.epoch, number: fact.revision }))
}

/// Ends a grant whose token or code was used twice, and waits until that holds everywhere, as long as is configured. A caller that
/// goes away meanwhile does not interrupt it.
///
/// # Errors
/// Where it is not ended: then the misuse must not be answered as if it were, for whoever is told to begin anew does not come again.
pub async fn end_after_misuse(cx: &Context, grant: GrantId, record: NewRecord) -> Result<(), StoreError> {
    let owned = cx.clone();
    let ending = async move {
        let revision = end(&owned, grant, record).await?;
        // Where it is not confirmed, that is logged.
        owned.publication.confirm(revision, owned.policy.confirm_within).await.unwrap_or_default();
        Ok(())
    };
    let ended =
        tokio::spawn(calls::carried(ending)).await.unwrap_or_else(|failed| Err(StoreError::Internal(failed.into())));
    ended.inspect_err(
        |error| tracing::error!(grant_id = %grant, error = %chain(error), "a misused grant is not revoked yet"),
    )
}
