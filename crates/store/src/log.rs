//! Reads the log. Writing it is [`Transaction::commit`](crate::Transaction::commit)'s alone.

pub(crate) mod append;

use std::collections::HashMap;
use std::ops::Deref;

use sea_orm::{
    ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tessera_ledger::chain;
use tessera_ledger::event::{ChainHash, Entry, Event, Fact, Position, Snapshot};
use tessera_types::Timestamp;

use crate::database::Database;
use crate::entities::{log_event, log_fact, log_head};
use crate::error::StoreError;

/// The log after a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The entries that follow, without a gap; none where the place is the head or ahead of it.
    Entries(Vec<Entry>),
    /// Some of them have been compacted away: only a snapshot helps.
    Compacted,
}

/// What [`WholeLog::check_chain`] looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainCheck {
    /// Where the log stands.
    pub head: Position,
    /// How many entries the log holds; older ones have been compacted away.
    pub entries: u64,
    /// How many facts it holds.
    pub facts: u64,
}

/// How many entries are checked at once.
const CHECKED: u64 = 1000;

/// Reads the log.
pub struct Log<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Log<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// Where the log stands.
    pub async fn head(&self) -> Result<Position, StoreError> {
        Position::try_from(&self.head_row().await?)
    }

    /// At most `limit` entries after a revision.
    pub async fn after(&self, revision: u64, limit: u64) -> Result<Tail, StoreError> {
        let from = signed(revision)?;
        let head = self.head_row().await?;
        if from < head.compacted {
            return Ok(Tail::Compacted);
        }
        if from >= head.revision {
            return Ok(Tail::Entries(Vec::new()));
        }
        let query = log_event::Entity::find()
            .filter(log_event::Column::Revision.gt(from))
            .order_by_asc(log_event::Column::Revision)
            .limit(limit);
        let rows = query.all(&self.source).await?;
        let entries = rows.into_iter().map(Entry::try_from).collect::<Result<Vec<_>, _>>()?;
        match (1..).zip(&entries).find(|(offset, entry)| entry.revision != revision + offset) {
            None if entries.is_empty() && limit > 0 => Ok(Tail::Compacted),
            None => Ok(Tail::Entries(entries)),
            // A compaction came between the two reads.
            Some((1, _)) => Ok(Tail::Compacted),
            Some(_) => Err(StoreError::corrupt("log_events", "revisions have a gap")),
        }
    }

    /// The chained hash at a revision; `None` where the log has not come there or has forgotten it.
    pub async fn hash_at(&self, revision: u64) -> Result<Option<ChainHash>, StoreError> {
        if revision == 0 {
            return Ok(Some(ChainHash::default()));
        }
        let head = self.head().await?;
        if revision == head.revision {
            return Ok(Some(head.hash));
        }
        let row = log_event::Entity::find_by_id(signed(revision)?).one(&self.source).await?;
        row.map(|row| {
            ChainHash::try_from(row.hash).map_err(|_| StoreError::corrupt("log_events", "a hash has 32 bytes"))
        })
        .transpose()
    }

    /// The latest fact about a thing, by [`Event::about`](tessera_ledger::event::Event::about).
    pub async fn fact(&self, about: &str) -> Result<Option<Fact>, StoreError> {
        let row = log_fact::Entity::find_by_id(about).one(&self.source).await?;
        row.map(Fact::try_from).transpose()
    }

    /// The latest facts about several things, those that there are, by what they are about.
    pub async fn facts_about(&self, about: &[String]) -> Result<HashMap<String, Fact>, StoreError> {
        let mut facts = HashMap::with_capacity(about.len());
        // Below the number of parameters that either database takes in one statement.
        for some in about.chunks(500) {
            let query = log_fact::Entity::find().filter(log_fact::Column::About.is_in(some));
            for row in query.all(&self.source).await? {
                facts.insert(row.about.clone(), Fact::try_from(row)?);
            }
        }
        Ok(facts)
    }

    /// The floor: what expired before it is inactive (revocation.md). With the revision of the event that raised it there.
    pub async fn floor(&self) -> Result<Option<(u64, Timestamp)>, StoreError> {
        let about = Event::ExpiredBefore(Timestamp(0)).about();
        match self.fact(&about).await? {
            Some(Fact { revision, event: Event::ExpiredBefore(floor) }) => Ok(Some((revision, floor))),
            Some(_) => Err(StoreError::corrupt("log_facts", "the floor is something else")),
            None => Ok(None),
        }
    }

    /// When the first of the revocations ends that end at this moment or later; `None` where there are none.
    pub async fn first_expiry(&self, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let query = log_fact::Entity::find()
            .select_only()
            .column(log_fact::Column::ExpiresAt)
            .filter(log_fact::Column::ExpiresAt.gte(from.0))
            .order_by_asc(log_fact::Column::ExpiresAt)
            .limit(1);
        let first: Option<i64> = query.into_tuple().one(&self.source).await?;
        Ok(first.map(Timestamp))
    }

    async fn facts(&self) -> Result<Vec<Fact>, StoreError> {
        let rows = log_fact::Entity::find().order_by_asc(log_fact::Column::Revision).all(&self.source).await?;
        rows.into_iter().map(Fact::try_from).collect()
    }

    pub(crate) async fn head_row(&self) -> Result<log_head::Model, StoreError> {
        let row = log_head::Entity::find_by_id(log_head::ROW).one(&self.source).await?;
        row.ok_or(StoreError::NotPrepared(None))
    }
}

