//! Registered scopes.

use std::collections::BTreeMap;
use std::ops::Deref;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tessera_types::{Scope, ScopeSet, Timestamp};

use crate::entities::scope;
use crate::error::{StoreError, storable};
use crate::transaction::Transaction;

/// A scope as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRecord {
    /// The scope.
    pub name: Scope,
    /// What it allows, in plain words, by language (`en`, `fr`).
    pub descriptions: BTreeMap<String, String>,
    /// Whether the server itself gives it a meaning.
    pub reserved: bool,
    /// When it was registered.
    pub created: Timestamp,
}

/// How many are asked for in one query: databases bound the parameters of a statement.
const AT_ONCE: usize = 500;

/// Reads scopes.
pub struct Scopes<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Scopes<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// A scope.
    pub async fn find(&self, name: &Scope) -> Result<Option<ScopeRecord>, StoreError> {
        let row = scope::Entity::find_by_id(name.as_str()).one(&self.source).await?;
        row.map(ScopeRecord::try_from).transpose()
    }

    /// Those of a set that are registered, in no order.
    pub async fn find_all(&self, names: &ScopeSet) -> Result<Vec<ScopeRecord>, StoreError> {
        let names: Vec<&str> = names.iter().map(Scope::as_str).collect();
        let mut found = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            let query = scope::Entity::find().filter(scope::Column::Name.is_in(some.iter().copied()));
            found.extend(query.all(&self.source).await?);
        }
        found.into_iter().map(ScopeRecord::try_from).collect()
    }

    /// Those of a set that are not registered.
    pub async fn unregistered(&self, names: &ScopeSet) -> Result<ScopeSet, StoreError> {
        let registered: ScopeSet = self.find_all(names).await?.into_iter().map(|record| record.name).collect();
        Ok(names.iter().filter(|name| !registered.contains(name.as_str())).cloned().collect())
    }

    /// Scopes ordered by name, byte by byte: at most `limit` of those after `after`.
    pub async fn list(&self, after: Option<&Scope>, limit: u64) -> Result<Vec<ScopeRecord>, StoreError> {
        let mut query = scope::Entity::find().order_by_asc(scope::Column::Name).limit(limit);
        if let Some(after) = after {
            query = query.filter(scope::Column::Name.gt(after.as_str()));
        }
        query.all(&self.source).await?.into_iter().map(ScopeRecord::try_from).collect()
    }
}

/// Reads and writes scopes.
pub struct ScopeWrites<'a> {
    reads: Scopes<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for ScopeWrites<'a> {
    type Target = Scopes<'a>;

    fn deref(&self) -> &Scopes<'a> {
        &self.reads
    }
}

impl<'a> ScopeWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Scopes::new(transaction.inner().into()), transaction }
    }

    /// Registers a scope.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where it is registered.
    pub async fn insert(&self, scope: &ScopeRecord) -> Result<(), StoreError> {
        storable(scope.descriptions.iter().flat_map(|(language, text)| [language.as_str(), text]))?;
        let insert = scope::Entity::insert(scope::ActiveModel::from(scope));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Changes a scope's descriptions.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it is not registered any more.
    pub async fn update(&self, scope: &ScopeRecord) -> Result<(), StoreError> {
        storable(scope.descriptions.iter().flat_map(|(language, text)| [language.as_str(), text]))?;
        let row = scope::ActiveModel { name: NotSet, created: NotSet, reserved: Set(scope.reserved), ..scope.into() };
        let update = scope::Entity::update_many().set(row).filter(scope::Column::Name.eq(scope.name.as_str()));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// Deletes a scope; says whether there was one.
    pub async fn delete(&self, name: &Scope) -> Result<bool, StoreError> {
        let delete = scope::Entity::delete_by_id(name.as_str());
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }
}
