//! Client secrets: two may live at once, so that a rotation needs no outage.

use std::time::Duration;

use tessera_store::{Action, Detail, StoredSecret, Target};
use tessera_types::{ClientId, ClientType, PresentedSecret, Revision, SecretHash, Timestamp};
use uuid::Uuid;

use super::owned::{Authority, Doing};
use super::{AdminError, DraftError, begin, changed_in, commit, settled, stored};
use crate::context::Context;
use crate::log::Unconfirmed;

/// How long the old secrets go on working where nobody says.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest overlap.
pub(super) const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A new secret, this once.
pub struct Rotated {
    /// Its value.
    pub secret: PresentedSecret,
    /// What is kept of it.
    pub stored: StoredSecret,
    /// Until when the one before goes on; none where none does.
    pub before_until: Option<Timestamp>,
    /// Since when the change holds.
    pub revision: Revision,
    /// Whether everybody has confirmed it.
    pub confirmed: bool,
}

/// What secret somebody wants for a client.
pub(super) struct Renewal {
    /// How long the one in use lives on.
    pub(super) overlap: Duration,
    /// When the new one ends.
    pub(super) expires: Option<Timestamp>,
    /// The newest that they saw, where it matters.
    #[allow(clippy::option_option, reason = "they may have seen that there is none")]
    pub(super) seen: Option<Option<Uuid>>,
}

/// Gives a client a further secret. Of the ones before, the one in use lives on for the overlap and the others end now, so that never
/// more than two live.
///
/// # Errors
/// `ClientNotFound`, `PublicClient`, `Draft` for an overlap out of bounds.
pub async fn rotate_secret(
    cx: &Context,
    id: &ClientId,
    overlap: Duration,
    expires: Option<Timestamp>,
) -> Result<Rotated, AdminError> {
    rotate_as(cx, Authority::Administrator, id, Renewal { overlap, expires, seen: None }).await
}

pub(super) async fn rotate_as(
    cx: &Context,
    by: Authority<'_>,
    id: &ClientId,
    Renewal { overlap, expires, seen }: Renewal,
) -> Result<Rotated, AdminError> {
    let now = cx.clock.now();
    if overlap > OVERLAP_MAX || expires.is_some_and(|at| at <= now) {
        return Err(DraftError::Overlap.into());
    }
    let mut tx = begin(cx).await?;
    let (client, secrets) = tx.clients().find_with_secrets(id).await?.ok_or(AdminError::ClientNotFound)?;
    by.may(cx, &tx, &client, Doing::Giving).await?;
    if client.kind == ClientType::Public {
        return Err(AdminError::PublicClient);
    }
    if seen.is_some_and(|seen| seen != secrets.first().map(|secret| secret.id)) {
        return Err(settled(cx, tx, AdminError::Conflict).await);
    }
    // What has ended need not be kept; what is kept besides the one in use would make three.
    let before = if overlap.is_zero() { None } else { in_use(cx, id, &secrets) };
    for old in secrets.iter().filter(|s| Some(s.id) != before.map(|s| s.id)) {
        tx.clients().delete_secret(id, old.id).await?;
    }
    let end = now.plus(overlap);
    tx.clients().expire_secrets(id, end).await?;
    let before_until = before.map(|s| s.expires.map_or(end, |at| at.min(end)));
    let secret = PresentedSecret::generate(&*cx.random);
    // A second apart at least, so that of two rotations within one it is known which came later.
    let created = secrets.iter().map(|s| Timestamp(s.created.0 + 1)).fold(now, Timestamp::max);
    let kept = StoredSecret { created, expires, ..stored(cx, SecretHash::Fast(secret.fast_hash()), true) };
    tx.clients().insert_secret(id, &kept).await?;
    // The state is the same; the higher revision makes introspectors forget credentials they remember.
    let event = changed_in(&tx, &client).await?;
    tx.record(event);
    let record = by.did(cx, Action::ClientSecretRotate).to(Target::Client(id.clone()));
    tx.audit(record.with(Detail::Secret, kept.id));
    let revision = commit(cx, tx).await?;
    let confirmed = match cx.publication.confirm(revision, cx.policy.confirm_within).await {
        Ok(()) => true,
        Err(Unconfirmed { .. }) => false,
    };
    tracing::info!(client_id = %id, %revision, confirmed, "client secret rotated");
    Ok(Rotated { secret, stored: kept, before_until, revision, confirmed })
}

/// Of a client's secrets that live, the one that was used last: the newest may be one that nobody has kept, as where a form was sent
/// twice. Where none was used, as far as anybody knows, the oldest: that one has had the time to be given to the client.
fn in_use<'a>(cx: &Context, id: &ClientId, secrets: &'a [StoredSecret]) -> Option<&'a StoredSecret> {
    let now = cx.clock.now();
    let live = || secrets.iter().filter(|s| s.expires.is_none_or(|at| now < at));
    let used = |s: &StoredSecret| s.last_used.max(cx.last_used.of_secret(id, s.id));
    let last = live().filter(|s| used(s).is_some()).max_by_key(|s| (used(s), s.created, s.id));
    last.or_else(|| live().min_by_key(|s| (s.created, s.id)))
}

/// What is known of a client's secrets, the newest first.
///
/// # Errors
/// `ClientNotFound`.
pub async fn list_secrets(cx: &Context, id: &ClientId) -> Result<Vec<StoredSecret>, AdminError> {
    let (_, mut secrets) = cx.store.clients().find_with_secrets(id).await?.ok_or(AdminError::ClientNotFound)?;
    secrets.sort_by_key(|s| std::cmp::Reverse((s.created, s.id)));
    Ok(secrets)
}

/// Ends a secret at once.
///
/// # Errors
/// `ClientNotFound`, `SecretNotFound`, `Unconfirmed`.
pub async fn delete_secret(cx: &Context, id: &ClientId, secret: Uuid) -> Result<Revision, AdminError> {
    let mut tx = begin(cx).await?;
    let client = tx.clients().find(id).await?.ok_or(AdminError::ClientNotFound)?;
    if !tx.clients().delete_secret(id, secret).await? {
        return Err(settled(cx, tx, AdminError::SecretNotFound).await);
    }
    let event = changed_in(&tx, &client).await?;
    tx.record(event);
    tx.audit(cx.did(Action::ClientSecretDelete).to(Target::Client(id.clone())).with(Detail::Secret, secret));
    let revision = commit(cx, tx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    tracing::info!(client_id = %id, %revision, "client secret deleted");
    Ok(revision)
}
