//! The audit: who changed, revoked or signed in, or failed to; when, from where, and how it ended (security.md, item 43).
//!
//! Records are only ever added, in the transaction of what they tell of ([`Transaction::audit`](crate::Transaction::audit)): both are
//! there, or neither. They are numbered without gaps and in the order of the commits, by a row whose lock is taken last: whoever has
//! read up to a number has missed nothing below it, and a number that is missing was deleted. Retention deletes the oldest alone.
//!
//! Nothing in a record opens anything: it takes identifiers, names of fields and stable words, never a value somebody sent.

mod words;

use std::collections::BTreeMap;
use std::net::IpAddr;

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseExecutor, DatabaseTransaction, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tessera_types::{Revision, Timestamp};

pub use self::words::{Action, Actor, Detail, Outcome, Target, UnknownOutcome};
use crate::entities::{audit_head, audit_record};
use crate::error::StoreError;
use crate::log::signed;
use crate::transaction::Committed;

/// The longest text in a record, in characters.
const TEXT_MAX: usize = 255;

/// Rows of one INSERT: SQLite binds at most 32766 values in a statement.
const ROWS: usize = 1000;

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// To what.
    pub target: Option<Target>,
    /// How it ended.
    pub outcome: Outcome,
    /// The stable reason where it was refused, or why it was done.
    pub reason: Option<&'static str>,
    /// From where, as far as known.
    pub from: Option<IpAddr>,
    /// The request it came with, as logs name it.
    pub request_id: Option<String>,
    /// How often, where repetitions are one record.
    pub count: u64,
    /// What else there is to say.
    pub details: BTreeMap<Detail, String>,
}

impl NewRecord {
    /// Something that was done.
    #[must_use]
    pub const fn done(time: Timestamp, actor: Actor, action: Action) -> Self {
        Self {
            time,
            actor,
            action,
            target: None,
            outcome: Outcome::Ok,
            reason: None,
            from: None,
            request_id: None,
            count: 1,
            details: BTreeMap::new(),
        }
    }

    /// To this.
    #[must_use]
    pub fn to(self, target: Target) -> Self {
        Self { target: Some(target), ..self }
    }

    /// For this reason.
    #[must_use]
    pub fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// With this besides.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "identifiers are Copy, and texts are made for it")]
    pub fn with(mut self, detail: Detail, value: impl ToString) -> Self {
        self.details.insert(detail, shown(&value.to_string()));
        self
    }

    /// With the fields that were changed, by name; nothing where none were.
    #[must_use]
    pub fn changing(self, fields: &[&'static str]) -> Self {
        if fields.is_empty() { self } else { self.with(Detail::Fields, fields.join(" ")) }
    }

    pub(crate) fn actor(&self) -> Party {
        Party { kind: self.actor.kind().to_owned(), id: shown(&self.actor.id()) }
    }

    pub(crate) fn target(&self) -> Option<Party> {
        self.target.as_ref().map(|target| Party { kind: target.kind().to_owned(), id: shown(&target.id()) })
    }

    pub(crate) fn details_as_json(&self) -> Option<String> {
        let texts = self.details.iter().map(|(key, value)| (key.as_str().to_owned(), value.clone().into()));
        let map: serde_json::Map<String, serde_json::Value> = texts.collect();
        (!map.is_empty()).then(|| serde_json::Value::Object(map).to_string())
    }
}

/// Somebody or something in a record: words of this version, or of one that came later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// What it is: `client`, `user`, …
    pub kind: String,
    /// Which; empty where there is one of the kind, or nobody knows.
    pub id: String,
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number: no gaps, in the order of the commits.
    pub id: u64,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Party,
    /// What: an [`Action`] of this version, or of one that came later.
    pub action: String,
    /// To what.
    pub target: Option<Party>,
    /// How it ended.
    pub outcome: Outcome,
    /// The stable reason where it was refused, or why it was done.
    pub reason: Option<String>,
    /// From where, as far as known.
    pub address: Option<String>,
    /// The request it came with, as logs name it.
    pub request_id: Option<String>,
    /// Where the log stood with it, where it wrote to the log.
    pub revision: Option<Revision>,
    /// How often, where repetitions are one record.
    pub count: u64,
    /// What else there is to say.
    pub details: BTreeMap<String, String>,
}

