//! The audit: who changed, revoked or signed in, or failed to. Going down loses it.

use sea_orm_migration::prelude::*;

use crate::words::{key_text, number, optional_key_text, optional_text, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum AuditHead {
    Table,
    Id,
    LastId,
}

#[derive(DeriveIden)]
enum AuditRecords {
    Table,
    Id,
    Time,
    ActorKind,
    ActorId,
    Action,
    TargetKind,
    TargetId,
    Outcome,
    Reason,
    Address,
    RequestId,
    Revision,
    Count,
    Details,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(audit_head()).await?;
        let first = Query::insert()
            .into_table(AuditHead::Table)
            .columns([AuditHead::Id, AuditHead::LastId])
            .values_panic([1_i64.into(), 0_i64.into()])
            .take();
        manager.execute(first).await?;
        manager.create_table(audit_records(manager)).await?;
        for index in indices() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(AuditRecords::Table).take()).await?;
        manager.drop_table(Table::drop().table(AuditHead::Table).take()).await
    }
}

/// One row, whose lock gives records their numbers in the order of the commits.
fn audit_head() -> TableCreateStatement {
    Table::create()
        .table(AuditHead::Table)
        .col(number(AuditHead::Id).primary_key())
        .col(number(AuditHead::LastId))
        .check(Expr::col(AuditHead::Id).eq(1))
        .take()
}

fn audit_records(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table(AuditRecords::Table)
        .col(number(AuditRecords::Id).primary_key())
        .col(number(AuditRecords::Time))
        .col(text(AuditRecords::ActorKind))
        .col(optional_key_text(manager, AuditRecords::ActorId))
        .col(key_text(manager, AuditRecords::Action))
        .col(optional_text(AuditRecords::TargetKind))
        .col(optional_key_text(manager, AuditRecords::TargetId))
        .col(text(AuditRecords::Outcome))
        .col(optional_text(AuditRecords::Reason))
        .col(optional_text(AuditRecords::Address))
        .col(optional_text(AuditRecords::RequestId))
        .col(optional_text(AuditRecords::Revision))
        .col(number(AuditRecords::Count).default(1))
        .col(optional_text(AuditRecords::Details))
        .take()
}

/// For the filters, each in the order of the records; the time's for retention too.
fn indices() -> Vec<IndexCreateStatement> {
    let by = |name: &str, column: AuditRecords| {
        Index::create().name(name).table(AuditRecords::Table).col(column).col(AuditRecords::Id).take()
    };
    vec![
        by("audit_records_time_idx", AuditRecords::Time),
        by("audit_records_actor_idx", AuditRecords::ActorId),
        by("audit_records_action_idx", AuditRecords::Action),
        by("audit_records_target_idx", AuditRecords::TargetId),
    ]
}
