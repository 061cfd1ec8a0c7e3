//! The one function that writes the log, and what else changes its tables.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _};
use tessera_ledger::event::{ChainHash, Event, Position};
use tessera_ledger::{chain, wire};
use tessera_types::Epoch;

use super::{Log, signed};
use crate::entities::{log_event, log_fact, log_head};
use crate::error::StoreError;
use crate::transaction::Committed;

/// Rows of one INSERT: SQLite binds at most 32766 values in a statement.
const ROWS: usize = 1000;

/// Appends events, of which there is at least one, at the end of a transaction.
///
/// Taking the head's row comes first and holds everybody else off until this transaction ends, so revisions follow the order
/// of the commits and a rollback leaves no gap. (A sequence would do neither.) Callers do it late, so that the row is not held
/// while they work.
pub(crate) async fn append(transaction: &DatabaseTransaction, events: &[Event]) -> Result<Committed, StoreError> {
    let before = claim(transaction, events.len()).await?;
    let mut position = before;
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let payload = wire::encode_event(event);
        position.revision += 1;
        position.hash = chain::next(&position.hash, position.revision, &payload);
        rows.push(row(&position, payload)?);
    }
    insert_facts(transaction, events, &rows).await?;
    insert_events(transaction, rows).await?;
    set_hash(transaction, &position.hash).await?;
    let first = before.revision + 1;
    Ok(Committed { position, first: Some(first), recorded: (first..=position.revision).collect() })
}

/// Raises the head, locks it, and tells where it stood.
async fn claim(transaction: &DatabaseTransaction, count: usize) -> Result<Position, StoreError> {
    let count = i64::try_from(count).map_err(|error| StoreError::Refused(Box::new(error)))?;
    let raised = log_head::Entity::update_many()
        .col_expr(log_head::Column::Revision, Expr::col(log_head::Column::Revision).add(count))
        .filter(log_head::Column::Id.eq(log_head::ROW))
        .exec_with_returning(transaction)
        .await?;
    let mut head = raised.into_iter().next().ok_or(StoreError::NotPrepared(None))?;
    head.revision -= count;
    Position::try_from(&head)
}

fn row(position: &Position, payload: Vec<u8>) -> Result<log_event::Model, StoreError> {
    Ok(log_event::Model {
        revision: signed(position.revision)?,
        epoch: position.epoch.0.cast_signed(),
        payload,
        hash: position.hash.to_vec(),
    })
}

async fn insert_events(transaction: &DatabaseTransaction, rows: Vec<log_event::Model>) -> Result<(), StoreError> {
    for chunk in rows.chunks(ROWS) {
        let rows = chunk.iter().cloned().map(log_event::ActiveModel::from);
        log_event::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Keeps the latest event about each thing. One statement must not touch a row twice, so of several events about one thing
/// only the last goes in.
async fn insert_facts(
    transaction: &DatabaseTransaction,
    events: &[Event],
    rows: &[log_event::Model],
) -> Result<(), StoreError> {
    let latest: BTreeMap<String, log_fact::ActiveModel> =
        events.iter().zip(rows).map(|(event, row)| (event.about(), fact(event, row))).collect();
    let latest: Vec<_> = latest.into_values().collect();
    for chunk in latest.chunks(ROWS) {
        let replace = OnConflict::column(log_fact::Column::About)
            .update_columns([log_fact::Column::Revision, log_fact::Column::Payload, log_fact::Column::ExpiresAt])
            .to_owned();
        let insert = log_fact::Entity::insert_many(chunk.iter().cloned()).on_conflict(replace);
        insert.exec_without_returning(transaction).await?;
    }
    Ok(())
}

fn fact(event: &Event, row: &log_event::Model) -> log_fact::ActiveModel {
    log_fact::ActiveModel {
        about: Set(event.about()),
        revision: Set(row.revision),
        payload: Set(row.payload.clone()),
        expires_at: Set(event.expires().map(|moment| moment.0)),
    }
}

async fn set_hash(transaction: &DatabaseTransaction, hash: &ChainHash) -> Result<(), StoreError> {
    log_head::Entity::update_many()
        .set(log_head::ActiveModel { hash: Set(hash.to_vec()), ..Default::default() })
        .filter(log_head::Column::Id.eq(log_head::ROW))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Gives the log another epoch, at the place where it stands: revisions and hashes go on.
pub(crate) async fn set_epoch(transaction: &DatabaseTransaction, epoch: Epoch) -> Result<(), StoreError> {
    let changed = log_head::Entity::update_many()
        .set(log_head::ActiveModel { epoch: Set(epoch.0.cast_signed()), ..Default::default() })
        .filter(log_head::Column::Id.eq(log_head::ROW))
        .exec(transaction)
        .await?;
    if changed.rows_affected == 1 { Ok(()) } else { Err(StoreError::NotPrepared(None)) }
}

/// Makes the head's row, unless it is there.
pub(crate) async fn make_head(transaction: &DatabaseTransaction, epoch: Epoch) -> Result<(), StoreError> {
    let head = log_head::ActiveModel {
        id: Set(log_head::ROW),
        epoch: Set(epoch.0.cast_signed()),
        revision: Set(0),
        hash: Set(ChainHash::default().to_vec()),
        compacted: Set(0),
    };
    log_head::Entity::insert(head)
        .on_conflict_do_nothing_on([log_head::Column::Id])
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// Deletes entries up to a revision, never beyond the head; says how many. The head's row comes last, so that nobody's append waits
/// for the deletion.
pub(crate) async fn compact(transaction: &DatabaseTransaction, through: u64) -> Result<u64, StoreError> {
    let head = Log::new(transaction.into()).head().await?.revision;
    let through = signed(Ord::min(through, head))?;
    let gone =
        log_event::Entity::delete_many().filter(log_event::Column::Revision.lte(through)).exec(transaction).await?;
    log_head::Entity::update_many()
        .set(log_head::ActiveModel { compacted: Set(through), ..Default::default() })
        .filter(log_head::Column::Compacted.lt(through))
        .exec(transaction)
        .await?;
    Ok(gone.rows_affected)
}
