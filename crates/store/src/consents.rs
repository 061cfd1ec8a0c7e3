//! What users allowed clients (RFC 6749 section 4.1.1, step B).

use std::ops::Deref;

use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ColumnTrait as _, DatabaseExecutor, EntityTrait as _, JoinType, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, RelationDef,
};
use tessera_types::{ClientId, ScopeSet, Timestamp, UserId};

use crate::clients::Client;
use crate::entities::{client, consent};
use crate::error::StoreError;
use crate::transaction::Transaction;

/// What a user allowed a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The user.
    pub user: UserId,
    /// The client.
    pub client: ClientId,
    /// The scopes.
    pub scopes: ScopeSet,
    /// When they first allowed it anything.
    pub created: Timestamp,
    /// When they last allowed it something.
    pub updated: Timestamp,
}

/// Reads consents.
pub struct Consents<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Consents<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// What a user allowed a client.
    pub async fn find(&self, user: UserId, client: &ClientId) -> Result<Option<Consent>, StoreError> {
        let row = consent::Entity::find_by_id((user.to_string(), client.to_string())).one(&self.source).await?;
        row.map(Consent::try_from).transpose()
    }

    /// Everything a user allowed, by client.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<Consent>, StoreError> {
        let query = consent::Entity::find()
            .filter(consent::Column::UserId.eq(user.to_string()))
            .order_by_asc(consent::Column::ClientId);
        query.all(&self.source).await?.into_iter().map(Consent::try_from).collect()
    }

    /// As [`of_user`](Self::of_user), with the clients.
    pub async fn with_clients(&self, user: UserId) -> Result<Vec<(Consent, Client)>, StoreError> {
        let query = consent::Entity::find()
            .join(JoinType::InnerJoin, client_of())
            .select_also(client::Entity)
            .filter(consent::Column::UserId.eq(user.to_string()))
            .order_by_asc(consent::Column::ClientId);
        let rows = query.all(&self.source).await?.into_iter();
        let pairs = rows.filter_map(|(consent, client)| client.map(|client| (consent, client)));
        pairs.map(|(consent, client)| Ok((consent.try_into()?, client.try_into()?))).collect()
    }
}

/// From a consent to its client.
fn client_of() -> RelationDef {
    consent::Entity::belongs_to(client::Entity).from(consent::Column::ClientId).to(client::Column::Id).into()
}

/// Reads and writes consents.
pub struct ConsentWrites<'a> {
    reads: Consents<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for ConsentWrites<'a> {
    type Target = Consents<'a>;

    fn deref(&self) -> &Consents<'a> {
        &self.reads
    }
}

impl<'a> ConsentWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Consents::new(transaction.inner().into()), transaction }
    }

    /// What a user allowed a client. It stays so until this transaction ends; where there is nothing, it may still come.
    pub async fn find_locked(&self, user: UserId, client: &ClientId) -> Result<Option<Consent>, StoreError> {
        // SQLite has one writer, and its statements know no lock.
        let query = consent::Entity::find_by_id((user.to_string(), client.to_string())).lock(LockType::Update);
        let row = query.one(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        row.map(Consent::try_from).transpose()
    }

    /// Keeps what a user allows a client now, in the place of what they allowed it before.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where the user or the client is gone.
    pub async fn keep(&self, consent: &Consent) -> Result<(), StoreError> {
        let again = OnConflict::columns([consent::Column::UserId, consent::Column::ClientId])
            .update_columns([consent::Column::Scopes, consent::Column::Updated])
            .to_owned();
        let insert = consent::Entity::insert(consent::ActiveModel::from(consent)).on_conflict(again);
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Forgets what a user allowed a client; says whether there was anything.
    pub async fn delete(&self, user: UserId, client: &ClientId) -> Result<bool, StoreError> {
        let delete = consent::Entity::delete_by_id((user.to_string(), client.to_string()));
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }
}
