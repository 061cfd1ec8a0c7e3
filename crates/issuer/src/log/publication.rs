//! From the database to everybody who answers checks: the issuer's own replica first, then the feeds.
//!
//! One task reads the log in order, whoever wrote it (this process, or `tessera init` beside it), applies it to the
//! replica and keeps the recent entries for the feeds, which read at their own pace. A slow introspector costs no memory here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Histogram;
use tessera_kit::trace::TraceParent;
use tessera_ledger::ReplicaId;
use tessera_ledger::event::{ChainHash, Entry, Event, Position, Snapshot};
use tessera_ledger::replica::Replica;
use tessera_store::{Committed, Database, HolderRecord, NewRecord, StoreError, Tail, Transaction};
use tessera_types::{Clock, ErrorCode, Failure, Revision};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::traces::Traces;
use super::{Appender, Holder, Holders, Recorded};

/// How often the log is read where nobody says that something was written: for what other processes write.
const POLL: Duration = Duration::from_millis(200);

/// How many entries are read at once.
const BATCH: u64 = 1000;
const BATCH_LEN: usize = 1000;

/// How many recent entries are kept for feeds. Who is further behind reads the database.
const RECENT: usize = 16_384;

/// How long one snapshot serves those who ask for one.
const SHARE_SNAPSHOT: Duration = Duration::from_secs(2);

/// How long an introspector's word counts that the database lacks what it has applied: it comes back with it every few seconds.
const CONTRADICTED: Duration = Duration::from_mins(1);

/// How long the issuer answers checks from memory when the database does not answer.
const MAX_STALENESS: Duration = Duration::from_secs(5);

/// Carries the log. Cheap to clone.
#[derive(Clone)]
pub struct Publication {
    shared: Arc<Shared>,
    appender: Appender,
    barrier: Histogram,
}

struct Shared {
    store: Database,
    replica: Replica,
    clock: Arc<dyn Clock>,
    holders: Holders,
    traces: Traces,
    recent: Mutex<VecDeque<Entry>>,
    /// Held while the holders in memory and in the database change together.
    members: tokio::sync::Mutex<()>,
    snapshot: tokio::sync::Mutex<Option<(Duration, Arc<Snapshot>)>>,
    /// Whether the database was seen to hold another log than the one applied here. Only a restart mends that.
    diverged: AtomicBool,
    /// When an introspector last said that the database lacks what it has applied, as below.
    contradicted_at: AtomicU64,
    /// When the log was last read, in milliseconds of the monotonic clock, plus one; 0 is never.
    read_at: AtomicU64,
}

/// The task that follows the log.
pub struct PublicationTask(Arc<Shared>);

/// The change is durable, but a connected introspector has not confirmed it in time (revocation.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision {revision} is durable but not confirmed by every introspector")]
pub struct Unconfirmed {
    /// Where the change stands in the log.
    pub revision: Revision,
}

impl Failure for Unconfirmed {
    fn code(&self) -> ErrorCode {
        ErrorCode::TemporarilyUnavailable
    }

    fn reason(&self) -> &'static str {
        "REVOCATION_UNCONFIRMED"
    }

    fn advice(&self) -> &'static str {
        "The change is durable, but an introspector has not confirmed it yet. Repeat the call to wait again."
    }
}

