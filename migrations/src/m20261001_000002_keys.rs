//! Signing keys. The private part is sealed before it comes here.

use sea_orm_migration::prelude::*;

use crate::words::{bytes, key_text, number, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    KeyId,
    Algorithm,
    State,
    PublicJwk,
    SealedPrivate,
    Created,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let keys = Table::create()
            .table(SigningKeys::Table)
            .col(key_text(manager, SigningKeys::KeyId).primary_key())
            .col(text(SigningKeys::Algorithm))
            .col(text(SigningKeys::State))
            .col(text(SigningKeys::PublicJwk))
            .col(bytes(SigningKeys::SealedPrivate))
            .col(number(SigningKeys::Created))
            .take();
        manager.create_table(keys).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(SigningKeys::Table).take()).await
    }
}
