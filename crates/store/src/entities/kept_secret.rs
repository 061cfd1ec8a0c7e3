use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use tessera_types::Timestamp;

use crate::kept_secrets::KeptSecret;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kept_secrets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub sealed: Vec<u8>,
    pub created: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for KeptSecret {
    fn from(row: Model) -> Self {
        Self { name: row.name, sealed: row.sealed, created: Timestamp(row.created) }
    }
}

impl From<&KeptSecret> for ActiveModel {
    fn from(secret: &KeptSecret) -> Self {
        Self { name: Set(secret.name.clone()), sealed: Set(secret.sealed.clone()), created: Set(secret.created.0) }
    }
}
