//! People's sessions at the issuer.

use std::ops::Deref;

use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait as _, DatabaseExecutor, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tessera_types::{OpaqueHash, Revision, Timestamp, UserId};
use uuid::Uuid;

use crate::entities::session;
use crate::error::{StoreError, storable};
use crate::transaction::Transaction;

/// The most sessions of one user that are listed.
const MOST_LISTED: u64 = 100;

/// The most sessions that are ended at once because there are too many: further ones are next time's.
const MOST_ENDED: u64 = 1000;

/// A person's session in one browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What it is called by where it is listed; opens nothing.
    pub id: Uuid,
    /// The hash of what opens it.
    pub token: OpaqueHash,
    /// Whose it is.
    pub user: UserId,
    /// What the issuer had applied before it looked at the password.
    pub rev: Revision,
    /// When it began.
    pub created: Timestamp,
    /// When it was used last, more or less.
    pub seen: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// What the browser calls itself, for its owner to recognise it by.
    pub agent: String,
    /// Where from, for its owner to recognise it by.
    pub address: String,
}

/// Reads sessions.
pub struct Sessions<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Sessions<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// The session that a token opens.
    pub async fn find(&self, token: OpaqueHash) -> Result<Option<Session>, StoreError> {
        let query = session::Entity::find().filter(session::Column::TokenHash.eq(token.to_string()));
        query.one(&self.source).await?.map(Session::try_from).transpose()
    }

    /// A user's sessions that have not ended, the last used first.
    pub async fn of_user(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let query = session::Entity::find()
            .filter(session::Column::UserId.eq(user.to_string()))
            .filter(session::Column::Expires.gt(now.0))
            .order_by_desc(session::Column::Seen)
            .order_by_asc(session::Column::Id)
            .limit(MOST_LISTED);
        query.all(&self.source).await?.into_iter().map(Session::try_from).collect()
    }
}

/// Reads and writes sessions.
pub struct SessionWrites<'a> {
    reads: Sessions<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for SessionWrites<'a> {
    type Target = Sessions<'a>;

    fn deref(&self) -> &Sessions<'a> {
        &self.reads
    }
}

impl<'a> SessionWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Sessions::new(transaction.inner().into()), transaction }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is no such user.
    pub async fn insert(&self, session: &Session) -> Result<(), StoreError> {
        storable([session.agent.as_str(), &session.address])?;
        let insert = session::Entity::insert(session::ActiveModel::from(session));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Keeps when it was used, and its new end.
    pub async fn touch(&self, session: &Session) -> Result<(), StoreError> {
        let update = session::Entity::update_many()
            .set(session::ActiveModel {
                seen: Set(session.seen.0),
                expires: Set(session.expires.0),
                ..Default::default()
            })
            .filter(session::Column::Id.eq(session.id.to_string()));
        update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Ends a session of a user; says whether there was one.
    pub async fn delete(&self, user: UserId, id: Uuid) -> Result<bool, StoreError> {
        let delete = session::Entity::delete_many()
            .filter(session::Column::UserId.eq(user.to_string()))
            .filter(session::Column::Id.eq(id.to_string()));
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Ends a user's sessions but for so many, those not used for longest first; says how many that were.
    pub async fn delete_oldest(&self, user: UserId, keep: u64) -> Result<u64, StoreError> {
        let transaction = self.transaction.inner();
        let surplus = session::Entity::find()
            .select_only()
            .column(session::Column::Id)
            .filter(session::Column::UserId.eq(user.to_string()))
            .order_by_desc(session::Column::Seen)
            .order_by_asc(session::Column::Id)
            .offset(keep)
            .limit(MOST_ENDED);
        let surplus: Vec<String> = surplus.into_tuple().all(transaction).await?;
        if surplus.is_empty() {
            return Ok(0);
        }
        let delete = session::Entity::delete_many().filter(session::Column::Id.is_in(surplus));
        let result = delete.exec(transaction).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected)
    }

    /// Ends a user's sessions, but for the one given; says how many that were.
    pub async fn delete_of_user(&self, user: UserId, but: Option<Uuid>) -> Result<u64, StoreError> {
        let mut delete = session::Entity::delete_many().filter(session::Column::UserId.eq(user.to_string()));
        if let Some(but) = but {
            delete = delete.filter(session::Column::Id.ne(but.to_string()));
        }
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected)
    }
}
