use sea_orm::entity::prelude::*;
use tessera_ledger::event::Entry;
use tessera_ledger::wire;

use crate::error::{Cause, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    pub epoch: i64,
    pub payload: Vec<u8>,
    pub hash: Vec<u8>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Entry {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let read = || -> Result<Self, Cause> {
            Ok(Self {
                revision: row.revision.try_into()?,
                hash: row.hash.as_slice().try_into()?,
                event: wire::decode_event(&row.payload)?,
            })
        };
        read().map_err(|source| StoreError::corrupt("log_events", source))
    }
}