impl Publication {
    /// Loads the log's state into the replica; the task then follows it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open(
        store: Database,
        replica: Replica,
        clock: Arc<dyn Clock>,
        barrier: Histogram,
    ) -> Result<(Self, PublicationTask), StoreError> {
        let holders = Holders::new(Arc::clone(&clock));
        let appender = Appender::start(store.clone(), replica.clone());
        let shared = Arc::new(Shared {
            store,
            replica,
            clock,
            holders,
            traces: Traces::default(),
            recent: Mutex::default(),
            members: tokio::sync::Mutex::default(),
            snapshot: tokio::sync::Mutex::default(),
            diverged: AtomicBool::new(false),
            contradicted_at: AtomicU64::new(0),
            read_at: AtomicU64::new(0),
        });
        shared.load().await?;
        shared.recall().await?;
        Ok((Self { shared: Arc::clone(&shared), appender, barrier }, PublicationTask(shared)))
    }

    /// Writes a revocation; see [`Appender::append`].
    ///
    /// # Errors
    /// As there.
    pub async fn append(&self, event: Event, record: NewRecord) -> Result<Recorded, StoreError> {
        let expected = self.shared.traces.expect(std::slice::from_ref(&event));
        let recorded = self.appender.append(event, record).await;
        recorded.inspect_err(|_| self.shared.traces.take_back(expected))
    }

    /// Which of some entries belong to a trace, each with its revision.
    #[must_use]
    pub fn traces_among(&self, entries: &[Entry]) -> Vec<(u64, TraceParent)> {
        self.shared.traces.among(entries)
    }

    /// Who must confirm.
    #[must_use]
    pub fn holders(&self) -> &Holders {
        &self.shared.holders
    }

    /// An introspector joins. It is kept in the database first: an issuer that is killed now must still know of it when it comes
    /// back, or it would call done what that introspector has not heard of.
    ///
    /// # Errors
    /// What the database says; then it has not joined.
    pub async fn join(&self, record: &HolderRecord) -> Result<Holder, StoreError> {
        let _one_at_a_time = self.shared.members.lock().await;
        self.shared.store.holders().keep(record).await?;
        Ok(self.shared.holders.join(record.replica, record.max_staleness))
    }

    /// An introspector took its leave.
    ///
    /// # Errors
    /// What the database says; the introspector counts no more all the same.
    pub async fn goodbye(&self, holder: Holder) -> Result<(), StoreError> {
        let replica = holder.replica();
        holder.goodbye();
        self.shared.forget(replica).await
    }

    /// An introspector's stream broke. It counts for as long as it may answer, and is then forgotten.
    pub fn lost(&self, holder: Holder, max_staleness: Duration) {
        let replica = holder.replica();
        drop(holder);
        Arc::clone(&self.shared).forget_once_lapsed(replica, max_staleness);
    }

    /// Waits until everybody who answers checks has a revision: this process, then every introspector.
    ///
    /// # Errors
    /// [`Unconfirmed`] where time ran out. The change is durable all the same.
    pub async fn confirm(&self, revision: Revision, within: Duration) -> Result<(), Unconfirmed> {
        let begun = self.shared.clock.monotonic();
        self.applied(revision, within).await?;
        let rest = within.saturating_sub(self.shared.clock.monotonic().saturating_sub(begun));
        let confirmed = self.shared.holders.wait(revision.number, rest).await;
        let took = self.shared.clock.monotonic().saturating_sub(begun);
        self.barrier.record(took.as_secs_f64());
        if confirmed && !self.has_diverged() {
            Ok(())
        } else {
            tracing::warn!(%revision, "a change is durable but not confirmed by every introspector");
            Err(Unconfirmed { revision })
        }
    }

    /// Commits a transaction. What is new in the log must be new to this process too: otherwise the database is not the one it has
    /// followed, and everybody would seem to have confirmed the change already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn commit(&self, tx: Transaction) -> Result<Committed, StoreError> {
        let before = self.shared.replica.position();
        let expected = self.shared.traces.expect(tx.recorded());
        let committed = tx.commit().await.inspect_err(|_| self.shared.traces.take_back(expected))?;
        let known = before.is_some_and(|before| {
            before.epoch != committed.position.epoch || committed.first.is_some_and(|first| first <= before.revision)
        });
        if known {
            self.shared.diverged.store(true, Ordering::Release);
        }
        Ok(committed)
    }

    /// Waits until this process has applied a revision.
    ///
    /// # Errors
    /// [`Unconfirmed`] where time ran out.
    pub async fn applied(&self, revision: Revision, within: Duration) -> Result<(), Unconfirmed> {
        let applied = self.shared.replica.wait_for(revision);
        tokio::time::timeout(within, applied).await.map_err(|_| Unconfirmed { revision })
    }

    /// Whether the log was read lately: otherwise nobody can tell what was revoked meanwhile.
    #[must_use]
    pub fn in_touch(&self, now: Duration) -> bool {
        if self.has_diverged() {
            return false;
        }
        let stamp = self.shared.read_at.load(Ordering::Acquire);
        stamp.checked_sub(1).is_some_and(|ms| now.saturating_sub(Duration::from_millis(ms)) <= MAX_STALENESS)
    }

    /// Whether the database was seen to hold another log than this process has applied. Only a restart mends that.
    #[must_use]
    pub fn has_diverged(&self) -> bool {
        self.shared.diverged.load(Ordering::Acquire)
    }

    /// An introspector says that the database lacks what it has applied.
    pub fn contradicted(&self, now: Duration) {
        self.shared.contradicted_at.store(stamp(now), Ordering::Release);
    }

    /// Whether the database seems to lack what was in its log before: this process has seen so, or an introspector has said so within the
    /// last minute.
    #[must_use]
    pub fn seems_rewritten(&self, now: Duration) -> bool {
        let at = self.shared.contradicted_at.load(Ordering::Acquire);
        self.has_diverged()
            || at.checked_sub(1).is_some_and(|ms| now.saturating_sub(Duration::from_millis(ms)) <= CONTRADICTED)
    }

    /// At most `limit` entries after a revision that the replica has applied.
    ///
    /// # Errors
    /// What the database says.
    pub async fn after(&self, revision: u64, limit: usize) -> Result<Tail, StoreError> {
        if let Some(entries) = self.shared.recent_after(revision, limit) {
            return Ok(Tail::Entries(entries));
        }
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        self.shared.store.log().after(revision, limit).await
    }

    /// The whole state at this revision or above, for an introspector that cannot go on from where it stands. When many come at
    /// once, as after a restart, they share one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn snapshot(&self, at_least: u64) -> Result<Arc<Snapshot>, StoreError> {
        let mut shared = self.shared.snapshot.lock().await;
        let now = self.shared.clock.monotonic();
        if let Some((read_at, snapshot)) = &*shared
            && now.saturating_sub(*read_at) < SHARE_SNAPSHOT
            && snapshot.position.revision >= at_least
        {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(self.shared.store.log().snapshot().await?);
        *shared = Some((now, Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    /// The database the log is in.
    #[must_use]
    pub fn store(&self) -> &Database {
        &self.shared.store
    }

    /// The replica.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.shared.replica
    }
}

impl PublicationTask {
    /// Follows the log until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let shared = self.0;
        let mut head = shared.store.head_watch();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = poll.tick() => {}
                changed = head.changed() => if changed.is_err() { return },
            }
            shared.forget_snapshot();
            match (shared.follow().await, failing) {
                (Ok(()), true) => tracing::info!("the log is read again"),
                (Err(error), false) => {
                    tracing::error!(error = %error, "the log cannot be read; checks answer 503 until it can");
                    failing = true;
                    continue;
                }
                (Ok(()), false) => {}
                (Err(_), true) => continue,
            }
            failing = false;
        }
    }
}

