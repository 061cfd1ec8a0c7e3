use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::{Email, PasswordHash, Timestamp};

use crate::entities::words::optional;
use crate::error::{Cause, StoreError};
use crate::users::User;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub username: String,
    pub username_key: String,
    pub name: String,
    pub email: Option<String>,
    pub email_key: Option<String>,
    pub password: Option<String>,
    pub enabled: bool,
    pub created: i64,
    pub updated: i64,
    pub version: i64,
}

/// sea-orm wants one; it shows no hash.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for User {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("users", source))
    }
}

fn read(row: Model) -> Result<User, Cause> {
    Ok(User {
        id: row.id.parse()?,
        username: row.username.parse()?,
        name: row.name,
        email: optional(row.email.as_deref())?,
        password: optional(row.password.as_deref())?,
        enabled: row.enabled,
        created: Timestamp(row.created),
        updated: Timestamp(row.updated),
        version: row.version,
    })
}

/// The row of a user, at the version it says.
impl From<&User> for ActiveModel {
    fn from(user: &User) -> Self {
        Self {
            id: Set(user.id.to_string()),
            username: Set(user.username.to_string()),
            username_key: Set(user.username.key()),
            name: Set(user.name.clone()),
            email: Set(user.email.as_ref().map(ToString::to_string)),
            email_key: Set(user.email.as_ref().map(Email::key)),
            password: Set(user.password.as_ref().map(PasswordHash::to_stored)),
            enabled: Set(user.enabled),
            created: Set(user.created.0),
            updated: Set(user.updated.0),
            version: Set(user.version),
        }
    }
}
