use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_ledger::ReplicaId;
use tessera_types::Timestamp;

use crate::error::{Cause, StoreError};
use crate::holders::HolderRecord;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "holders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub replica_id: String,
    pub name: String,
    pub max_staleness_ms: i64,
    pub joined: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for HolderRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("holders", source))
    }
}

fn read(row: Model) -> Result<HolderRecord, Cause> {
    Ok(HolderRecord {
        replica: ReplicaId(u128::from_str_radix(&row.replica_id, 16)?.to_be_bytes()),
        name: row.name,
        max_staleness: Duration::from_millis(u64::try_from(row.max_staleness_ms)?),
        joined: Timestamp(row.joined),
    })
}

impl From<&HolderRecord> for ActiveModel {
    fn from(record: &HolderRecord) -> Self {
        Self {
            replica_id: Set(record.replica.to_string()),
            name: Set(record.name.replace('\0', "")),
            max_staleness_ms: Set(i64::try_from(record.max_staleness.as_millis()).unwrap_or(i64::MAX)),
            joined: Set(record.joined.0),
        }
    }
}
