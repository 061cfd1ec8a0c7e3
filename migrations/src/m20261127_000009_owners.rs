//! Owners who manage their own applications: whether it was the owner who disabled one, since only then they may enable it again.
//!
//! The version before goes on inserting: the flag has a default. It enables and disables without looking at the flag, so an
//! application that an owner had disabled and that version disables again can be enabled by its owner.

use sea_orm_migration::prelude::*;

use crate::words::flag;

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Clients {
    Table,
    OwnerDisabled,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let disabled = flag(Clients::OwnerDisabled).default(false).take();
        manager.alter_table(Table::alter().table(Clients::Table).add_column(disabled).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(Clients::Table).drop_column(Clients::OwnerDisabled).take()).await
    }
}
