use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::{ScopeSet, Timestamp};

use crate::consents::Consent;
use crate::entities::words::{from_list, to_list};
use crate::error::{Cause, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "consents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    pub scopes: String,
    pub created: i64,
    pub updated: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Consent {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(&row).map_err(|source| StoreError::corrupt("consents", source))
    }
}

fn read(row: &Model) -> Result<Consent, Cause> {
    Ok(Consent {
        user: row.user_id.parse()?,
        client: row.client_id.parse()?,
        scopes: ScopeSet::from_iter(from_list(&row.scopes)?),
        created: Timestamp(row.created),
        updated: Timestamp(row.updated),
    })
}

impl From<&Consent> for ActiveModel {
    fn from(consent: &Consent) -> Self {
        Self {
            user_id: Set(consent.user.to_string()),
            client_id: Set(consent.client.to_string()),
            scopes: Set(to_list(&consent.scopes)),
            created: Set(consent.created.0),
            updated: Set(consent.updated.0),
        }
    }
}
