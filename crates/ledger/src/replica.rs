//! The state in memory that checks are answered from.
//!
//! One writer (the follower's driver, or the issuer's own log) installs snapshots and applies entries in place; any number of
//! readers look things up without a lock. [`Replica::apply`] takes exactly the entry after the last, so a replica always holds
//! a prefix of the log.
//!
//! # What readers may rely on
//! An entry's changes are made before [`State::applied`] rises to its revision, with release ordering, and `applied` is loaded
//! with acquire ordering. So a reader that has seen `applied() >= N` finds everything up to N in whatever it looks up
//! *afterwards*; a reader that looks first and loads `applied` second may not conclude anything. The watch channel of
//! [`Replica::subscribe`] changes later still. Beyond the prefix a reader may meet single changes of the entry being applied:
//! they are never older than the prefix, and revocations and watermarks only grow.
//!
//! A check loads the state anew ([`Replica::state`]) and keeps it for its own length only: a new snapshot is a new [`State`], and
//! the old one stands still.

mod expiries;
mod state;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use tessera_types::{ErrorCode, Failure, Revision};
use tokio::sync::watch;

pub use self::expiries::forgotten_before;
pub use self::state::{ClientEntry, KeyEntry, State};

use self::expiries::Expiries;
use crate::event::{ChainHash, Entry, Position, Snapshot};

/// A replica of the log's state. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub struct Replica {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What readers load.
    current: ArcSwapOption<State>,
    /// Held by whoever installs or applies; never by readers.
    writer: Mutex<Option<Writer>>,
    /// Rises last.
    position: watch::Sender<Option<Position>>,
}

/// What the writer alone needs.
#[derive(Debug)]
struct Writer {
    state: Arc<State>,
    hash: ChainHash,
    expiries: Expiries,
}

/// A snapshot was not installed; the replica is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The snapshot is of the same log at an earlier place: installing it would forget what has been confirmed.
    #[error("the snapshot stands at revision {offered}, below the replica's own {own}")]
    Below {
        /// Where the replica stands.
        own: u64,
        /// Where the snapshot stands.
        offered: u64,
    },
    /// The snapshot is of the same log at a later place, and lacks what the replica has: the database was restored from a backup, or
    /// lost commits in a failover, without a new epoch. Installing it would make revoked tokens active.
    #[error(
        "the snapshot at revision {offered} lacks what the replica has applied up to revision {own} of the same log"
    )]
    Rewritten {
        /// Where the replica stands.
        own: u64,
        /// Where the snapshot stands.
        offered: u64,
    },
    /// Two facts claim one place, or one claims a place outside the snapshot's log.
    #[error("the snapshot holds a fact at revision {0} that cannot be there")]
    Misplaced(u64),
}

/// Entries were not applied, not even in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// There is no state to apply them to yet.
    #[error("nothing is installed yet")]
    Empty,
    /// They do not go on where the replica stands.
    #[error("revision {expected} is next, not {found}")]
    Gap {
        /// The place that comes next.
        expected: u64,
        /// The place of the entry.
        found: u64,
    },
}

impl Failure for InstallError {
    fn code(&self) -> ErrorCode {
        ErrorCode::TemporarilyUnavailable
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Below { .. } => "SNAPSHOT_BELOW_REPLICA",
            Self::Rewritten { .. } => "SNAPSHOT_REWRITTEN",
            Self::Misplaced(_) => "SNAPSHOT_MALFORMED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Below { .. } | Self::Misplaced(_) => "The replica cannot follow its issuer now; it will try again.",
            Self::Rewritten { .. } => "The issuer's database was set back: run tessera db restored.",
        }
    }
}

impl Failure for ApplyError {
    fn code(&self) -> ErrorCode {
        ErrorCode::TemporarilyUnavailable
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "REPLICA_EMPTY",
            Self::Gap { .. } => "LOG_GAP",
        }
    }

    fn advice(&self) -> &'static str {
        "The replica cannot follow its issuer now; it will try again."
    }
}

impl Default for Replica {
    fn default() -> Self {
        Self::new()
    }
}

