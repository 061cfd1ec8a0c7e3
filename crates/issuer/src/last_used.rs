//! When clients were used last, and by which of their secrets: kept in memory, and written at most once for each client and minute. A
//! token costs no write.
//!
//! What was not written yet is written at the stop; an issuer that is killed loses a minute of it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tessera_store::{Database, StoreError};
use tessera_types::error::chain;
use tessera_types::{ClientId, Timestamp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::context::Context;

/// How often it is written.
const EVERY: Duration = Duration::from_mins(1);

/// How many clients one transaction writes.
const BATCH: usize = 200;

/// Who was used since it was written.
#[derive(Debug, Default)]
pub struct LastUsed(Mutex<BTreeMap<ClientId, Use>>);

/// A client's last use.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    at: Timestamp,
    /// Of the secrets that were used, each one's last.
    secrets: BTreeMap<Uuid, Timestamp>,
}

impl LastUsed {
    /// A client was used, by a secret where it has one.
    pub(crate) fn note(&self, client: &ClientId, secret: Option<Uuid>, at: Timestamp) {
        let used = &mut *self.used();
        let noted = match used.get_mut(client) {
            Some(noted) => noted,
            None => used.entry(client.clone()).or_insert(Use { at, secrets: BTreeMap::new() }),
        };
        noted.at = at.max(noted.at);
        if let Some(secret) = secret {
            let last = noted.secrets.entry(secret).or_insert(at);
            *last = at.max(*last);
        }
    }

    /// When a secret was used last, as far as that is not written yet.
    pub(crate) fn of_secret(&self, client: &ClientId, secret: Uuid) -> Option<Timestamp> {
        self.used().get(client).and_then(|noted| noted.secrets.get(&secret).copied())
    }

    /// Writes what is known. It is forgotten only once it is written: whoever asks meanwhile finds it here or there.
    pub(crate) async fn write(&self, store: &Database) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let batch = self.batch(after.as_ref());
            let Some((last, _)) = batch.last() else { return Ok(()) };
            after = Some(last.clone());
            write(store, &batch).await?;
            let mut used = self.used();
            for (client, written) in &batch {
                if used.get(client) == Some(written) {
                    used.remove(client);
                }
            }
        }
    }

    /// In the order of the identifiers, as everybody locks them who changes several.
    fn batch(&self, after: Option<&ClientId>) -> Vec<(ClientId, Use)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let used = self.used();
        let batch = used.range((from, Bound::Unbounded)).take(BATCH);
        batch.map(|(client, noted)| (client.clone(), noted.clone())).collect()
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<ClientId, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(store: &Database, batch: &[(ClientId, Use)]) -> Result<(), StoreError> {
    let tx = store.begin().await?;
    for (client, noted) in batch {
        tx.clients().touch(client, noted.at).await?;
        for (secret, at) in &noted.secrets {
            tx.clients().touch_secret(*secret, *at).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Writes every minute until told to stop.
pub(crate) async fn run(cx: Context, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = cx.last_used.write(&cx.store).await {
            tracing::debug!(error = %chain(&error), "when clients were used last is not written; the next minute tries again");
        }
    }
}
