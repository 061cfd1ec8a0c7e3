use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::Timestamp;

use crate::error::{Cause, StoreError};
use crate::scopes::ScopeRecord;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "scopes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub descriptions: String,
    pub reserved: bool,
    pub created: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for ScopeRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(&row).map_err(|source| StoreError::corrupt("scopes", source))
    }
}

fn read(row: &Model) -> Result<ScopeRecord, Cause> {
    Ok(ScopeRecord {
        name: row.name.parse()?,
        descriptions: serde_json::from_str(&row.descriptions)?,
        reserved: row.reserved,
        created: Timestamp(row.created),
    })
}

impl From<&ScopeRecord> for ActiveModel {
    fn from(scope: &ScopeRecord) -> Self {
        let descriptions = scope.descriptions.iter().map(|(language, text)| (language.clone(), text.clone().into()));
        Self {
            name: Set(scope.name.to_string()),
            descriptions: Set(serde_json::Value::Object(descriptions.collect()).to_string()),
            reserved: Set(scope.reserved),
            created: Set(scope.created.0),
        }
    }
}
