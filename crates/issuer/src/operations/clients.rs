//! Clients: registering, changing, disabling and deleting them, and their secrets.
//!
//! Whatever takes something away raises the client's watermark in the same transaction: every token from before is inactive
//! once the call has returned, and nothing (enabling again, making a client anew under the same id) revives it.

mod belonging;
mod draft;
mod error;
pub mod owned;
mod secrets;

pub(crate) use belonging::is_usable;
pub(super) use belonging::{Belonging, changed, changed_in, disable_all, tell_all};
pub(super) use draft::LIFETIME_MAX;
pub use draft::{Draft, DraftError, Patch};
pub use error::AdminError;
pub use owned::OwnerError;
pub use secrets::{DEFAULT_OVERLAP, Rotated, delete_secret, list_secrets, rotate_secret};

use tessera_ledger::event::{Event, Subject};
use tessera_store::{Action, Client, ClientFilter, StoredSecret, Target, Transaction};
use tessera_types::random;
use tessera_types::{ClientId, ClientType, PresentedSecret, Revision, SecretHash};
use uuid::Uuid;

use self::owned::{Authority, Doing};
use crate::context::Context;

/// A new client, with its secret this once.
pub struct Created {
    /// The client.
    pub client: Client,
    /// The generated secret; none for public clients and imported secrets.
    pub secret: Option<PresentedSecret>,
    /// Since when it is known.
    pub revision: Revision,
}

/// A changed client.
pub struct Changed {
    /// The client.
    pub client: Client,
    /// Since when the change holds everywhere.
    pub revision: Revision,
}

/// Registers a client, with a generated secret or an imported one.
///
/// # Errors
/// `Draft` where something is not valid, `Taken` where the id or name is.
pub async fn create(cx: &Context, draft: Draft, imported: Option<PresentedSecret>) -> Result<Created, AdminError> {
    create_as(cx, Authority::Administrator, draft, imported).await
}

async fn create_as(
    cx: &Context,
    by: Authority<'_>,
    draft: Draft,
    imported: Option<PresentedSecret>,
) -> Result<Created, AdminError> {
    let mut client = draft.into_client(cx)?;
    // Who makes it disabled may enable it.
    client.owner_disabled = !client.enabled && by.is_owner();
    let (secret, hash) = match (client.kind, imported) {
        (ClientType::Public, Some(_)) => return Err(DraftError::SecretOfPublicClient.into()),
        (ClientType::Public, None) => (None, None),
        (ClientType::Confidential, Some(imported)) => (None, Some(hash_imported(cx, &imported).await?)),
        (ClientType::Confidential, None) => {
            let secret = PresentedSecret::generate(&*cx.random);
            let hash = SecretHash::Fast(secret.fast_hash());
            (Some(secret), Some(hash))
        }
    };
    let mut tx = begin(cx).await?;
    by.may_make(cx, &tx, &client).await?;
    check_scopes(&tx, &client).await?;
    belonging::check(&tx, &client).await?;
    tx.clients().insert(&client).await?;
    if let Some(hash) = hash {
        tx.clients().insert_secret(&client.id, &stored(cx, hash, secret.is_some())).await?;
    }
    let event = changed_in(&tx, &client).await?;
    tx.record(event);
    tx.audit(by.did(cx, Action::ClientCreate).to(Target::Client(client.id.clone())));
    let mail = match belonging::owner(&tx, &client).await? {
        Some(owner) => cx.mailer.application_created(cx, &tx, &client, owner).await?,
        None => None,
    };
    let revision = commit(cx, tx).await?;
    if let Some(mail) = mail {
        cx.mailer.send(mail);
    }
    // Nothing to confirm: an introspector that does not know the client yet waits for its tokens' `rev`. Nor is it an error where
    // this process is slow to follow: the secret would be lost with the answer.
    let _ = cx.publication.applied(revision, cx.policy.confirm_within).await;
    tracing::info!(client_id = %client.id, %revision, "client created");
    Ok(Created { client, secret, revision })
}

/// One client.
///
/// # Errors
/// `NotFound`.
pub async fn find(cx: &Context, id: &ClientId) -> Result<Client, AdminError> {
    cx.store.clients().find(id).await?.ok_or(AdminError::ClientNotFound)
}

/// A page of clients by id.
///
/// # Errors
/// `Store`.
pub async fn list(
    cx: &Context,
    filter: &ClientFilter,
    after: Option<&ClientId>,
    limit: u64,
) -> Result<Vec<Client>, AdminError> {
    Ok(cx.store.clients().list(filter, after, limit).await?)
}

