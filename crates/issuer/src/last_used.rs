//! When clients were used last: kept in memory, and written at most once for each client and minute. A token costs no write.
//!
//! What was not written yet is written at the stop; an issuer that is killed loses a minute of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tessera_store::{Database, StoreError};
use tessera_types::error::chain;
use tessera_types::{ClientId, Timestamp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How often it is written.
const EVERY: Duration = Duration::from_mins(1);

/// How many clients one transaction writes.
const BATCH: usize = 200;

/// Who was used since it was written.
#[derive(Debug, Default)]
pub struct LastUsed(Mutex<BTreeMap<ClientId, Timestamp>>);

impl LastUsed {
    /// A client was used.
    pub(crate) fn note(&self, client: &ClientId, at: Timestamp) {
        let mut used = self.used();
        match used.get_mut(client) {
            Some(last) => *last = at.max(*last),
            None => drop(used.insert(client.clone(), at)),
        }
    }

    /// Writes what is known. What cannot be written is kept.
    pub(crate) async fn write(&self, store: &Database) -> Result<(), StoreError> {
        loop {
            // In the order of the identifiers, as everybody locks them who changes several.
            let batch: Vec<(ClientId, Timestamp)> = {
                let mut used = self.used();
                std::iter::from_fn(|| used.pop_first()).take(BATCH).collect()
            };
            if batch.is_empty() {
                return Ok(());
            }
            if let Err(error) = write(store, &batch).await {
                for (client, at) in batch {
                    self.note(&client, at);
                }
                return Err(error);
            }
        }
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<ClientId, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(store: &Database, batch: &[(ClientId, Timestamp)]) -> Result<(), StoreError> {
    let tx = store.begin().await?;
    for (client, at) in batch {
        tx.clients().touch(client, *at).await?;
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
