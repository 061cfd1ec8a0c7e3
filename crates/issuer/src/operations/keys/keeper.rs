//! The job that lets one key follow another, and signs with whichever does.
//!
//! Whoever changes a key (this issuer, another one on the same database, an administrator), it is the log that tells which one signs. Ages
//! are a matter of clocks: a key signs a little early or late without harm as long as everybody knows it, but a retirement ends tokens
//! and cannot be taken back, so it waits for clocks that are believed, as deletions do (`housekeeping.rs`).

use std::sync::Arc;
use std::time::Duration;

use tessera_store::SigningKeyRecord;
use tessera_types::error::chain;
use tessera_types::{Failure as _, KeyId, KeyState, Timestamp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::change::{begin, commit, publish};
use super::{Due, KeyChangeError, Schedule, promote, retire};
use crate::context::Context;
use crate::operations::housekeeping::clocks::{Clocks, Reading};
use crate::operations::setup::{Setup, SetupError};

/// How often ages are looked at, where nothing is set to less.
const EVERY: Duration = Duration::from_secs(10);

/// No more often than this.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// How many clients a warning names.
const NAMED: u64 = 5;

/// The job. Any number of issuers on one database may run it at once.
pub struct Keeper {
    cx: Context,
    clocks: Clocks,
    /// The pair in the operator's files, as far as it was taken up.
    own: Option<KeyId>,
    /// That pair, until it was seen to that it signs.
    seating: Option<KeyId>,
    /// What was said last, so that it is not said again and again.
    told: Option<String>,
    distrusted: bool,
}

impl Keeper {
    /// Begins to watch the clocks.
    #[must_use]
    pub fn new(cx: Context, own: Option<KeyId>) -> Self {
        let clocks = Clocks::new(cx.clock.now(), cx.clock.monotonic());
        Self { cx, clocks, seating: own.clone(), own, told: None, distrusted: false }
    }

    /// Follows the log, and does a round now and then, until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let schedule = self.cx.policy.keys.schedule;
        let spans = [Some(schedule.publish_for), schedule.rotate_after, Some(schedule.retire_after)];
        let shortest = spans.into_iter().flatten().min().unwrap_or(EVERY);
        let mut ticks = tokio::time::interval(shortest.clamp(AT_MOST_EVERY, EVERY));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut position = self.cx.replica.subscribe();
        let Some(()) = stop.run_until_cancelled(warn_of_lifetimes(&self.cx)).await else { return };
        loop {
            let turn = async {
                tokio::select! {
                    _ = ticks.tick() => {
                        let database = self.cx.store.now().await?;
                        self.round(database).await
                    }
                    changed = position.changed() => match changed {
                        Ok(()) => follow(&self.cx).await,
                        // The replica is gone, and so is the process, nearly.
                        Err(_) => std::future::pending().await,
                    },
                }
            };
            let Some(result) = stop.run_until_cancelled(turn).await else { return };
            self.tell(result.err().as_ref());
        }
    }

    /// Does what is due at a moment of the database's clock. What fails keeps nothing else waiting: a promotion that an introspector does
    /// not confirm is no reason to accept a key for longer.
    ///
    /// # Errors
    /// What came in the way first; the next round tries again.
    pub async fn round(&mut self, database: Timestamp) -> Result<(), KeyChangeError> {
        let (own, monotonic) = (self.cx.clock.now(), self.cx.clock.monotonic());
        let mut outcome = self.take_up().await;
        outcome = outcome.and(self.seat().await);
        outcome = outcome.and(follow(&self.cx).await);
        let records = self.cx.store.keys().list().await?;
        measure(&self.cx, &records, own);
        outcome = outcome.and(self.begin_counting(&records).await);
        let believed = self.believed(Reading { own, database, monotonic });
        for due in self.cx.policy.keys.schedule.due(&records, own.min(database)) {
            outcome = outcome.and(self.bring_about(due, believed).await);
        }
        outcome
    }

    /// Takes up the pair in the operator's files where it is new.
    async fn take_up(&mut self) -> Result<(), KeyChangeError> {
        let cx = &self.cx;
        let Some(files) = &cx.policy.keys.files else { return Ok(()) };
        let unusable = |error: &dyn std::error::Error| tracing::warn!(error = %chain(error), "the signing key in the files is not taken up");
        let found = match files.read(cx.policy.keys.algorithm) {
            Ok(Some(found)) => found,
            // Gone while it signs: it goes on. Whether it is there is asked at a start, too.
            Ok(None) => return Ok(()),
            Err(error) => {
                if self.own.is_none() || !cx.signing.is_missing() {
                    unusable(&error);
                }
                return Ok(());
            }
        };
        let id = found.key_id().clone();
        if self.own.as_ref() == Some(&id) {
            return Ok(());
        }
        let setup = Setup { store: &cx.store, clock: &*cx.clock, random: &*cx.random };
        match setup.own_key(&cx.signing.keks, found).await {
            Ok(()) => {
                cx.signing.found();
                self.seating = Some(id.clone());
            }
            // The next round tries again.
            Err(SetupError::Store(error)) => return Err(error.into()),
            // Nothing but another pair mends that.
            Err(error) => unusable(&error),
        }
        self.own = Some(id);
        Ok(())
    }

    /// Lets the pair that was taken up sign, where that is no matter of its age: one that has signed before and is put back, and the
    /// first that there is. Once: whichever key an administrator promotes afterwards goes on signing.
    async fn seat(&mut self) -> Result<(), KeyChangeError> {
        let Some(own) = &self.seating else { return Ok(()) };
        let records = self.cx.store.keys().list().await?;
        let signs = records.iter().any(|record| record.state == KeyState::Active);
        match records.iter().find(|record| record.key == *own).map(|record| record.state) {
            Some(KeyState::Retiring) => drop(promote(&self.cx, Some(own), true).await?),
            Some(KeyState::Next) if !signs => drop(promote(&self.cx, Some(own), true).await?),
            _ => {}
        }
        self.seating = None;
        Ok(())
    }

    async fn bring_about(&self, due: Due<'_>, believed: bool) -> Result<(), KeyChangeError> {
        let from_files = self.cx.policy.keys.files.is_some();
        let done = match due {
            Due::Successor(_) if from_files => return Ok(()),
            Due::Successor(of) => publish(&self.cx, Some(of)).await,
            // Another pair was there for a while, or keys were made: what the operator's files hold now is what is to sign.
            Due::Promote(key) if from_files && self.own.as_ref() != Some(key) => return Ok(()),
            Due::Promote(key) => promote(&self.cx, Some(key), false).await,
            Due::Retire(_) if !believed => return Ok(()),
            Due::Retire(key) => retire(&self.cx, key).await,
        };
        match done {
            // Another issuer, or an administrator, was faster.
            Err(KeyChangeError::Conflict | KeyChangeError::NextExists | KeyChangeError::Retired) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Since when a key retires is not known where a version before this one said so. It is counted from now on.
    async fn begin_counting(&self, records: &[SigningKeyRecord]) -> Result<(), KeyChangeError> {
        let unknown = |record: &&SigningKeyRecord| record.state == KeyState::Retiring && record.since.is_none();
        if !records.iter().any(|record| unknown(&record)) {
            return Ok(());
        }
        let tx = begin(&self.cx).await?;
        for record in tx.keys().list().await?.iter().filter(unknown) {
            tx.keys().set_state(&record.key, record.state, record.state, self.cx.clock.now()).await?;
        }
        commit(&self.cx, tx).await?;
        Ok(())
    }

    fn believed(&mut self, reading: Reading) -> bool {
        match self.clocks.look(reading) {
            Ok(_) => true,
            Err(distrust) => {
                if !self.distrusted {
                    tracing::error!(
                        error = %distrust,
                        "no signing key is retired by its age any more: set the clocks right, then restart the issuer; `tessera key retire` works meanwhile"
                    );
                }
                self.distrusted = true;
                false
            }
        }
    }

    /// Says what is wrong, once.
    fn tell(&mut self, error: Option<&KeyChangeError>) {
        let text = error.map(|error| chain(error));
        match (error, text == self.told) {
            (Some(error), false) if error.reason() == "REVOCATION_UNCONFIRMED" => {
                tracing::warn!(error = %chain(error), "a change of the signing keys waits: not every introspector knows of it");
            }
            (Some(error), false) => {
                tracing::error!(error = %chain(error), reason = error.reason(), "the signing keys cannot be kept; tried again at each turn");
            }
            (None, false) => tracing::info!("the signing keys are kept again"),
            (_, true) => {}
        }
        self.told = text;
    }
}

/// Signs with the key that the log says is active. What is loaded is loaded once.
///
/// # Errors
/// `Sealed` where the key does not open here; then the key from before goes on signing.
pub async fn follow(cx: &Context) -> Result<(), KeyChangeError> {
    let _one_at_a_time = cx.signing.swap.lock().await;
    let Some(state) = cx.replica.state().filter(|_| !cx.signing.is_missing()) else { return Ok(()) };
    let keys = state.keys();
    let Some(active) = keys.iter().rfind(|key| key.fact.state == KeyState::Active) else { return Ok(()) };
    if cx.signer.load().as_ref().is_some_and(|signer| *signer.key_id() == active.fact.key) {
        return Ok(());
    }
    let Some(record) = cx.store.keys().find(&active.fact.key).await? else { return Ok(()) };
    if record.state == KeyState::Retired {
        // The database is ahead of what is known here, and the log is about to tell who signs instead.
        return Ok(());
    }
    let signer = cx.signing.open(&record)?;
    tracing::info!(key_id = %signer.key_id(), algorithm = %signer.algorithm(), "this issuer signs with this key from now on");
    cx.signer.store(Some(Arc::new(signer)));
    Ok(())
}

/// Says whose tokens are made shorter than an administrator wanted, since no key is accepted for so long.
async fn warn_of_lifetimes(cx: &Context) {
    let longest = cx.policy.keys.schedule.retire_after;
    match cx.store.clients().living_longer(longest, NAMED).await {
        Ok(clients) if clients.is_empty() => {}
        Ok(clients) => {
            let names: Vec<String> = clients.iter().map(ToString::to_string).collect();
            tracing::warn!(
                clients = names.join(" "),
                retire_after_s = longest.as_secs(),
                "the access tokens of these clients, and perhaps of others, live shorter than they are set to: a key is accepted for [keys] retire_after; raise that, or shorten their lifetimes"
            );
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "nobody has looked whether clients' lifetimes exceed [keys] retire_after");
        }
    }
}

/// How long the keys have been what they are: of several in one state, the longest.
fn measure(cx: &Context, records: &[SigningKeyRecord], now: Timestamp) {
    for state in KeyState::ALL.iter().filter(|state| state.is_published()) {
        let since = records.iter().filter(|record| record.state == *state).filter_map(Schedule::since).min();
        cx.telemetry.signing_key_age(*state, since.map_or(Duration::ZERO, |since| since.until(now)));
    }
}