/// Changes a client. Taking scopes, grants or audiences away makes older tokens inactive.
///
/// # Errors
/// `NotFound`, `Draft`, `Taken`; `Conflict` where it was changed meanwhile; `Unconfirmed`.
pub async fn update(cx: &Context, id: &ClientId, etag: Option<i64>, patch: Patch) -> Result<Changed, AdminError> {
    update_as(cx, Authority::Administrator, id, etag, patch).await
}

async fn update_as(
    cx: &Context,
    by: Authority<'_>,
    id: &ClientId,
    etag: Option<i64>,
    patch: Patch,
) -> Result<Changed, AdminError> {
    let mut tx = begin(cx).await?;
    let before = tx.clients().find(id).await?.ok_or(AdminError::ClientNotFound)?;
    by.may(cx, &tx, &before, Doing::Giving).await?;
    if etag.is_some_and(|etag| etag != before.version) {
        return Err(settled(cx, tx, AdminError::Conflict).await);
    }
    let after = patch.apply(cx, &before)?;
    by.may_give(cx, &before.scopes, &after.scopes)?;
    check_scopes(&tx, &after).await?;
    if (before.organization, before.owner) != (after.organization, after.owner) {
        belonging::check(&tx, &after).await?;
    }
    let after = Client { version: tx.clients().update(&after).await?, ..after };
    if narrows(&before, &after) {
        tx.record(Event::WatermarkRaised(Subject::Client(id.clone())));
    }
    let event = changed_in(&tx, &after).await?;
    tx.record(event);
    let fields = draft::changed_fields(&before, &after);
    tx.audit(by.did(cx, Action::ClientUpdate).to(Target::Client(id.clone())).changing(&fields));
    let revision = commit(cx, tx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    tracing::info!(client_id = %id, %revision, "client changed");
    Ok(Changed { client: after, revision })
}

/// Enables or disables a client. Disabling makes its tokens inactive for good.
///
/// # Errors
/// `NotFound`, `Conflict`, `Unconfirmed`.
pub async fn set_enabled(cx: &Context, id: &ClientId, enabled: bool) -> Result<Changed, AdminError> {
    set_enabled_as(cx, Authority::Administrator, id, enabled).await
}

async fn set_enabled_as(cx: &Context, by: Authority<'_>, id: &ClientId, enabled: bool) -> Result<Changed, AdminError> {
    let mut tx = begin(cx).await?;
    let before = tx.clients().find(id).await?.ok_or(AdminError::ClientNotFound)?;
    by.may(cx, &tx, &before, if enabled { Doing::Enabling } else { Doing::Taking }).await?;
    // What an owner has disabled an administrator may disable again, for good.
    let takes_over = before.owner_disabled && !enabled && !by.is_owner();
    if before.enabled == enabled && !takes_over {
        // Nothing to write; but whoever said so first may still be waiting (revocation.md, the log).
        let revision = commit(cx, tx).await?;
        cx.publication.confirm(revision, cx.policy.confirm_within).await?;
        return Ok(Changed { client: before, revision });
    }
    let owner_disabled = !enabled && by.is_owner();
    let after = Client { enabled, owner_disabled, updated: cx.clock.now(), ..before };
    let after = Client { version: tx.clients().update(&after).await?, ..after };
    if !enabled {
        tx.record(Event::WatermarkRaised(Subject::Client(id.clone())));
    }
    let event = changed_in(&tx, &after).await?;
    tx.record(event);
    let action = if enabled { Action::ClientEnable } else { Action::ClientDisable };
    tx.audit(by.did(cx, action).to(Target::Client(id.clone())));
    let revision = commit(cx, tx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    tracing::info!(client_id = %id, %revision, enabled, "client enabled or disabled");
    Ok(Changed { client: after, revision })
}

/// Deletes a client with its secrets; its tokens are inactive for good.
///
/// # Errors
/// `NotFound`, `Unconfirmed`.
pub async fn delete(cx: &Context, id: &ClientId) -> Result<Revision, AdminError> {
    delete_as(cx, Authority::Administrator, id).await
}

async fn delete_as(cx: &Context, by: Authority<'_>, id: &ClientId) -> Result<Revision, AdminError> {
    let mut tx = begin(cx).await?;
    let Some(client) = tx.clients().find(id).await? else {
        return Err(settled(cx, tx, AdminError::ClientNotFound).await);
    };
    by.may(cx, &tx, &client, Doing::Deleting).await?;
    tx.clients().delete(id).await?;
    tx.record(Event::WatermarkRaised(Subject::Client(id.clone())));
    tx.record(Event::ClientChanged { client: id.clone(), state: None });
    tx.audit(by.did(cx, Action::ClientDelete).to(Target::Client(id.clone())));
    let revision = commit(cx, tx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    tracing::info!(client_id = %id, %revision, "client deleted");
    Ok(revision)
}

/// Makes every token issued to a client so far inactive.
///
/// # Errors
/// `NotFound`, `Unconfirmed`.
pub async fn revoke_tokens(cx: &Context, id: &ClientId) -> Result<Revision, AdminError> {
    let mut tx = begin(cx).await?;
    if tx.clients().find(id).await?.is_none() {
        return Err(AdminError::ClientNotFound);
    }
    tx.record(Event::WatermarkRaised(Subject::Client(id.clone())));
    tx.audit(cx.did(Action::ClientTokensRevoke).to(Target::Client(id.clone())));
    let revision = commit(cx, tx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    tracing::info!(client_id = %id, %revision, "a client's tokens revoked");
    Ok(revision)
}

/// Waits until everybody has confirmed whatever was changed so far, by anybody.
///
/// # Errors
/// `Unconfirmed`.
pub async fn confirmed(cx: &Context) -> Result<(), AdminError> {
    // In its turn: whoever has lost the answer to a change, and asks, may have come here before it was committed.
    let revision = commit(cx, begin(cx).await?).await?;
    Ok(cx.publication.confirm(revision, cx.policy.confirm_within).await?)
}

/// Begins a change. One at a time: what is read here is what is written, on either database, and so is what introspectors are told.
pub(in crate::operations) async fn begin(cx: &Context) -> Result<Transaction, AdminError> {
    let tx = cx.store.begin().await?;
    tx.exclusive().await?;
    Ok(tx)
}

/// Says that there is nothing to do only once everybody knows what was done before: whoever repeats an unconfirmed change must not
/// take this for a confirmation (revocation.md, the log).
pub(super) async fn settled(cx: &Context, tx: Transaction, answer: AdminError) -> AdminError {
    let confirmed = async {
        let revision = commit(cx, tx).await?;
        cx.publication.confirm(revision, cx.policy.confirm_within).await?;
        Ok::<_, AdminError>(())
    };
    confirmed.await.err().unwrap_or(answer)
}

/// Commits, and returns where the log stands with it.
pub(super) async fn commit(cx: &Context, tx: Transaction) -> Result<Revision, AdminError> {
    Ok(cx.publication.commit(tx).await?.position.revision())
}

/// Whether something was taken away that tokens may still carry.
fn narrows(before: &Client, after: &Client) -> bool {
    !before.scopes.is_subset(&after.scopes)
        || before.grants.iter().any(|g| !after.grants.contains(g))
        || before.audiences.iter().any(|a| !after.audiences.contains(a))
        || !before.implicit_scopes.is_subset(&after.implicit_scopes.union(&after.scopes))
        // Whom they acted for, and in whose name they were watched over, is another's now.
        || before.organization != after.organization
        || before.owner != after.owner
}

/// A client's scopes must be registered.
async fn check_scopes(tx: &Transaction, client: &Client) -> Result<(), AdminError> {
    let unknown = tx.scopes().unregistered(&client.scopes.union(&client.implicit_scopes)).await?;
    if unknown.is_empty() { Ok(()) } else { Err(DraftError::UnknownScope.into()) }
}

/// An imported secret that has our shape is ours, from another installation: the shape picks the hash when it is presented.
async fn hash_imported(cx: &Context, secret: &PresentedSecret) -> Result<SecretHash, AdminError> {
    match secret.shape() {
        tessera_types::secret::SecretShape::Generated => Ok(SecretHash::Fast(secret.fast_hash())),
        tessera_types::secret::SecretShape::Chosen => Ok(cx.passwords.hash(secret, &*cx.random).await?),
    }
}

fn stored(cx: &Context, hash: SecretHash, generated: bool) -> StoredSecret {
    StoredSecret {
        id: Uuid::from_bytes(random::bytes(&*cx.random)),
        hash,
        created: cx.clock.now(),
        expires: None,
        generated,
        last_used: None,
    }
}
