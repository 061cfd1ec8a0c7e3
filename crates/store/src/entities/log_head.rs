use sea_orm::entity::prelude::*;
use tessera_ledger::event::Position;
use tessera_types::Epoch;

use crate::error::{Cause, StoreError};

/// The only row's id.
pub const ROW: i64 = 1;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_head")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub epoch: i64,
    pub revision: i64,
    pub hash: Vec<u8>,
    pub compacted: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<&Model> for Position {
    type Error = StoreError;

    fn try_from(row: &Model) -> Result<Self, StoreError> {
        let read = || -> Result<Self, Cause> {
            Ok(Self {
                epoch: Epoch(row.epoch.cast_unsigned()),
                revision: row.revision.try_into()?,
                hash: row.hash.as_slice().try_into()?,
            })
        };
        read().map_err(|source| StoreError::corrupt("log_head", source))
    }
}
