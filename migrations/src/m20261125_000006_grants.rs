//! What lies between a person's decision and a client's tokens: authorization requests, codes, and families of refresh tokens.

use sea_orm_migration::prelude::*;

use crate::words::{flag, key_text, number, optional_number, optional_text, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum AuthorizationRequests {
    Table,
    TokenHash,
    ClientId,
    RedirectUri,
    RedirectGiven,
    State,
    Scopes,
    Audience,
    Challenge,
    Locales,
    Created,
    Expires,
}

#[derive(DeriveIden)]
enum AuthorizationCodes {
    Table,
    CodeHash,
    GrantId,
    ClientId,
    UserId,
    RedirectUri,
    Scopes,
    Audience,
    Challenge,
    Rev,
    Created,
    Expires,
    Redeemed,
}

#[derive(DeriveIden)]
enum RefreshFamilies {
    Table,
    GrantId,
    ClientId,
    UserId,
    Scopes,
    Audience,
    Rev,
    Generation,
    CurrentHash,
    Recent,
    Created,
    Used,
    Expires,
    Ends,
}

#[derive(DeriveIden)]
enum Clients {
    Table,
    Id,
}

#[derive(DeriveIden)]
enum Users {
    Table,
    Id,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(requests(manager)).await?;
        manager.create_table(codes(manager)).await?;
        manager.create_table(families(manager)).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(RefreshFamilies::Table).take()).await?;
        manager.drop_table(Table::drop().table(AuthorizationCodes::Table).take()).await?;
        manager.drop_table(Table::drop().table(AuthorizationRequests::Table).take()).await
    }
}

/// For the deletion of what is over, and of what belongs to a client or a user that goes.
fn indexes() -> [IndexCreateStatement; 9] {
    let index = |name: &str| Index::create().name(name).take();
    [
        index("authorization_requests_expires_idx")
            .table(AuthorizationRequests::Table)
            .col(AuthorizationRequests::Expires)
            .take(),
        index("authorization_requests_client_id_idx")
            .table(AuthorizationRequests::Table)
            .col(AuthorizationRequests::ClientId)
            .take(),
        index("authorization_codes_expires_idx")
            .table(AuthorizationCodes::Table)
            .col(AuthorizationCodes::Expires)
            .take(),
        index("authorization_codes_client_id_idx")
            .table(AuthorizationCodes::Table)
            .col(AuthorizationCodes::ClientId)
            .take(),
        index("authorization_codes_user_id_idx")
            .table(AuthorizationCodes::Table)
            .col(AuthorizationCodes::UserId)
            .take(),
        index("refresh_families_expires_idx").table(RefreshFamilies::Table).col(RefreshFamilies::Expires).take(),
        index("refresh_families_ends_idx").table(RefreshFamilies::Table).col(RefreshFamilies::Ends).take(),
        index("refresh_families_client_id_idx").table(RefreshFamilies::Table).col(RefreshFamilies::ClientId).take(),
        index("refresh_families_user_id_idx").table(RefreshFamilies::Table).col(RefreshFamilies::UserId).take(),
    ]
}

fn requests(manager: &SchemaManager<'_>) -> TableCreateStatement {
    use AuthorizationRequests as Column;
    let mut client = ForeignKey::create();
    client
        .name("authorization_requests_client_id_fkey")
        .from(Column::Table, Column::ClientId)
        .to(Clients::Table, Clients::Id)
        .on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table(Column::Table)
        .col(key_text(manager, Column::TokenHash).primary_key())
        .col(key_text(manager, Column::ClientId))
        .col(text(Column::RedirectUri))
        .col(flag(Column::RedirectGiven))
        .col(optional_text(Column::State))
        .col(text(Column::Scopes))
        .col(optional_text(Column::Audience))
        .col(optional_text(Column::Challenge))
        .col(optional_text(Column::Locales))
        .col(number(Column::Created))
        .col(number(Column::Expires))
        .foreign_key(&mut client)
        .take()
}

fn codes(manager: &SchemaManager<'_>) -> TableCreateStatement {
    use AuthorizationCodes as Column;
    let (mut client, mut user) = (ForeignKey::create(), ForeignKey::create());
    client
        .name("authorization_codes_client_id_fkey")
        .from(Column::Table, Column::ClientId)
        .to(Clients::Table, Clients::Id)
        .on_delete(ForeignKeyAction::Cascade);
    user.name("authorization_codes_user_id_fkey")
        .from(Column::Table, Column::UserId)
        .to(Users::Table, Users::Id)
        .on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table(Column::Table)
        .col(key_text(manager, Column::CodeHash).primary_key())
        .col(text(Column::GrantId))
        .col(key_text(manager, Column::ClientId))
        .col(key_text(manager, Column::UserId))
        .col(optional_text(Column::RedirectUri))
        .col(text(Column::Scopes))
        .col(optional_text(Column::Audience))
        .col(optional_text(Column::Challenge))
        .col(text(Column::Rev))
        .col(number(Column::Created))
        .col(number(Column::Expires))
        .col(optional_number(Column::Redeemed))
        .foreign_key(&mut client)
        .foreign_key(&mut user)
        .take()
}

/// One row for each family, however often it was refreshed.
fn families(manager: &SchemaManager<'_>) -> TableCreateStatement {
    use RefreshFamilies as Column;
    let (mut client, mut user) = (ForeignKey::create(), ForeignKey::create());
    client
        .name("refresh_families_client_id_fkey")
        .from(Column::Table, Column::ClientId)
        .to(Clients::Table, Clients::Id)
        .on_delete(ForeignKeyAction::Cascade);
    user.name("refresh_families_user_id_fkey")
        .from(Column::Table, Column::UserId)
        .to(Users::Table, Users::Id)
        .on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table(Column::Table)
        .col(key_text(manager, Column::GrantId).primary_key())
        .col(key_text(manager, Column::ClientId))
        .col(key_text(manager, Column::UserId))
        .col(text(Column::Scopes))
        .col(text(Column::Audience))
        .col(text(Column::Rev))
        .col(number(Column::Generation))
        .col(text(Column::CurrentHash))
        .col(text(Column::Recent))
        .col(number(Column::Created))
        .col(number(Column::Used))
        .col(number(Column::Expires))
        .col(number(Column::Ends))
        .foreign_key(&mut client)
        .foreign_key(&mut user)
        .take()
}
