//! The log: its head, its events, and the latest fact about each thing.

use sea_orm_migration::prelude::*;

use crate::words::{bytes, key_text, number, optional_number};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum LogHead {
    Table,
    Id,
    Epoch,
    Revision,
    Hash,
    Compacted,
}

#[derive(DeriveIden)]
enum LogEvents {
    Table,
    Revision,
    Epoch,
    Payload,
    Hash,
}

#[derive(DeriveIden)]
enum LogFacts {
    Table,
    About,
    Revision,
    Payload,
    ExpiresAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(log_head()).await?;
        manager.create_table(log_events()).await?;
        manager.create_table(log_facts(manager)).await?;
        manager.create_index(facts_by_expiry()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(LogFacts::Table).take()).await?;
        manager.drop_table(Table::drop().table(LogEvents::Table).take()).await?;
        manager.drop_table(Table::drop().table(LogHead::Table).take()).await
    }
}

/// One row, whose lock orders every commit that appends.
fn log_head() -> TableCreateStatement {
    Table::create()
        .table(LogHead::Table)
        .col(number(LogHead::Id).primary_key())
        .col(number(LogHead::Epoch))
        .col(number(LogHead::Revision))
        .col(bytes(LogHead::Hash))
        .col(number(LogHead::Compacted))
        .check(Expr::col(LogHead::Id).eq(1))
        .take()
}

fn log_events() -> TableCreateStatement {
    Table::create()
        .table(LogEvents::Table)
        .col(number(LogEvents::Revision).primary_key())
        .col(number(LogEvents::Epoch))
        .col(bytes(LogEvents::Payload))
        .col(bytes(LogEvents::Hash))
        .take()
}

fn log_facts(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table(LogFacts::Table)
        .col(key_text(manager, LogFacts::About).primary_key())
        .col(number(LogFacts::Revision))
        .col(bytes(LogFacts::Payload))
        .col(optional_number(LogFacts::ExpiresAt))
        .take()
}

fn facts_by_expiry() -> IndexCreateStatement {
    Index::create().name("log_facts_expires_at_idx").table(LogFacts::Table).col(LogFacts::ExpiresAt).take()
}
