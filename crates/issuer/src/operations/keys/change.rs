//! Changing a key's state: publish, promote, retire.

use tessera_keys::{KeyError, SigningKey};
use tessera_store::{Action, Actor, SigningKeyRecord, StoreError, Target, Transaction};
use tessera_types::{KeyId, KeyState, Revision, Timestamp};

use super::keeper::follow;
use super::{KeyChangeError, Schedule};
use crate::context::Context;
use crate::operations::clients;
use crate::operations::setup::fact;

/// A key that was changed.
#[derive(Debug)]
pub struct Changed {
    /// The key.
    pub key: SigningKeyRecord,
    /// Since when the change holds.
    pub revision: Revision,
}

/// Publishes a key that is to sign. It does so by itself when it has been published for long enough; or at once, where that is asked
/// for: then it is the one that waits already, where there is one.
///
/// # Errors
/// `FromFiles`, `NextExists`, `Unconfirmed`; with `Unconfirmed` the key is published and may be promoted later.
pub async fn rotate(cx: &Context, now: bool) -> Result<Changed, KeyChangeError> {
    if cx.policy.keys.files.is_some() {
        return Err(KeyChangeError::FromFiles);
    }
    let published = match (publish(cx, None).await, now) {
        (Err(KeyChangeError::NextExists), true) => return promote(cx, None, true).await,
        (published, _) => published?,
    };
    if now { promote(cx, Some(&published.key.key), true).await } else { Ok(published) }
}

/// Publishes a new key. Where a key is named that it is to follow, only if that one signs still: of two issuers that find the same key
/// due, one makes the successor.
pub(super) async fn publish(cx: &Context, after: Option<&KeyId>) -> Result<Changed, KeyChangeError> {
    if cx.store.keys().list().await?.iter().any(|record| record.state == KeyState::Next) {
        return Err(KeyChangeError::NextExists);
    }
    let algorithm = cx.policy.keys.algorithm;
    // An RSA key takes its time, and the database is not to wait for it.
    let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
    let key = made.map_err(|_| KeyError::Generate)??;
    let mut tx = begin(cx).await?;
    let records = tx.keys().list().await?;
    if records.iter().any(|record| record.state == KeyState::Next) {
        return Err(KeyChangeError::NextExists);
    }
    let follows = |id: &KeyId| records.iter().any(|record| record.key == *id && record.state == KeyState::Active);
    if !after.is_none_or(follows) {
        return Err(KeyChangeError::Conflict);
    }
    // Read once nobody else is waited for: from here on it is published.
    let now = cx.clock.now();
    let record = SigningKeyRecord {
        key: key.key_id().clone(),
        algorithm,
        state: KeyState::Next,
        public_jwk: key.public_jwk(),
        sealed_private: key.seal(cx.signing.keks.first(), &*cx.random)?,
        created: now,
        since: Some(now),
    };
    tx.keys().insert(&record).await?;
    tx.record(fact(&record, record.state));
    tx.audit(cx.did_or(Actor::Issuer, Action::KeyPublish).to(Target::Key(record.key.clone())));
    let revision = commit(cx, tx).await?;
    // Nobody need confirm it yet; whoever promotes it waits for that.
    let _ = cx.publication.applied(revision, cx.policy.confirm_within).await;
    tracing::info!(key_id = %record.key, %algorithm, %revision, "signing key published; it will sign");
    Ok(Changed { key: record, revision })
}

