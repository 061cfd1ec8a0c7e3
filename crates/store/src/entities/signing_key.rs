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
    pub since: Option<i64>,
    pub since_state: Option<String>,
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
    // Written for another state: a version that knows nothing of it has moved the key since.
    let known = row.since_state.as_ref() == Some(&row.state);
    Ok(SigningKeyRecord {
        key: row.key_id.parse()?,
        algorithm: row.algorithm.parse()?,
        state: row.state.parse()?,
        public_jwk: row.public_jwk,
        sealed_private: row.sealed_private,
        created: Timestamp(row.created),
        since: row.since.filter(|_| known).map(Timestamp),
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
            since: Set(record.since.map(|at| at.0)),
            since_state: Set(record.since.map(|_| record.state.to_string())),
        }
    }
}
