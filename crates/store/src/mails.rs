//! Mails that are to be sent: each written in the transaction of what it tells of, and deleted once it is sent.

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait as _, DatabaseConnection, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tessera_types::Timestamp;
use uuid::Uuid;

use crate::entities::mail;
use crate::error::{StoreError, storable};
use crate::transaction::Transaction;

/// A mail to the owner of a new client. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRecord {
    /// Its identifier, the same at each try.
    pub id: Uuid,
    /// When it was written.
    pub created: Timestamp,
    /// What its reader is called.
    pub owner: String,
    /// Their address, where they have one.
    pub address: Option<String>,
    /// The client's name.
    pub name: String,
    /// The client's identifier.
    pub client_id: String,
    /// The name of the organization it belongs to, or a dash.
    pub organization: String,
}

/// Takes mails and deletes them, each in a transaction of its own.
pub struct Mails<'a> {
    reader: &'a DatabaseConnection,
    writer: &'a DatabaseConnection,
}

impl<'a> Mails<'a> {
    pub(crate) fn new(reader: &'a DatabaseConnection, writer: &'a DatabaseConnection) -> Self {
        Self { reader, writer }
    }

    /// Takes mails that nobody has taken for longer than up to `free`, the oldest first and at most so many. Nobody else is to take
    /// them before `until`.
    pub async fn take(&self, free: Timestamp, until: Timestamp, limit: u64) -> Result<Vec<MailRecord>, StoreError> {
        let query = mail::Entity::find()
            .filter(mail::Column::TakenUntil.lte(free.0))
            .order_by_asc(mail::Column::Created)
            .order_by_asc(mail::Column::Id)
            .limit(limit);
        let mut taken = Vec::new();
        for row in query.all(self.reader).await? {
            let update = mail::Entity::update_many()
                .set(mail::ActiveModel { taken_until: Set(until.0), ..Default::default() })
                .filter(mail::Column::Id.eq(row.id.as_str()))
                // As it was read: somebody else may have taken it since.
                .filter(mail::Column::TakenUntil.eq(row.taken_until));
            if update.exec(self.writer).await?.rows_affected == 1 {
                taken.push(MailRecord::try_from(row)?);
            }
        }
        Ok(taken)
    }

    /// Deletes one that needs no further try; says whether it was there.
    pub async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let result = mail::Entity::delete_by_id(id.to_string()).exec(self.writer).await?;
        Ok(result.rows_affected == 1)
    }
}

/// Writes mails.
pub struct MailWrites<'a> {
    transaction: &'a Transaction,
}

impl<'a> MailWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { transaction }
    }

    /// Adds a mail that its writer means to send, and nobody else before `until`.
    pub async fn insert(&self, record: &MailRecord, until: Timestamp) -> Result<(), StoreError> {
        storable([record.owner.as_str(), &record.name, &record.organization])?;
        let insert = mail::Entity::insert(mail::row(record, until));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }
}
