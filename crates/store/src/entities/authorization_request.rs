use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::{ScopeSet, Timestamp};

use crate::authorizations::AuthorizationRequest;
use crate::entities::words::{from_list, optional, to_list};
use crate::error::{Cause, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "authorization_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_hash: String,
    pub client_id: String,
    pub redirect_uri: String,
    pub redirect_given: bool,
    pub state: Option<String>,
    pub scopes: String,
    pub audience: Option<String>,
    pub challenge: Option<String>,
    pub locales: Option<String>,
    pub created: i64,
    pub expires: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for AuthorizationRequest {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("authorization_requests", source))
    }
}

fn read(row: Model) -> Result<AuthorizationRequest, Cause> {
    Ok(AuthorizationRequest {
        token: row.token_hash.parse()?,
        client: row.client_id.parse()?,
        redirect_uri: row.redirect_uri.parse()?,
        redirect_given: row.redirect_given,
        state: row.state,
        scopes: ScopeSet::from_iter(from_list(&row.scopes)?),
        audience: optional(row.audience.as_deref())?,
        challenge: optional(row.challenge.as_deref())?,
        locales: row.locales,
        created: Timestamp(row.created),
        expires: Timestamp(row.expires),
    })
}

impl From<&AuthorizationRequest> for ActiveModel {
    fn from(request: &AuthorizationRequest) -> Self {
        Self {
            token_hash: Set(request.token.to_string()),
            client_id: Set(request.client.to_string()),
            redirect_uri: Set(request.redirect_uri.to_string()),
            redirect_given: Set(request.redirect_given),
            state: Set(request.state.clone()),
            scopes: Set(to_list(&request.scopes)),
            audience: Set(request.audience.as_ref().map(ToString::to_string)),
            challenge: Set(request.challenge.as_ref().map(ToString::to_string)),
            locales: Set(request.locales.clone()),
            created: Set(request.created.0),
            expires: Set(request.expires.0),
        }
    }
}