impl Shared {
    /// Takes over the introspectors of the process before this one: they may still answer from what they had.
    async fn recall(self: &Arc<Self>) -> Result<(), StoreError> {
        for record in self.store.holders().list().await? {
            tracing::info!(introspector = %record.name, replica = %record.replica, "may still answer from before this start");
            drop(self.holders.join(record.replica, record.max_staleness));
            Arc::clone(self).forget_once_lapsed(record.replica, record.max_staleness);
        }
        Ok(())
    }

    /// Forgets a holder, unless it has come back.
    async fn forget(&self, replica: ReplicaId) -> Result<(), StoreError> {
        let _one_at_a_time = self.members.lock().await;
        if self.holders.counts(replica) { Ok(()) } else { self.store.holders().forget(replica).await }
    }

    fn forget_once_lapsed(self: Arc<Self>, replica: ReplicaId, max_staleness: Duration) {
        tokio::spawn(async move {
            // Longer than the barrier counts it; where it has come back by then, nothing is done.
            tokio::time::sleep(max_staleness * 2).await;
            if let Err(error) = self.forget(replica).await {
                tracing::debug!(error = %error, %replica, "a holder was not forgotten; the next start tries again");
            }
        });
    }

    /// Forgets a snapshot that nobody comes for any more.
    fn forget_snapshot(&self) {
        let Ok(mut shared) = self.snapshot.try_lock() else { return };
        let now = self.clock.monotonic();
        if shared.as_ref().is_some_and(|(read_at, _)| now.saturating_sub(*read_at) >= SHARE_SNAPSHOT) {
            *shared = None;
        }
    }

