use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::Timestamp;

use crate::error::{Cause, StoreError};
use crate::organizations::Organization;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    pub global: bool,
    pub enabled: bool,
    pub created: i64,
    pub updated: i64,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for Organization {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        read(row).map_err(|source| StoreError::corrupt("organizations", source))
    }
}

fn read(row: Model) -> Result<Organization, Cause> {
    Ok(Organization {
        id: row.id.parse()?,
        name: row.name,
        global: row.global,
        enabled: row.enabled,
        created: Timestamp(row.created),
        updated: Timestamp(row.updated),
        version: row.version,
    })
}

/// The row of an organization, at the version it says.
impl From<&Organization> for ActiveModel {
    fn from(organization: &Organization) -> Self {
        Self {
            id: Set(organization.id.to_string()),
            name: Set(organization.name.clone()),
            global: Set(organization.global),
            enabled: Set(organization.enabled),
            created: Set(organization.created.0),
            updated: Set(organization.updated.0),
            version: Set(organization.version),
        }
    }
}
