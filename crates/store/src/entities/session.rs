use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::Timestamp;

use crate::error::{Cause, StoreError};
use crate::sessions::Session;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub token_hash: String,
    pub user_id: String,
    pub rev: String,
    pub created: i64,
    pub seen: i64,
    pub expires: i64,
    pub agent: String,
    pub address: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Session {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("sessions", source))
    }
}

fn read(row: Model) -> Result<Session, Cause> {
    Ok(Session {
        id: row.id.parse()?,
        token: row.token_hash.parse()?,
        user: row.user_id.parse()?,
        rev: row.rev.parse()?,
        created: Timestamp(row.created),
        seen: Timestamp(row.seen),
        expires: Timestamp(row.expires),
        agent: row.agent,
        address: row.address,
    })
}

impl From<&Session> for ActiveModel {
    fn from(session: &Session) -> Self {
        Self {
            id: Set(session.id.to_string()),
            token_hash: Set(session.token.to_string()),
            user_id: Set(session.user.to_string()),
            rev: Set(session.rev.to_string()),
            created: Set(session.created.0),
            seen: Set(session.seen.0),
            expires: Set(session.expires.0),
            agent: Set(session.agent.clone()),
            address: Set(session.address.clone()),
        }
    }
}