/// Reads the log outside a transaction, and so can open one of its own.
pub struct WholeLog<'a> {
    reads: Log<'a>,
    database: &'a Database,
}

impl<'a> Deref for WholeLog<'a> {
    type Target = Log<'a>;

    fn deref(&self) -> &Log<'a> {
        &self.reads
    }
}

impl<'a> WholeLog<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { reads: Log::new(database.reader().into()), database }
    }

    /// Checks that every entry chains to the one before it, up to the head, and that every fact can be read. The first entry that is
    /// left of a compacted log is taken at its word.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], with the first place that does not fit.
    pub async fn check_chain(&self) -> Result<ChainCheck, StoreError> {
        let transaction = self.database.begin_snapshot().await?;
        let log = Log::new((&transaction).into());
        let head = log.head_row().await?;
        let position = Position::try_from(&head)?;
        let mut last = (head.compacted, (head.compacted == 0).then_some(chain::START));
        loop {
            let query = log_event::Entity::find()
                .filter(log_event::Column::Revision.gt(last.0))
                .order_by_asc(log_event::Column::Revision)
                .limit(CHECKED);
            let rows = query.all(&transaction).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                last = (row.revision, Some(chained(last, row)?));
            }
        }
        if last.0 != head.revision || last.1.is_some_and(|hash| hash != position.hash) {
            return Err(StoreError::corrupt("log_head", "the head is not where the entries end"));
        }
        let facts = log.facts().await?.len() as u64;
        transaction.rollback().await?;
        Ok(ChainCheck { head: position, entries: (head.revision - head.compacted).cast_unsigned(), facts })
    }

    /// The whole state at one position, as of one moment, ordered by revision.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let transaction = self.database.begin_snapshot().await?;
        let log = Log::new((&transaction).into());
        let snapshot = Snapshot { position: log.head().await?, facts: log.facts().await? };
        transaction.rollback().await?;
        Ok(snapshot)
    }
}

/// The hash of an entry, if it is the one that comes after `last`.
fn chained(last: (i64, Option<ChainHash>), row: log_event::Model) -> Result<ChainHash, StoreError> {
    let (before, hash) = last;
    let (revision, payload) = (row.revision.cast_unsigned(), row.payload.clone());
    let entry = Entry::try_from(row)?;
    if entry.revision != before.cast_unsigned() + 1 {
        return Err(StoreError::corrupt("log_events", format!("revision {revision} follows {before}")));
    }
    if hash.is_some_and(|hash| chain::next(&hash, revision, &payload) != entry.hash) {
        return Err(StoreError::corrupt("log_events", format!("the hash at revision {revision} does not fit")));
    }
    Ok(entry.hash)
}

/// A revision as the database counts.
pub(crate) fn signed(revision: u64) -> Result<i64, StoreError> {
    i64::try_from(revision).map_err(|error| StoreError::Refused(Box::new(error)))
}
