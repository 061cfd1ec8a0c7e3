use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::Timestamp;

use crate::error::{Cause, StoreError};
use crate::keys::SigningKeyRecord;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: String,
    pub algorithm: String,
    pub state: String,
    pub public_jwk: String,
    pub sealed_private: Vec<u8>,
    pub created: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for SigningKeyRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("signing_keys", source))
    }
}

fn read(row: Model) -> Result<SigningKeyRecord, Cause> {
    Ok(SigningKeyRecord {
        key: row.key_id.parse()?,
        algorithm: row.algorithm.parse()?,
        state: row.state.parse()?,
        public_jwk: row.public_jwk,
        sealed_private: row.sealed_private,
        created: Timestamp(row.created),
    })
}

impl From<&SigningKeyRecord> for ActiveModel {
    fn from(record: &SigningKeyRecord) -> Self {
        Self {
            key_id: Set(record.key.to_string()),
            algorithm: Set(record.algorithm.to_string()),
            state: Set(record.state.to_string()),
            public_jwk: Set(record.public_jwk.clone()),
            sealed_private: Set(record.sealed_private.clone()),
            created: Set(record.created.0),
        }
    }
}
