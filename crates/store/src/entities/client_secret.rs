use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::{ClientId, Timestamp};

use crate::clients::StoredSecret;
use crate::error::StoreError;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "client_secrets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub client_id: String,
    pub hash: String,
    pub created: i64,
    pub expires: Option<i64>,
    pub generated: bool,
    pub last_used: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for StoredSecret {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            hash: row.hash.parse().map_err(|source| StoreError::corrupt("client_secrets", Box::new(source)))?,
            created: Timestamp(row.created),
            expires: row.expires.map(Timestamp),
            generated: row.generated,
            last_used: row.last_used.map(Timestamp),
        })
    }
}

/// The row of a client's secret.
pub fn row(client: &ClientId, secret: &StoredSecret) -> ActiveModel {
    ActiveModel {
        id: Set(secret.id),
        client_id: Set(client.to_string()),
        hash: Set(secret.hash.to_stored()),
        created: Set(secret.created.0),
        expires: Set(secret.expires.map(|moment| moment.0)),
        generated: Set(secret.generated),
        last_used: Set(secret.last_used.map(|moment| moment.0)),
    }
}
