//! When somebody authenticated with a client's secret last: of two that live, it tells the one in use from one that nobody has kept.
//!
//! The version before goes on inserting, and writes nothing here: a secret that only it has seen in use counts as unused. Going down
//! loses when secrets were used.

use sea_orm_migration::prelude::*;

use crate::words::optional_number;

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum ClientSecrets {
    Table,
    LastUsed,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let used = optional_number(ClientSecrets::LastUsed);
        manager.alter_table(Table::alter().table(ClientSecrets::Table).add_column(used).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ClientSecrets::LastUsed;
        manager.alter_table(Table::alter().table(ClientSecrets::Table).drop_column(column).take()).await
    }
}
