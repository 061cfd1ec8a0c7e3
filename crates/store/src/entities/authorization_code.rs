use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::{ScopeSet, Timestamp};

use crate::authorizations::AuthorizationCodeRecord;
use crate::entities::words::{from_list, optional, to_list};
use crate::error::{Cause, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_codes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub code_hash: String,
    pub grant_id: String,
    pub client_id: String,
    pub user_id: String,
    pub redirect_uri: Option<String>,
    pub scopes: String,
    pub audience: Option<String>,
    pub challenge: Option<String>,
    pub rev: String,
    pub created: i64,
    pub expires: i64,
    pub redeemed: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for AuthorizationCodeRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("authorization_codes", source))
    }
}

fn read(row: Model) -> Result<AuthorizationCodeRecord, Cause> {
    Ok(AuthorizationCodeRecord {
        code: row.code_hash.parse()?,
        grant: row.grant_id.parse()?,
        client: row.client_id.parse()?,
        user: row.user_id.parse()?,
        redirect_uri: row.redirect_uri,
        scopes: ScopeSet::from_iter(from_list(&row.scopes)?),
        audience: optional(row.audience.as_deref())?,
        challenge: optional(row.challenge.as_deref())?,
        rev: row.rev.parse()?,
        created: Timestamp(row.created),
        expires: Timestamp(row.expires),
        redeemed: row.redeemed.map(Timestamp),
    })
}

impl From<&AuthorizationCodeRecord> for ActiveModel {
    fn from(code: &AuthorizationCodeRecord) -> Self {
        Self {
            code_hash: Set(code.code.to_string()),
            grant_id: Set(code.grant.to_string()),
            client_id: Set(code.client.to_string()),
            user_id: Set(code.user.to_string()),
            redirect_uri: Set(code.redirect_uri.clone()),
            scopes: Set(to_list(&code.scopes)),
            audience: Set(code.audience.as_ref().map(ToString::to_string)),
            challenge: Set(code.challenge.as_ref().map(ToString::to_string)),
            rev: Set(code.rev.to_string()),
            created: Set(code.created.0),
            expires: Set(code.expires.0),
            redeemed: Set(code.redeemed.map(|moment| moment.0)),
        }
    }
}
