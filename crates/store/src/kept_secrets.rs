//! Secrets that the issuer makes for itself and must have again after a restart, sealed.

use std::fmt;
use std::ops::Deref;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use tessera_types::Timestamp;

use crate::entities::kept_secret;
use crate::error::StoreError;
use crate::transaction::Transaction;

/// A secret as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptSecret {
    /// What it is for.
    pub name: String,
    /// The secret, encrypted under a key-encryption key.
    pub sealed: Vec<u8>,
    /// When it was first kept.
    pub created: Timestamp,
}

impl fmt::Debug for KeptSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads kept secrets.
pub struct KeptSecrets<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> KeptSecrets<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// Every one, by name.
    pub async fn list(&self) -> Result<Vec<KeptSecret>, StoreError> {
        let rows = kept_secret::Entity::find().order_by_asc(kept_secret::Column::Name).all(&self.source).await?;
        Ok(rows.into_iter().map(KeptSecret::from).collect())
    }
}

/// Reads and writes kept secrets.
pub struct KeptSecretWrites<'a> {
    reads: KeptSecrets<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for KeptSecretWrites<'a> {
    type Target = KeptSecrets<'a>;

    fn deref(&self) -> &KeptSecrets<'a> {
        &self.reads
    }
}

impl<'a> KeptSecretWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: KeptSecrets::new(transaction.inner().into()), transaction }
    }

    /// Adds a secret.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where there is one of the name.
    pub async fn insert(&self, secret: &KeptSecret) -> Result<(), StoreError> {
        let insert = kept_secret::Entity::insert(kept_secret::ActiveModel::from(secret));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Puts another sealing of a secret in the place of the one there is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where there is no such secret.
    pub async fn set_sealed(&self, name: &str, sealed: Vec<u8>) -> Result<(), StoreError> {
        let update = kept_secret::Entity::update_many()
            .set(kept_secret::ActiveModel { sealed: Set(sealed), ..Default::default() })
            .filter(kept_secret::Column::Name.eq(name));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
