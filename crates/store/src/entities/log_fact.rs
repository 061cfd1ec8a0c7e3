use sea_orm::entity::prelude::*;
use tessera_ledger::event::Fact;
use tessera_ledger::wire;

use crate::error::{Cause, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "log_facts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub about: String,
    pub revision: i64,
    pub payload: Vec<u8>,
    pub expires_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Fact {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let read = || -> Result<Self, Cause> {
            Ok(Self { revision: row.revision.try_into()?, event: wire::decode_event(&row.payload)? })
        };
        read().map_err(|source| StoreError::corrupt("log_facts", source))
    }
}