/// Lets a published key sign, in the place of the one that does; where none is named, the one that waits. Tokens under the old key stay
/// good. A retiring key may sign again: everybody knows it.
///
/// # Errors
/// `NotFound`, `NoNext`, `Retired`; `TooYoung`, unless it is to be now; `Unconfirmed` where an introspector has not confirmed in time:
/// the key, and then nothing has changed; or that it signs. It may be repeated either way.
pub async fn promote(cx: &Context, key: Option<&KeyId>, now: bool) -> Result<Changed, KeyChangeError> {
    let key = match key {
        Some(key) => key.clone(),
        None => waiting(&cx.store.keys().list().await?).ok_or(KeyChangeError::NoNext)?.key.clone(),
    };
    if cx.store.keys().find(&key).await?.is_none() {
        return Err(KeyChangeError::NotFound);
    }
    // The head is read after the key was seen, so its own event is not behind it.
    let known = cx.store.log().head().await?.revision();
    cx.publication.confirm(known, cx.policy.confirm_within).await?;
    let mut tx = begin(cx).await?;
    let records = tx.keys().list().await?;
    let record = records.iter().find(|record| record.key == key).ok_or(KeyChangeError::NotFound)?;
    match record.state {
        KeyState::Retired => return Err(KeyChangeError::Retired),
        KeyState::Next if !now && !is_of_age(cx, record) => {
            return Err(KeyChangeError::TooYoung);
        }
        // Another issuer on this database was faster. Whoever repeats an unconfirmed promotion waits again.
        KeyState::Active => return settle(cx, tx, record.clone()).await,
        KeyState::Next | KeyState::Retiring => {}
    }
    // Before it may be used: a key that cannot be opened must not take the place of one that can.
    cx.signing.open(record)?;
    let at = cx.clock.now();
    for active in records.iter().filter(|other| other.state == KeyState::Active) {
        shift(&mut tx, active, KeyState::Retiring, at).await?;
    }
    let record = shift(&mut tx, record, KeyState::Active, at).await?;
    tx.audit(cx.did_or(Actor::Issuer, Action::KeyPromote).to(Target::Key(record.key.clone())));
    let revision = commit(cx, tx).await?;
    tracing::info!(key_id = %record.key, algorithm = %record.algorithm, %revision, "this key signs from now on");
    finish(cx, record, revision).await
}

/// Puts a key away: nothing that it has signed is active any more, anywhere, once this has returned. Its private half is deleted. One that
/// waits is given up.
///
/// # Errors
/// `NotFound`, `Active`, `Unconfirmed`.
pub async fn retire(cx: &Context, key: &KeyId) -> Result<Changed, KeyChangeError> {
    let mut tx = begin(cx).await?;
    let record = tx.keys().find(key).await?.ok_or(KeyChangeError::NotFound)?;
    match record.state {
        KeyState::Active => return Err(KeyChangeError::Active),
        KeyState::Retired => return settle(cx, tx, record).await,
        KeyState::Next | KeyState::Retiring => {}
    }
    let record = shift(&mut tx, &record, KeyState::Retired, cx.clock.now()).await?;
    tx.audit(cx.did_or(Actor::Issuer, Action::KeyRetire).to(Target::Key(record.key.clone())));
    let revision = commit(cx, tx).await?;
    tracing::info!(key_id = %record.key, %revision, "signing key retired; its tokens are inactive");
    finish(cx, record, revision).await
}

/// Moves a key to another state, in the database and in the log: the one place where that is done.
///
/// # Errors
/// `Conflict` where it may not become that, or is not any more what it was.
pub(in crate::operations) async fn shift(
    tx: &mut Transaction,
    record: &SigningKeyRecord,
    to: KeyState,
    at: Timestamp,
) -> Result<SigningKeyRecord, StoreError> {
    if !record.state.may_become(to) {
        return Err(StoreError::Conflict);
    }
    tx.keys().set_state(&record.key, record.state, to, at).await?;
    let mut moved = SigningKeyRecord { state: to, since: Some(at), ..record.clone() };
    if to == KeyState::Retired {
        // It will never sign again, and what is not there cannot leak.
        moved.sealed_private = Vec::new();
        tx.keys().set_sealed(&record.key, Vec::new()).await?;
    }
    tx.record(fact(&moved, to));
    Ok(moved)
}

/// The key that signs next.
fn waiting(records: &[SigningKeyRecord]) -> Option<&SigningKeyRecord> {
    records.iter().filter(|record| record.state == KeyState::Next).min_by_key(|record| Schedule::since(record))
}

fn is_of_age(cx: &Context, record: &SigningKeyRecord) -> bool {
    cx.policy.keys.schedule.changes(record).is_some_and(|at| at <= cx.clock.now())
}

/// There is nothing to do; but whoever did it first may still be waiting (revocation.md, the log).
async fn settle(cx: &Context, tx: Transaction, record: SigningKeyRecord) -> Result<Changed, KeyChangeError> {
    let revision = commit(cx, tx).await?;
    finish(cx, record, revision).await
}

async fn finish(cx: &Context, key: SigningKeyRecord, revision: Revision) -> Result<Changed, KeyChangeError> {
    // Confirmed or not, what is in the log here decides what signs here.
    cx.publication.applied(revision, cx.policy.confirm_within).await?;
    follow(cx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    Ok(Changed { key, revision })
}

pub(super) async fn begin(cx: &Context) -> Result<Transaction, KeyChangeError> {
    clients::begin(cx).await.map_err(KeyChangeError::of_transaction)
}

pub(super) async fn commit(cx: &Context, tx: Transaction) -> Result<Revision, KeyChangeError> {
    Ok(cx.publication.commit(tx).await?.position.revision())
}
