//! Users.

use std::ops::Deref;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseExecutor, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use tessera_types::{Email, LoginKey, PasswordHash, Timestamp, UserId, Username};

use crate::clients::containing;
use crate::entities::user;
use crate::error::{StoreError, storable};
use crate::transaction::Transaction;

/// A user as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The identifier, which never changes and is never used again.
    pub id: UserId,
    /// What the user signs in with; no two users' names have the same key.
    pub username: Username,
    /// What people call them; may be empty.
    pub name: String,
    /// Where they get mail; no two users share one.
    pub email: Option<Email>,
    /// The hash of their password; without one they cannot sign in with a password.
    pub password: Option<PasswordHash>,
    /// Whether they may sign in, and their tokens be active.
    pub enabled: bool,
    /// When they were registered.
    pub created: Timestamp,
    /// When they were changed last.
    pub updated: Timestamp,
    /// Rises with each update; an update says which version it changes.
    pub version: i64,
}

/// Which users to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Those whose username, name or e-mail address contains this; the case of ASCII letters does not matter.
    pub contains: Option<String>,
    /// Those that are enabled, or are not.
    pub enabled: Option<bool>,
}

/// Reads users.
pub struct Users<'a> {
    source: DatabaseExecutor<'a>,
}

impl<'a> Users<'a> {
    pub(crate) fn new(source: DatabaseExecutor<'a>) -> Self {
        Self { source }
    }

    /// A user.
    pub async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = user::Entity::find_by_id(id.to_string()).one(&self.source).await?;
        row.map(User::try_from).transpose()
    }

    /// The user whom somebody means.
    pub async fn find_by_login(&self, key: &LoginKey) -> Result<Option<User>, StoreError> {
        let (column, key) = match key {
            LoginKey::Username(key) => (user::Column::UsernameKey, key),
            LoginKey::Email(key) => (user::Column::EmailKey, key),
        };
        // What the database cannot hold is nobody's.
        if storable([key.as_str()]).is_err() {
            return Ok(None);
        }
        let row = user::Entity::find().filter(column.eq(key.as_str())).one(&self.source).await?;
        row.map(User::try_from).transpose()
    }

    /// Users ordered by id: at most `limit` of those after `after`.
    pub async fn list(&self, filter: &UserFilter, after: Option<UserId>, limit: u64) -> Result<Vec<User>, StoreError> {
        let mut query = user::Entity::find().order_by_asc(user::Column::Id).limit(limit);
        if let Some(after) = after {
            query = query.filter(user::Column::Id.gt(after.to_string()));
        }
        if let Some(enabled) = filter.enabled {
            query = query.filter(user::Column::Enabled.eq(enabled));
        }
        if let Some(part) = &filter.contains {
            storable([part.as_str()])?;
            let like = |column| Expr::expr(Func::lower(Expr::col(column))).like(containing(part));
            let columns = [user::Column::Username, user::Column::Name, user::Column::Email];
            query = query.filter(columns.into_iter().fold(Condition::any(), |any, column| any.add(like(column))));
        }
        query.all(&self.source).await?.into_iter().map(User::try_from).collect()
    }
}

/// Reads and writes users.
pub struct UserWrites<'a> {
    reads: Users<'a>,
    transaction: &'a Transaction,
}

impl<'a> Deref for UserWrites<'a> {
    type Target = Users<'a>;

    fn deref(&self) -> &Users<'a> {
        &self.reads
    }
}

impl<'a> UserWrites<'a> {
    pub(crate) fn new(transaction: &'a Transaction) -> Self {
        Self { reads: Users::new(transaction.inner().into()), transaction }
    }

    /// Registers a user.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where the username or the e-mail address is another user's.
    pub async fn insert(&self, user: &User) -> Result<(), StoreError> {
        storable([user.username.as_str(), &user.name])?;
        let insert = user::Entity::insert(user::ActiveModel::from(user));
        insert.exec_without_returning(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(())
    }

    /// Changes a user who is at the version given, and returns the new version. Neither the id nor when it was created changes.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where they are at another version or gone; [`StoreError::Taken`] as with
    /// [`insert`](Self::insert).
    pub async fn update(&self, user: &User) -> Result<i64, StoreError> {
        storable([user.username.as_str(), &user.name])?;
        let version = user.version + 1;
        let row = user::ActiveModel { id: NotSet, created: NotSet, version: Set(version), ..user.into() };
        let update = user::Entity::update_many()
            .set(row)
            .filter(user::Column::Id.eq(user.id.to_string()))
            .filter(user::Column::Version.eq(user.version));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        if result.rows_affected == 1 { Ok(version) } else { Err(StoreError::Conflict) }
    }

    /// Replaces the hash of a password by a better one of the same password; says whether it was still that one.
    pub async fn upgrade_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let update = user::Entity::update_many()
            .set(user::ActiveModel { password: Set(Some(new.to_stored())), ..Default::default() })
            .filter(user::Column::Id.eq(id.to_string()))
            .filter(user::Column::Password.eq(old.to_stored()));
        let result = update.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }

    /// Deletes a user with everything that is theirs; says whether there was one.
    pub async fn delete(&self, id: UserId) -> Result<bool, StoreError> {
        let delete = user::Entity::delete_by_id(id.to_string());
        let result = delete.exec(self.transaction.inner()).await.map_err(|error| self.transaction.fail(error))?;
        Ok(result.rows_affected == 1)
    }
}
