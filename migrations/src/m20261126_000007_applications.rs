//! Applications as the shops know them: organizations and who belongs to them, owners, addresses, when a client was used last; and
//! the last access token of each family of refresh tokens.
//!
//! The version before goes on inserting: what is new is nullable or has a default, and its clients, which have no organization, keep
//! names that nobody else of them has. A client whose claims the endpoint decides is marked by a flag beside the profile, which that
//! version can still read.
//!
//! An owner and an organization that are deleted leave their identifiers in the clients they had, so there is no foreign key: whatever
//! version deletes them, the client is then refused for want of one, and never passes for a client without. No identifier is used
//! again.
//!
//! Going down, a client of an organization whose name another client has gets its id behind its name.

use sea_orm_migration::prelude::*;

use crate::words::{flag, key_text, number, optional_key_text, optional_number, optional_text, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Clients {
    Table,
    Organization,
    Owner,
    SiteUrl,
    LogoUrl,
    FailureUri,
    LastUsed,
    ImplicitScopes,
    ClaimsAuto,
}

#[derive(DeriveIden)]
enum Organizations {
    Table,
    Id,
    Name,
    Global,
    Enabled,
    Created,
    Updated,
    Version,
}

#[derive(DeriveIden)]
enum Memberships {
    Table,
    Organization,
    UserId,
    Created,
}

#[derive(DeriveIden)]
enum Users {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum RefreshFamilies {
    Table,
    AccessToken,
    AccessExpires,
}

/// The store reads the names of the two in errors. Partial indexes are alike in both databases, but not in the builder.
const NAMES: &[&str] = &[
    "DROP INDEX clients_name_key",
    "CREATE UNIQUE INDEX clients_name_key ON clients (name) WHERE organization IS NULL",
    "CREATE UNIQUE INDEX clients_organization_name_key ON clients (organization, COALESCE(owner, ''), name) \
     WHERE organization IS NOT NULL",
];

const NAMES_BACK: &[&str] = &[
    "DROP INDEX clients_organization_name_key",
    "DROP INDEX clients_name_key",
    "UPDATE clients SET name = name || ' (' || id || ')' WHERE organization IS NOT NULL AND EXISTS \
     (SELECT 1 FROM clients AS other WHERE other.name = clients.name AND other.id <> clients.id)",
    "CREATE UNIQUE INDEX clients_name_key ON clients (name)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(organizations(manager)).await?;
        manager.create_index(organization_names()).await?;
        manager.create_table(memberships(manager)).await?;
        manager.create_index(memberships_by_user()).await?;
        for column in client_columns(manager) {
            manager.alter_table(Table::alter().table(Clients::Table).add_column(column).take()).await?;
        }
        for name in NAMES {
            manager.get_connection().execute_unprepared(name).await?;
        }
        manager.create_index(clients_by_owner()).await?;
        for column in [optional_text(RefreshFamilies::AccessToken), optional_number(RefreshFamilies::AccessExpires)] {
            manager.alter_table(Table::alter().table(RefreshFamilies::Table).add_column(column).take()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [RefreshFamilies::AccessExpires, RefreshFamilies::AccessToken] {
            manager.alter_table(Table::alter().table(RefreshFamilies::Table).drop_column(column).take()).await?;
        }
        manager.drop_index(Index::drop().name("clients_owner_idx").table(Clients::Table).to_owned()).await?;
        for name in NAMES_BACK {
            manager.get_connection().execute_unprepared(name).await?;
        }
        let columns = [
            Clients::ClaimsAuto,
            Clients::ImplicitScopes,
            Clients::LastUsed,
            Clients::FailureUri,
            Clients::LogoUrl,
            Clients::SiteUrl,
            Clients::Owner,
            Clients::Organization,
        ];
        for column in columns {
            manager.alter_table(Table::alter().table(Clients::Table).drop_column(column).take()).await?;
        }
        manager.drop_table(Table::drop().table(Memberships::Table).take()).await?;
        manager.drop_table(Table::drop().table(Organizations::Table).take()).await
    }
}

fn client_columns(manager: &SchemaManager<'_>) -> [ColumnDef; 8] {
    [
        optional_key_text(manager, Clients::Organization),
        optional_key_text(manager, Clients::Owner),
        optional_text(Clients::SiteUrl),
        optional_text(Clients::LogoUrl),
        optional_text(Clients::FailureUri),
        optional_number(Clients::LastUsed),
        text(Clients::ImplicitScopes).default("[]").take(),
        flag(Clients::ClaimsAuto).default(false).take(),
    ]
}

fn organizations(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table(Organizations::Table)
        .col(key_text(manager, Organizations::Id).primary_key())
        .col(key_text(manager, Organizations::Name))
        .col(flag(Organizations::Global))
        .col(flag(Organizations::Enabled))
        .col(number(Organizations::Created))
        .col(number(Organizations::Updated))
        .col(number(Organizations::Version))
        .take()
}

fn organization_names() -> IndexCreateStatement {
    Index::create().name("organizations_name_key").table(Organizations::Table).col(Organizations::Name).unique().take()
}

fn memberships(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let (mut organization, mut user) = (ForeignKey::create(), ForeignKey::create());
    organization
        .name("memberships_organization_fkey")
        .from(Memberships::Table, Memberships::Organization)
        .to(Organizations::Table, Organizations::Id)
        .on_delete(ForeignKeyAction::Cascade);
    user.name("memberships_user_id_fkey")
        .from(Memberships::Table, Memberships::UserId)
        .to(Users::Table, Users::Id)
        .on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table(Memberships::Table)
        .col(key_text(manager, Memberships::Organization))
        .col(key_text(manager, Memberships::UserId))
        .col(number(Memberships::Created))
        .primary_key(Index::create().col(Memberships::Organization).col(Memberships::UserId))
        .foreign_key(&mut organization)
        .foreign_key(&mut user)
        .take()
}

fn memberships_by_user() -> IndexCreateStatement {
    Index::create().name("memberships_user_id_idx").table(Memberships::Table).col(Memberships::UserId).take()
}

fn clients_by_owner() -> IndexCreateStatement {
    Index::create().name("clients_owner_idx").table(Clients::Table).col(Clients::Owner).take()
}
