//! A database that was restored from a backup: what follows is another log, so that nothing from before is taken for part of it.
//!
//! A backup does not know what was revoked after it was taken. Introspectors that ran on do, and whoever has asked them relies on it;
//! so none of them may go on from where it stands as if nothing had happened. The new epoch is what tells them. By default everything
//! that was issued before dies with it, since nobody can say any more which of it was revoked.

use std::time::Duration;

use tessera_ledger::ReplicaId;
use tessera_ledger::event::{Event, Position, Subject};
use tessera_ledger::message::LONGEST_STALENESS;
use tessera_store::{Action, Actor, Database, HolderRecord, NewRecord, StoreError};
use tessera_types::{Clock, Epoch, Randomness, random};

/// The longest that any introspector goes on answering when it hears nothing.
pub const LONGEST: Duration = LONGEST_STALENESS;

/// Who stands among the holders for everybody that the backup does not know.
const ANYBODY: &str = "whoever answered before the restore";

/// What it works with.
pub struct Restored<'a> {
    /// The database, restored and migrated, with nobody else at work in it.
    pub store: &'a Database,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// For the epoch.
    pub random: &'a dyn Randomness,
}

/// What may be kept, and what must be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Leave tokens, sessions, codes and refresh tokens alive that were issued before. Those that were revoked since the backup live again.
    pub keep_tokens: bool,
    /// How long an introspector may go on answering from before the restore.
    pub max_staleness: Duration,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEpoch {
    /// Where the log stood.
    pub former: Position,
    /// Where it stands.
    pub position: Position,
}

impl Restored<'_> {
    /// Begins a new epoch. Repeated, it begins another one, which does no harm.
    ///
    /// Who joined after the backup is in no row of it, and may still answer. So one holder takes the place of all rows: the issuer's
    /// first confirmation comes when the longest of them must have stopped.
    ///
    /// # Errors
    /// What the database says; then nothing has changed.
    pub async fn begin_epoch(&self, terms: Terms) -> Result<NewEpoch, StoreError> {
        let mut tx = self.store.begin().await?;
        tx.exclusive().await?;
        let former = tx.log().head().await?;
        tx.begin_epoch(self.other_than(former.epoch)).await?;
        tx.record(Event::EpochBegan { former: former.epoch });
        if !terms.keep_tokens {
            tx.record(Event::WatermarkRaised(Subject::Everything));
        }
        let anybody = HolderRecord {
            replica: ReplicaId::generate(self.random),
            name: ANYBODY.to_owned(),
            max_staleness: terms.max_staleness.min(LONGEST),
            joined: self.clock.now(),
        };
        tx.replace_holders(&anybody).await?;
        tx.audit(NewRecord::done(self.clock.now(), Actor::Host("tessera db restored"), Action::DatabaseRestored));
        let committed = tx.commit().await?;
        Ok(NewEpoch { former, position: committed.position })
    }

    fn other_than(&self, former: Epoch) -> Epoch {
        loop {
            let epoch = Epoch(u64::from_be_bytes(random::bytes(self.random)));
            if epoch != former {
                return epoch;
            }
        }
    }
}