impl Replica {
    /// A replica that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let shared =
            Shared { current: ArcSwapOption::empty(), writer: Mutex::new(None), position: watch::Sender::new(None) };
        Self { shared: Arc::new(shared) }
    }

    /// Where it stands, with the hash of that place; `None` before the first snapshot.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        *self.shared.position.borrow()
    }

    /// What it knows; `None` before the first snapshot. To be loaded anew for each check.
    #[must_use]
    pub fn state(&self) -> Option<Arc<State>> {
        self.shared.current.load_full()
    }

    /// Watches where it stands. A position seen here is visible to every reader already.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Position>> {
        self.shared.position.subscribe()
    }

    /// Whether everything up to a revision of this replica's log is visible to every reader.
    #[must_use]
    pub fn has_applied(&self, revision: Revision) -> bool {
        let current = self.shared.current.load();
        current.as_ref().is_some_and(|state| state.epoch() == revision.epoch && state.applied() >= revision.number)
    }

    /// Resolves once everything up to a revision is visible to every reader; at once, and without allocating, where it already
    /// is. Without end where the revision is of a log that never comes: the caller bounds it by its deadline. May be dropped at
    /// any time.
    pub async fn wait_for(&self, revision: Revision) {
        if self.has_applied(revision) {
            return;
        }
        let reached = |position: &Option<Position>| {
            position.is_some_and(|p| p.epoch == revision.epoch && p.revision >= revision.number)
        };
        // `wait_for` looks at the present value first, so a position reached between the check above and here is not missed.
        // It fails only where the sender is gone, and `self` holds it.
        if self.subscribe().wait_for(reached).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Replaces everything known by a snapshot.
    ///
    /// # Errors
    /// [`InstallError::Below`] where it stands below the replica in the same log; [`InstallError::Rewritten`] where it lacks
    /// what the replica knows of that log; [`InstallError::Misplaced`] where it contradicts itself.
    pub fn install(&self, snapshot: Snapshot) -> Result<(), InstallError> {
        let mut writer = self.writer();
        let Snapshot { position, mut facts } = snapshot;
        if let Some(own) = writer.as_ref().filter(|own| own.state.epoch() == position.epoch)
            && own.state.applied() > position.revision
        {
            return Err(InstallError::Below { own: own.state.applied(), offered: position.revision });
        }
        // In the log's order a later fact about the same thing wins by itself.
        facts.sort_unstable_by_key(|fact| fact.revision);
        let mut before = 0;
        for fact in &facts {
            if fact.revision <= before || fact.revision > position.revision {
                return Err(InstallError::Misplaced(fact.revision));
            }
            before = fact.revision;
        }
        let state = State::new(position.epoch);
        let mut expiries = Expiries::default();
        for fact in facts {
            state.record(fact.revision, fact.event, &mut expiries);
        }
        if let Some(own) = writer.as_ref().filter(|own| own.state.epoch() == position.epoch)
            && !state.continues(&own.state)
        {
            return Err(InstallError::Rewritten { own: own.state.applied(), offered: position.revision });
        }
        state.raise_applied(position.revision);
        let state = Arc::new(state);
        self.shared.current.store(Some(Arc::clone(&state)));
        *writer = Some(Writer { state, hash: position.hash, expiries });
        self.shared.position.send_replace(Some(position));
        Ok(())
    }

    /// Applies the entries that come next; all of them or none. When it returns, they are visible to every reader.
    ///
    /// # Errors
    /// [`ApplyError::Empty`] before the first snapshot; [`ApplyError::Gap`] unless they go on exactly at applied + 1.
    pub fn apply(&self, entries: &[Entry]) -> Result<(), ApplyError> {
        let mut writer = self.writer();
        let writer = writer.as_mut().ok_or(ApplyError::Empty)?;
        let mut applied = writer.state.applied();
        for entry in entries {
            let expected = applied.saturating_add(1);
            if entry.revision != expected {
                return Err(ApplyError::Gap { expected, found: entry.revision });
            }
            applied = expected;
        }
        let Some(last) = entries.last() else { return Ok(()) };
        for entry in entries {
            writer.state.record(entry.revision, entry.event.clone(), &mut writer.expiries);
        }
        // Everything above happens before this store, and every reader that sees it sees everything above.
        writer.state.raise_applied(last.revision);
        writer.hash = last.hash;
        let position = Position { epoch: writer.state.epoch(), revision: last.revision, hash: writer.hash };
        self.shared.position.send_replace(Some(position));
        Ok(())
    }

    /// A writer that panicked left `applied` where it was; applying the same entries again changes nothing twice.
    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
