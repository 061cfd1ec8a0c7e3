//! Families of refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14): one row for each, however often it was refreshed.

use std::ops::Deref;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _};
use tessera_types::{Audience, ClientId, GrantId, OpaqueHash, Revision, ScopeSet, Timestamp, TokenId, UserId};

use crate::entities::refresh_family;
use crate::error::StoreError;
use crate::transaction::Transaction;

/// A grant that can be refreshed. Of its tokens one is current; every one before it is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshFamily {
    /// The grant.
    pub grant: GrantId,
    /// The client it was given to.
    pub client: ClientId,
    /// The user it acts for.
    pub user: UserId,
    /// The scopes granted; a refresh may narrow its access token, never this.
    pub scopes: ScopeSet,
    /// The audience of its access tokens.
    pub audience: Audience,
    /// What the issuer had applied before it looked at password, session or code.
    pub rev: Revision,
    /// The number of the current token.
    pub generation: u32,
    /// The hash of the current token.
    pub current: OpaqueHash,
    /// Which tokens were spent a moment ago, and when.
    pub recent: Vec<Turn>,
    /// When it began.
    pub created: Timestamp,
    /// When it was refreshed last.
    pub used: Timestamp,
    /// When it ends unless it is refreshed before.
    pub expires: Timestamp,
    /// When it ends in any case.
    pub ends: Timestamp,
    /// The access token it gave last, where that is kept.
    pub last_access: Option<LastAccess>,
}

/// An access token that a refresh is to end with the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAccess {
    /// Its `jti`.
    pub token: TokenId,
    /// When it expires by itself.
    pub expires: Timestamp,
}

/// When a token was spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its number.
    pub generation: u32,
    /// When.
    pub at: Timestamp,
}

/// Reads families.
pub struct Families<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Families<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// A family.
    pub async fn find(&self, grant: GrantId) -> Result<Option<RefreshFamily>, StoreError> {
        let row = refresh_family::Entity::find_by_id(grant.to_string()).one(&self.source).await?;
        row.map(RefreshFamily::try_from).transpose()
    }
}

/// Reads and writes families.
pub struct FamilyWrites<'a> {
    reads: Families<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for FamilyWrites<'a> {
    type Target = Families<'a>;

    fn deref(&self) -> &Families<'a> {
        &self.reads
    }
}

impl<'a> FamilyWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Families::new(transaction.inner().into()), transaction }
    }

    /// Begins a family.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where the client or the user is gone.
    pub async fn insert(&self, family: &RefreshFamily) -> Result<(), StoreError> {
        let insert = refresh_family::Entity::insert(refresh_family::ActiveModel::from(family));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Puts the family's next token in the place of the one that was current; of several who spend that one at once one is told
    /// that it was.
    pub async fn rotate(&self, spent: OpaqueHash, next: &RefreshFamily) -> Result<bool, StoreError> {
        let update = refresh_family::Entity::update_many()
            .set(refresh_family::ActiveModel {
                generation: Set(next.generation.into()),
                current_hash: Set(next.current.to_string()),
                recent: Set(refresh_family::recent(&next.recent)),
                used: Set(next.used.0),
                expires: Set(next.expires.0),
                access_token: Set(next.last_access.map(|access| access.token.to_string())),
                access_expires: Set(next.last_access.map(|access| access.expires.0)),
                ..Default::default()
            })
            .filter(refresh_family::Column::GrantId.eq(next.grant.to_string()))
            .filter(refresh_family::Column::CurrentHash.eq(spent.to_string()));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Ends a family; says whether there was one.
    pub async fn delete(&self, grant: GrantId) -> Result<bool, StoreError> {
        let delete = refresh_family::Entity::delete_by_id(grant.to_string());
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Ends the families of a user, or only those with a client; says how many that were.
    pub async fn delete_of_user(&self, user: UserId, client: Option<&ClientId>) -> Result<u64, StoreError> {
        let mut delete =
            refresh_family::Entity::delete_many().filter(refresh_family::Column::UserId.eq(user.to_string()));
        if let Some(client) = client {
            delete = delete.filter(refresh_family::Column::ClientId.eq(client.as_str()));
        }
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected)
    }
}
