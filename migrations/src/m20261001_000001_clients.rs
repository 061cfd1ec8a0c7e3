//! Clients, their secrets, and the scopes that are registered.

use sea_orm_migration::prelude::*;

use crate::words::{flag, key_text, number, optional_number, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Clients {
    Table,
    Id,
    Name,
    Description,
    Kind,
    Enabled,
    Grants,
    Scopes,
    DefaultScopes,
    Audiences,
    Resources,
    RedirectUris,
    AccessTtl,
    ClaimsProfile,
    Created,
    Updated,
    Version,
}

#[derive(DeriveIden)]
enum ClientSecrets {
    Table,
    Id,
    ClientId,
    Hash,
    Created,
    Expires,
    Generated,
}

#[derive(DeriveIden)]
enum Scopes {
    Table,
    Name,
    Descriptions,
    Reserved,
    Created,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(clients(manager)).await?;
        manager.create_index(unique_names()).await?;
        manager.create_table(client_secrets(manager)).await?;
        manager.create_index(secrets_by_client()).await?;
        manager.create_table(scopes(manager)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Scopes::Table).take()).await?;
        manager.drop_table(Table::drop().table(ClientSecrets::Table).take()).await?;
        manager.drop_table(Table::drop().table(Clients::Table).take()).await
    }
}

fn clients(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table(Clients::Table)
        .col(key_text(manager, Clients::Id).primary_key())
        .col(key_text(manager, Clients::Name))
        .col(text(Clients::Description))
        .col(text(Clients::Kind))
        .col(flag(Clients::Enabled))
        .col(text(Clients::Grants))
        .col(text(Clients::Scopes))
        .col(text(Clients::DefaultScopes))
        .col(text(Clients::Audiences))
        .col(text(Clients::Resources))
        .col(text(Clients::RedirectUris))
        .col(optional_number(Clients::AccessTtl))
        .col(text(Clients::ClaimsProfile))
        .col(number(Clients::Created))
        .col(number(Clients::Updated))
        .col(number(Clients::Version))
        .take()
}

fn unique_names() -> IndexCreateStatement {
    // The store reads this name in PostgreSQL's error to tell a taken name from a taken id.
    Index::create().name("clients_name_key").table(Clients::Table).col(Clients::Name).unique().take()
}

fn client_secrets(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let mut owner = ForeignKey::create();
    owner
        .name("client_secrets_client_id_fkey")
        .from(ClientSecrets::Table, ClientSecrets::ClientId)
        .to(Clients::Table, Clients::Id)
        .on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table(ClientSecrets::Table)
        .col(ColumnDef::new(ClientSecrets::Id).uuid().not_null().primary_key())
        .col(key_text(manager, ClientSecrets::ClientId))
        .col(text(ClientSecrets::Hash))
        .col(number(ClientSecrets::Created))
        .col(optional_number(ClientSecrets::Expires))
        .col(flag(ClientSecrets::Generated))
        .foreign_key(&mut owner)
        .take()
}

fn secrets_by_client() -> IndexCreateStatement {
    Index::create().name("client_secrets_client_id_idx").table(ClientSecrets::Table).col(ClientSecrets::ClientId).take()
}

fn scopes(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table(Scopes::Table)
        .col(key_text(manager, Scopes::Name).primary_key())
        .col(text(Scopes::Descriptions))
        .col(flag(Scopes::Reserved))
        .col(number(Scopes::Created))
        .take()
}
