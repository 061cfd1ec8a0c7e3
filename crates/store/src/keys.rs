//! Signing keys, with their private part sealed.

use std::fmt;
use std::ops::Deref;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use tessera_types::{Algorithm, KeyId, KeyState, Timestamp};

use crate::entities::signing_key;
use crate::error::StoreError;
use crate::transaction::Transaction;

/// A signing key as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// The key.
    pub key: KeyId,
    /// The only algorithm it is used with.
    pub algorithm: Algorithm,
    /// Where it stands.
    pub state: KeyState,
    /// The public key as a JWK (RFC 7517), JSON.
    pub public_jwk: String,
    /// The private key, encrypted under a key-encryption key. Empty once the key is retired.
    pub sealed_private: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
    /// Since when it is in its state, where that is known.
    pub since: Option<Timestamp>,
}

impl fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeyRecord")
            .field("key", &self.key)
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Reads signing keys.
pub struct Keys<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// A key.
    pub async fn find(&self, key: &KeyId) -> Result<Option<SigningKeyRecord>, StoreError> {
        let row = signing_key::Entity::find_by_id(key.as_str()).one(&self.source).await?;
        row.map(SigningKeyRecord::try_from).transpose()
    }

    /// Every key, the oldest first.
    pub async fn list(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        let query = signing_key::Entity::find()
            .order_by_asc(signing_key::Column::Created)
            .order_by_asc(signing_key::Column::KeyId);
        query.all(&self.source).await?.into_iter().map(SigningKeyRecord::try_from).collect()
    }
}

/// Reads and writes signing keys.
pub struct KeyWrites<'a> {
    reads: Keys<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for KeyWrites<'a> {
    type Target = Keys<'a>;

    fn deref(&self) -> &Keys<'a> {
        &self.reads
    }
}

impl<'a> KeyWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Keys::new(transaction.inner().into()), transaction }
    }

    /// Adds a key.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where it is there.
    pub async fn insert(&self, key: &SigningKeyRecord) -> Result<(), StoreError> {
        let insert = signing_key::Entity::insert(signing_key::ActiveModel::from(key));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Puts another JWK of a key in the place of the one that was published.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the key is not there.
    pub async fn set_public_jwk(&self, key: &KeyId, public_jwk: &str) -> Result<(), StoreError> {
        let update = signing_key::Entity::update_many()
            .set(signing_key::ActiveModel { public_jwk: Set(public_jwk.to_owned()), ..Default::default() })
            .filter(signing_key::Column::KeyId.eq(key.as_str()));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// Moves a key from one state to another, or into its own again where only the moment is to be kept.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it is not in the state it is moved from.
    pub async fn set_state(
        &self,
        key: &KeyId,
        from: KeyState,
        to: KeyState,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        let to = signing_key::ActiveModel {
            state: Set(to.to_string()),
            since: Set(Some(since.0)),
            since_state: Set(Some(to.to_string())),
            ..Default::default()
        };
        let update = signing_key::Entity::update_many()
            .set(to)
            .filter(signing_key::Column::KeyId.eq(key.as_str()))
            .filter(signing_key::Column::State.eq(from.as_str()));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// Puts another sealing of a key's private half in the place of the one there is; an empty one takes it away.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the key is not there.
    pub async fn set_sealed(&self, key: &KeyId, sealed_private: Vec<u8>) -> Result<(), StoreError> {
        let update = signing_key::Entity::update_many()
            .set(signing_key::ActiveModel { sealed_private: Set(sealed_private), ..Default::default() })
            .filter(signing_key::Column::KeyId.eq(key.as_str()));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
