//! Authorization requests that wait for a person, and the codes their decisions become (RFC 6749 section 4.1).

use std::ops::Deref;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _};
use tessera_types::{
    Audience, ClientId, CodeChallenge, GrantId, OpaqueHash, RedirectUri, Revision, ScopeSet, Timestamp, UserId,
};

use crate::entities::{authorization_code, authorization_request};
use crate::error::{StoreError, storable};
use crate::transaction::Transaction;

/// A request that waits for a person's decision: what they decide is this, not what their browser says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// The hash of what it is called by.
    pub token: OpaqueHash,
    /// The client that asks.
    pub client: ClientId,
    /// Where the answer goes, as the client asked, port included.
    pub redirect_uri: RedirectUri,
    /// Whether the client said so itself; then it must say so again with the code (RFC 6749 section 4.1.3).
    pub redirect_given: bool,
    /// The client's `state`, handed back unchanged.
    pub state: Option<String>,
    /// The scopes asked for.
    pub scopes: ScopeSet,
    /// The audience asked for.
    pub audience: Option<Audience>,
    /// The code challenge (RFC 7636).
    pub challenge: Option<CodeChallenge>,
    /// The languages asked for.
    pub locales: Option<String>,
    /// When it came.
    pub created: Timestamp,
    /// Until when it may be decided.
    pub expires: Timestamp,
}

/// What is kept of an authorization code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCodeRecord {
    /// The hash of the code.
    pub code: OpaqueHash,
    /// The grant that every token of it belongs to.
    pub grant: GrantId,
    /// The client it was given to.
    pub client: ClientId,
    /// The user who decided.
    pub user: UserId,
    /// The redirect URI that must come with it, where the request named one.
    pub redirect_uri: Option<String>,
    /// The scopes granted.
    pub scopes: ScopeSet,
    /// The audience asked for.
    pub audience: Option<Audience>,
    /// The challenge its verifier must meet.
    pub challenge: Option<CodeChallenge>,
    /// What the issuer had applied before it looked at session, client and consent.
    pub rev: Revision,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it may be redeemed.
    pub expires: Timestamp,
    /// When it was redeemed.
    pub redeemed: Option<Timestamp>,
}

/// Reads authorization requests and codes.
pub struct Authorizations<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Authorizations<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// A request that was not decided yet.
    pub async fn request(&self, token: OpaqueHash) -> Result<Option<AuthorizationRequest>, StoreError> {
        let row = authorization_request::Entity::find_by_id(token.to_string()).one(&self.source).await?;
        row.map(AuthorizationRequest::try_from).transpose()
    }

    /// A code, redeemed or not.
    pub async fn code(&self, code: OpaqueHash) -> Result<Option<AuthorizationCodeRecord>, StoreError> {
        let row = authorization_code::Entity::find_by_id(code.to_string()).one(&self.source).await?;
        row.map(AuthorizationCodeRecord::try_from).transpose()
    }
}

/// Reads and writes authorization requests and codes.
pub struct AuthorizationWrites<'a> {
    reads: Authorizations<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for AuthorizationWrites<'a> {
    type Target = Authorizations<'a>;

    fn deref(&self) -> &Authorizations<'a> {
        &self.reads
    }
}

impl<'a> AuthorizationWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Authorizations::new(transaction.inner().into()), transaction }
    }

    /// Keeps a request.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where the client is gone; [`StoreError::Refused`] where its texts cannot be stored.
    pub async fn insert_request(&self, request: &AuthorizationRequest) -> Result<(), StoreError> {
        storable(request.state.as_deref().into_iter().chain(request.locales.as_deref()))?;
        let insert = authorization_request::Entity::insert(authorization_request::ActiveModel::from(request));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Takes a request away, since it is decided; of several who decide at once one is told that it was there.
    pub async fn take_request(&self, token: OpaqueHash) -> Result<bool, StoreError> {
        let delete = authorization_request::Entity::delete_by_id(token.to_string());
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Keeps a code.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where the client or the user is gone.
    pub async fn insert_code(&self, code: &AuthorizationCodeRecord) -> Result<(), StoreError> {
        let insert = authorization_code::Entity::insert(authorization_code::ActiveModel::from(code));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Marks a code as redeemed; of several who redeem it at once one is told that it was not.
    pub async fn redeem(&self, code: OpaqueHash, now: Timestamp) -> Result<bool, StoreError> {
        let update = authorization_code::Entity::update_many()
            .set(authorization_code::ActiveModel { redeemed: Set(Some(now.0)), ..Default::default() })
            .filter(authorization_code::Column::CodeHash.eq(code.to_string()))
            .filter(authorization_code::Column::Redeemed.is_null());
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Forgets the codes a user has given a client that were not redeemed.
    pub async fn delete_codes(&self, user: UserId, client: &ClientId) -> Result<u64, StoreError> {
        let delete = authorization_code::Entity::delete_many()
            .filter(authorization_code::Column::UserId.eq(user.to_string()))
            .filter(authorization_code::Column::ClientId.eq(client.as_str()))
            .filter(authorization_code::Column::Redeemed.is_null());
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected)
    }
}
