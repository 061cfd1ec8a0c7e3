//! Deletes what is over, a few rows at a time, and raises the floor of the log (revocation.md, "Floor").
//!
//! What is over is a matter of clocks, and a deletion cannot be taken back. So what is remembered against somebody, such as a spent
//! token or a revocation, waits until this machine's clock and the database's agree, and stops for good when one of them jumps: then an
//! operator has to look, and restart the issuer. Requests and sessions only let somebody in: of them what is over by both clocks is
//! deleted in any case, or one step of a clock would let their tables grow, and anybody may add to the requests. Threats: a clock set
//! forward, to have revocations forgotten early; a deletion so large that nothing can be issued or revoked meanwhile.

pub mod clocks;

use std::time::Duration;

use tessera_ledger::event::Event;
use tessera_ledger::replica::forgotten_before;
use tessera_store::{Log, StoreError};
use tessera_types::Timestamp;
use tessera_types::error::chain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::clocks::{Clocks, Reading, next_floor};
use crate::config;
use crate::context::Context;
use crate::operations::grants;

/// How long a code is kept after its end, so that a replay of it is recognised.
const KEEP_CODES: Duration = Duration::from_hours(24);

/// How long a client's secret is kept after its end, so that administrators see what became of it.
const KEEP_SECRETS: Duration = Duration::from_hours(30 * 24);

/// The job. Any number of issuers on one database may run it at once.
pub struct Housekeeping {
    cx: Context,
    settings: config::Cleanup,
    clocks: Clocks,
    stopped: bool,
}

/// What is deleted.
#[derive(Clone, Copy, Debug)]
enum Kind {
    AuthorizationRequests,
    AuthorizationCodes,
    RefreshFamilies,
    Sessions,
    ClientSecrets,
    AuditRecords,
    Revocations,
    LogEntries,
}

/// What ends by a clock, and says nothing against anybody once it has ended.
const BY_EITHER_CLOCK: [Kind; 2] = [Kind::AuthorizationRequests, Kind::Sessions];

/// What ends by a clock that is trusted.
const BY_CLOCK: [Kind; 4] = [Kind::AuthorizationCodes, Kind::RefreshFamilies, Kind::ClientSecrets, Kind::AuditRecords];

impl Kind {
    /// The metric's label.
    fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationRequests => "authorization_request",
            Self::AuthorizationCodes => "authorization_code",
            Self::RefreshFamilies => "refresh_family",
            Self::Sessions => "session",
            Self::ClientSecrets => "client_secret",
            Self::AuditRecords => "audit",
            Self::Revocations => "revocation",
            Self::LogEntries => "log_entry",
        }
    }

    /// Deletes a batch.
    async fn delete(self, cx: &Context, now: Timestamp, settings: &config::Cleanup) -> Result<u64, StoreError> {
        let (store, batch) = (cx.store.cleanup(), settings.batch);
        match self {
            Self::AuthorizationRequests => store.authorization_requests(now, batch).await,
            Self::AuthorizationCodes => store.authorization_codes(now.minus(KEEP_CODES), batch).await,
            Self::RefreshFamilies => store.refresh_families(now.minus(grants::REMEMBERED), batch).await,
            Self::Sessions => store.sessions(now, batch).await,
            Self::ClientSecrets => store.client_secrets(now.minus(KEEP_SECRETS), batch).await,
            Self::AuditRecords => match cx.policy.audit_keep {
                Some(keep) => store.audit_records(now.minus(keep), batch).await,
                None => Ok(0),
            },
            Self::Revocations => store.revocations(batch).await,
            Self::LogEntries => store.log_entries(settings.keep_log, batch).await,
        }
    }
}

impl Housekeeping {
    /// Begins to watch the clocks.
    #[must_use]
    pub fn new(cx: Context, settings: config::Cleanup) -> Self {
        let clocks = Clocks::new(cx.clock.now(), cx.clock.monotonic());
        cx.telemetry.floor_stopped.set(0.0);
        Self { cx, settings, clocks, stopped: false }
    }

    /// Does a round at each interval, the first one after the first interval, until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        let mut failing = false;
        loop {
            let round = async {
                ticks.tick().await;
                let database = self.cx.store.now().await?;
                self.round(database).await
            };
            // In the midst of a batch too: what it has not committed is not deleted.
            let Some(result) = stop.run_until_cancelled(round).await else { return };
            match (&result, failing) {
                (Err(error), false) => {
                    tracing::warn!(error = %chain(error), "housekeeping waits for the database; it tries again at each interval");
                }
                (Ok(()), true) => tracing::info!("housekeeping goes on"),
                _ => {}
            }
            failing = result.is_err();
        }
    }

    /// Deletes everything that is due, at a moment of the database's clock.
    ///
    /// # Errors
    /// What the database says. What was deleted before stays so, and the next round does the rest.
    pub async fn round(&mut self, database: Timestamp) -> Result<(), StoreError> {
        let (own, monotonic) = (self.cx.clock.now(), self.cx.clock.monotonic());
        for kind in BY_EITHER_CLOCK {
            self.sweep(kind, own.min(database)).await?;
        }
        if let Some(now) = self.believed(Reading { own, database, monotonic }) {
            for kind in BY_CLOCK {
                self.sweep(kind, now).await?;
            }
            self.raise_floor(now).await?;
        }
        // Neither of these asks a clock.
        self.sweep(Kind::Revocations, own).await?;
        self.sweep(Kind::LogEntries, own).await
    }

    /// The moment that either clock has come to; `None`, with an alarm, where they are not to be believed.
    fn believed(&mut self, reading: Reading) -> Option<Timestamp> {
        match self.clocks.look(reading) {
            Ok(now) => Some(now),
            Err(distrust) => {
                if !self.stopped {
                    tracing::error!(
                        error = %distrust,
                        "codes, refresh tokens and secrets that are over are not deleted any more, and the floor stays: set the clocks right, then restart the issuer"
                    );
                }
                self.stopped = true;
                self.cx.telemetry.floor_stopped.set(1.0);
                None
            }
        }
    }

    /// Deletes a kind, batch by batch; others have their turn in between.
    async fn sweep(&self, kind: Kind, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let deleted = kind.delete(&self.cx, now, &self.settings).await?;
            self.cx.telemetry.cleaned(kind.as_str(), deleted);
            if deleted < self.settings.batch {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    /// Releases the next floor, where one is due. Nobody waits for it here: whoever relies on it does.
    async fn raise_floor(&self, now: Timestamp) -> Result<(), StoreError> {
        if next(&self.cx.store.log(), now).await?.is_none() {
            return Ok(());
        }
        let mut tx = self.cx.store.begin().await?;
        // Looked at again, alone: of two issuers the later one must not lower what the earlier one has raised.
        tx.exclusive().await?;
        let Some(floor) = next(&tx.log(), now).await? else { return tx.rollback().await };
        tx.record(Event::ExpiredBefore(floor));
        let committed = self.cx.publication.commit(tx).await?;
        tracing::info!(%floor, revision = %committed.position.revision(), "what expired before the floor is forgotten");
        Ok(())
    }
}

async fn next(log: &Log<'_>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let released = log.floor().await?.map(|(_, floor)| floor);
    let from = released.map_or(Timestamp(i64::MIN), forgotten_before);
    Ok(next_floor(now, released, log.first_expiry(from).await?))
}
