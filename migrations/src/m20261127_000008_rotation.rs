//! Since when a signing key is in its state, and the secrets that were derived from the key-encryption key until now.
//!
//! The version before writes states without saying since when, so the moment stands beside the state it was written for: where the two
//! differ, nobody knows, and the issuer counts from when it finds out. A key that signs or waits to has been known at least since it
//! was made, which is what is assumed of it where nothing is said; of one that retires nothing can be assumed, or it would end with
//! tokens of it still alive.
//!
//! The secrets are filled in by the issuer, which alone has the key-encryption key. Going down loses them: whoever has not exchanged
//! that key since derives the same again.

use sea_orm_migration::prelude::*;

use crate::words::{bytes, key_text, number, optional_number, optional_text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    Since,
    SinceState,
}

#[derive(DeriveIden)]
enum KeptSecrets {
    Table,
    Name,
    Sealed,
    Created,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [optional_number(SigningKeys::Since), optional_text(SigningKeys::SinceState)] {
            manager.alter_table(Table::alter().table(SigningKeys::Table).add_column(column).take()).await?;
        }
        let secrets = Table::create()
            .table(KeptSecrets::Table)
            .col(key_text(manager, KeptSecrets::Name).primary_key())
            .col(bytes(KeptSecrets::Sealed))
            .col(number(KeptSecrets::Created))
            .take();
        manager.create_table(secrets).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(KeptSecrets::Table).take()).await?;
        for column in [SigningKeys::SinceState, SigningKeys::Since] {
            manager.alter_table(Table::alter().table(SigningKeys::Table).drop_column(column).take()).await?;
        }
        Ok(())
    }
}