/// Which records. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// After this number.
    pub after: u64,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// By whom: an identifier.
    pub actor: Option<String>,
    /// What: an action, or what its name begins with up to a dot, such as `client` or `client.secret`.
    pub action: Option<String>,
    /// To what: an identifier.
    pub target: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// Reads records.
pub struct Audit<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Audit<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// Records before a number, the newest first. `None` begins with the newest there is.
    pub async fn before(
        &self,
        filter: &AuditFilter,
        id: Option<u64>,
        limit: u64,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        use audit_record::Column;
        let mut wanted = condition(filter)?;
        if let Some(id) = id {
            wanted = wanted.add(Column::Id.lt(signed(id)?));
        }
        let query = audit_record::Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit);
        query.all(&self.source).await?.into_iter().map(AuditRecord::try_from).collect()
    }

    /// How many records there are.
    pub async fn count(&self, filter: &AuditFilter) -> Result<u64, StoreError> {
        Ok(audit_record::Entity::find().filter(condition(filter)?).count(&self.source).await?)
    }

    /// Records after a number, the oldest first.
    pub async fn after(&self, filter: &AuditFilter, id: u64, limit: u64) -> Result<Vec<AuditRecord>, StoreError> {
        use audit_record::Column;
        let wanted = condition(filter)?.add(Column::Id.gt(signed(id)?));
        let query = audit_record::Entity::find().filter(wanted).order_by_asc(Column::Id).limit(limit);
        query.all(&self.source).await?.into_iter().map(AuditRecord::try_from).collect()
    }
}

fn condition(filter: &AuditFilter) -> Result<Condition, StoreError> {
    use audit_record::Column;
    let text = |text: &Option<String>, is: &dyn Fn(&str) -> Condition| text.as_deref().map(is);
    let after = Some(filter.after).filter(|after| *after > 0).map(signed).transpose()?;
    Ok(Condition::all()
        .add_option(after.map(|after| Column::Id.gt(after)))
        .add_option(filter.since.map(|since| Column::Time.gte(since.0)))
        .add_option(filter.until.map(|until| Column::Time.lt(until.0)))
        .add_option(text(&filter.actor, &|id| Condition::all().add(Column::ActorId.eq(id))))
        .add_option(text(&filter.target, &|id| Condition::all().add(Column::TargetId.eq(id))))
        .add_option(text(&filter.action, &begins_with))
        .add_option(filter.outcome.map(|outcome| Column::Outcome.eq(outcome.as_str()))))
}

/// A name, and what comes below it: a range, for which the index serves, and nothing to escape.
fn begins_with(name: &str) -> Condition {
    use audit_record::Column;
    // '/' is the character after '.', in the bytewise order of both databases.
    let below = Condition::all().add(Column::Action.gte(format!("{name}."))).add(Column::Action.lt(format!("{name}/")));
    Condition::any().add(Column::Action.eq(name)).add(below)
}

/// A record that waits for the commit, with how many events of the log were recorded before it.
pub(crate) struct Pending {
    pub(crate) record: NewRecord,
    pub(crate) events: usize,
}

/// Writes the records of a transaction at its end. The row that numbers them stays locked to the commit.
pub(crate) async fn append(
    transaction: &DatabaseTransaction,
    records: &[Pending],
    committed: &Committed,
) -> Result<(), StoreError> {
    let Some(count) = i64::try_from(records.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
    let raised = audit_head::Entity::update_many()
        .col_expr(audit_head::Column::LastId, Expr::col(audit_head::Column::LastId).add(count))
        .filter(audit_head::Column::Id.eq(audit_head::ROW))
        .exec_with_returning(transaction)
        .await?;
    let last = raised.first().ok_or(StoreError::NotPrepared(None))?.last_id;
    let rows: Vec<audit_record::Model> = (last - count + 1..)
        .zip(records)
        .map(|(id, pending)| {
            // The event that came last before the record is the one it tells of.
            let number = pending.events.checked_sub(1).and_then(|index| committed.recorded.get(index));
            let revision = number.map(|number| Revision { epoch: committed.position.epoch, number: *number });
            audit_record::Model::new(id, &pending.record, revision)
        })
        .collect();
    for chunk in rows.chunks(ROWS) {
        let rows = chunk.iter().cloned().map(audit_record::ActiveModel::from);
        audit_record::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// A text within bounds, whose control characters are spelt out: records are read in terminals.
fn shown(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::new();
    for c in text.chars().take(TEXT_MAX) {
        if c.is_control() || turns(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
