use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::{ScopeSet, Timestamp};

use crate::entities::words::{from_list, optional, to_list};
use crate::error::{Cause, StoreError};
use crate::families::{LastAccess, RefreshFamily, Turn};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_families")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub grant_id: String,
    pub client_id: String,
    pub user_id: String,
    pub scopes: String,
    pub audience: String,
    pub rev: String,
    pub generation: i64,
    pub current_hash: String,
    pub recent: String,
    pub created: i64,
    pub used: i64,
    pub expires: i64,
    pub ends: i64,
    pub access_token: Option<String>,
    pub access_expires: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for RefreshFamily {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(&row).map_err(|source| StoreError::corrupt("refresh_families", source))
    }
}

fn read(row: &Model) -> Result<RefreshFamily, Cause> {
    let recent: Vec<(u32, i64)> = serde_json::from_str(&row.recent)?;
    Ok(RefreshFamily {
        grant: row.grant_id.parse()?,
        client: row.client_id.parse()?,
        user: row.user_id.parse()?,
        scopes: ScopeSet::from_iter(from_list(&row.scopes)?),
        audience: row.audience.parse()?,
        rev: row.rev.parse()?,
        generation: row.generation.try_into()?,
        current: row.current_hash.parse()?,
        recent: recent.into_iter().map(|(generation, at)| Turn { generation, at: Timestamp(at) }).collect(),
        created: Timestamp(row.created),
        used: Timestamp(row.used),
        expires: Timestamp(row.expires),
        ends: Timestamp(row.ends),
        last_access: optional(row.access_token.as_deref())?
            .zip(row.access_expires)
            .map(|(token, expires)| LastAccess { token, expires: Timestamp(expires) }),
    })
}

/// Turns as JSON.
pub fn recent(turns: &[Turn]) -> String {
    turns
        .iter()
        .map(|turn| serde_json::Value::Array(vec![turn.generation.into(), turn.at.0.into()]))
        .collect::<serde_json::Value>()
        .to_string()
}

impl From<&RefreshFamily> for ActiveModel {
    fn from(family: &RefreshFamily) -> Self {
        Self {
            grant_id: Set(family.grant.to_string()),
            client_id: Set(family.client.to_string()),
            user_id: Set(family.user.to_string()),
            scopes: Set(to_list(&family.scopes)),
            audience: Set(family.audience.to_string()),
            rev: Set(family.rev.to_string()),
            generation: Set(family.generation.into()),
            current_hash: Set(family.current.to_string()),
            recent: Set(recent(&family.recent)),
            created: Set(family.created.0),
            used: Set(family.used.0),
            expires: Set(family.expires.0),
            ends: Set(family.ends.0),
            access_token: Set(family.last_access.map(|access| access.token.to_string())),
            access_expires: Set(family.last_access.map(|access| access.expires.0)),
        }
    }
}
