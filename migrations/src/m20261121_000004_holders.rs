//! Introspectors that may still answer checks: what a restarted issuer must know before it calls a revocation done.

use sea_orm_migration::prelude::*;

use crate::words::{key_text, number, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Holders {
    Table,
    ReplicaId,
    Name,
    MaxStalenessMs,
    Joined,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let holders = Table::create()
            .table(Holders::Table)
            .col(key_text(manager, Holders::ReplicaId).primary_key())
            .col(text(Holders::Name))
            .col(number(Holders::MaxStalenessMs))
            .col(number(Holders::Joined))
            .take();
        manager.create_table(holders).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Holders::Table).take()).await
    }
}
