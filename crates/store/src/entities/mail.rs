use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::Timestamp;

use crate::error::StoreError;
use crate::mails::MailRecord;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mails")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub created: i64,
    pub taken_until: i64,
    pub owner: String,
    pub address: Option<String>,
    pub name: String,
    pub client_id: String,
    pub organization: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for MailRecord {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.parse().map_err(|source: uuid::Error| StoreError::corrupt("mails", source))?,
            created: Timestamp(row.created),
            owner: row.owner,
            address: row.address,
            name: row.name,
            client_id: row.client_id,
            organization: row.organization,
        })
    }
}

/// The row of a mail.
pub fn row(record: &MailRecord, until: Timestamp) -> ActiveModel {
    ActiveModel {
        id: Set(record.id.to_string()),
        created: Set(record.created.0),
        taken_until: Set(until.0),
        owner: Set(record.owner.clone()),
        address: Set(record.address.clone()),
        name: Set(record.name.clone()),
        client_id: Set(record.client_id.clone()),
        organization: Set(record.organization.clone()),
    }
}
