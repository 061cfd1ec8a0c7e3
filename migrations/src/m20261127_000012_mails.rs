//! Mails to owners of new clients, until they are sent. Going down loses those that are not.
//!
//! The version before sends its mails without writing any, and leaves what it finds here.

use sea_orm_migration::prelude::*;

use crate::words::{key_text, number, optional_text, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Mails {
    Table,
    Id,
    Created,
    TakenUntil,
    Owner,
    Address,
    Name,
    ClientId,
    Organization,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mails = Table::create()
            .table(Mails::Table)
            .col(key_text(manager, Mails::Id).primary_key())
            .col(number(Mails::Created))
            .col(number(Mails::TakenUntil))
            .col(text(Mails::Owner))
            .col(optional_text(Mails::Address))
            .col(text(Mails::Name))
            .col(text(Mails::ClientId))
            .col(text(Mails::Organization))
            .take();
        manager.create_table(mails).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Mails::Table).take()).await
    }
}