    /// Reads everything that follows what the replica has.
    async fn follow(&self) -> Result<(), StoreError> {
        loop {
            let begun = self.clock.monotonic();
            let Some(position) = self.replica.position() else { return self.load().await };
            let log = self.store.log();
            if !self.agrees(&position, &log.head().await?, log.hash_at(position.revision).await?) {
                return Ok(());
            }
            match log.after(position.revision, BATCH).await? {
                Tail::Compacted => return self.load().await,
                Tail::Entries(entries) => {
                    if !entries.is_empty() && !self.apply(&entries) {
                        return Ok(());
                    }
                    // A short read has seen the end of the log as it was when it began.
                    if entries.len() < BATCH_LEN {
                        self.read(begun);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether the database holds the log that this process has applied. One that was restored, or a standby that was promoted before
    /// it had everything, does not: then nobody here can tell what was revoked, and nothing may be called done.
    fn agrees(&self, own: &Position, head: &Position, hash: Option<ChainHash>) -> bool {
        let agrees = own.epoch == head.epoch
            && own.revision <= head.revision
            && (own.revision == 0 || hash.is_none_or(|hash| hash == own.hash));
        if !agrees && !self.diverged.swap(true, Ordering::AcqRel) {
            tracing::error!(
                own = own.revision,
                head = head.revision,
                "the database holds another log than this process has applied: it was restored, or failed over to a standby that lacked commits; stop the issuer, run tessera db restored, and start it again"
            );
        }
        agrees
    }

    async fn load(&self) -> Result<(), StoreError> {
        let begun = self.clock.monotonic();
        let snapshot = self.store.log().snapshot().await?;
        if let Err(error) = self.replica.install(snapshot) {
            self.diverged.store(true, Ordering::Release);
            tracing::error!(error = %error, "the database is older than this process; stop the issuer, run tessera db restored, and start it again");
            return Ok(());
        }
        self.recent().clear();
        self.read(begun);
        Ok(())
    }

    /// The replica first: whom it wakes and who finds nothing in `recent` yet reads the database.
    fn apply(&self, entries: &[Entry]) -> bool {
        // Before any feed can send them.
        self.traces.read(entries);
        if let Err(error) = self.replica.apply(entries) {
            self.diverged.store(true, Ordering::Release);
            tracing::error!(error = %error, "the log does not follow what this process has applied; stop the issuer, run tessera db restored, and start it again");
            return false;
        }
        let mut recent = self.recent();
        recent.extend(entries.iter().cloned());
        let surplus = recent.len().saturating_sub(RECENT);
        recent.drain(..surplus);
        true
    }

    fn recent_after(&self, revision: u64, limit: usize) -> Option<Vec<Entry>> {
        let recent = self.recent();
        let first = recent.front()?.revision;
        let last = recent.back()?.revision;
        if revision + 1 < first || revision > last {
            return None;
        }
        let skip = usize::try_from(revision + 1 - first).ok()?;
        Some(recent.iter().skip(skip).take(limit).cloned().collect())
    }

    /// The log was as of this moment or later.
    fn read(&self, begun: Duration) {
        self.read_at.store(stamp(begun), Ordering::Release);
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment of the monotonic clock, in milliseconds and one more: 0 is never.
fn stamp(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX - 1) + 1
}
