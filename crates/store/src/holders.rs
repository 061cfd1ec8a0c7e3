//! Introspectors that may still answer checks, kept so that a restarted issuer knows whom it has to wait for.

use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseConnection, DatabaseTransaction, EntityTrait as _};
use tessera_ledger::ReplicaId;
use tessera_types::Timestamp;

use crate::entities::holder;
use crate::error::StoreError;

/// An introspector's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderRecord {
    /// The process.
    pub replica: ReplicaId,
    /// Its name.
    pub name: String,
    /// How long it goes on answering when it hears nothing.
    pub max_staleness: Duration,
    /// When it joined last.
    pub joined: Timestamp,
}

/// Puts one record in the place of all.
pub(crate) async fn replace(transaction: &DatabaseTransaction, record: &HolderRecord) -> Result<(), StoreError> {
    holder::Entity::delete_many().exec(transaction).await?;
    holder::Entity::insert(holder::ActiveModel::from(record)).exec_without_returning(transaction).await?;
    Ok(())
}

/// Reads and writes holders, each in a transaction of its own.
pub struct Holders<'a> {
    reader: &'a DatabaseConnection,
    writer: &'a DatabaseConnection,
}

impl<'a> Holders<'a> {
    pub(crate) fn new(reader: &'a DatabaseConnection, writer: &'a DatabaseConnection) -> Self {
        Self { reader, writer }
    }

    /// Every one.
    pub async fn list(&self) -> Result<Vec<HolderRecord>, StoreError> {
        let rows = holder::Entity::find().all(self.reader).await?;
        rows.into_iter().map(HolderRecord::try_from).collect()
    }

    /// Keeps one that joined; durable when this returns.
    pub async fn keep(&self, record: &HolderRecord) -> Result<(), StoreError> {
        let again = OnConflict::column(holder::Column::ReplicaId)
            .update_columns([holder::Column::Name, holder::Column::MaxStalenessMs, holder::Column::Joined])
            .to_owned();
        let insert = holder::Entity::insert(holder::ActiveModel::from(record)).on_conflict(again);
        insert.exec_without_returning(self.writer).await?;
        Ok(())
    }

    /// Forgets one that answers no more checks.
    pub async fn forget(&self, replica: ReplicaId) -> Result<(), StoreError> {
        holder::Entity::delete_by_id(replica.to_string()).exec(self.writer).await?;
        Ok(())
    }
}
