//! Users, their sessions at the issuer, and what they allowed which client.

use sea_orm_migration::prelude::*;

use crate::words::{flag, key_text, number, optional_key_text, optional_text, text};

/// This migration.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
pub(crate) enum Users {
    Table,
    Id,
    Username,
    UsernameKey,
    Name,
    Email,
    EmailKey,
    Password,
    Enabled,
    Created,
    Updated,
    Version,
}

#[derive(DeriveIden)]
enum Sessions {
    Table,
    Id,
    TokenHash,
    UserId,
    Rev,
    Created,
    Seen,
    Expires,
    Agent,
    Address,
}

#[derive(DeriveIden)]
enum Consents {
    Table,
    UserId,
    ClientId,
    Scopes,
    Created,
    Updated,
}

#[derive(DeriveIden)]
enum Clients {
    Table,
    Id,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(users(manager)).await?;
        manager.create_index(unique("users_username_key", Users::UsernameKey)).await?;
        manager.create_index(unique("users_email_key", Users::EmailKey)).await?;
        manager.create_table(sessions(manager)).await?;
        let by_token = Index::create()
            .name("sessions_token_hash_key")
            .table(Sessions::Table)
            .col(Sessions::TokenHash)
            .unique()
            .take();
        manager.create_index(by_token).await?;
        manager.create_index(index("sessions_user_id_idx", Sessions::Table, Sessions::UserId)).await?;
        manager.create_index(index("sessions_expires_idx", Sessions::Table, Sessions::Expires)).await?;
        manager.create_table(consents(manager)).await?;
        manager.create_index(index("consents_client_id_idx", Consents::Table, Consents::ClientId)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Consents::Table).take()).await?;
        manager.drop_table(Table::drop().table(Sessions::Table).take()).await?;
        manager.drop_table(Table::drop().table(Users::Table).take()).await
    }
}

fn users(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table(Users::Table)
        .col(key_text(manager, Users::Id).primary_key())
        .col(text(Users::Username))
        .col(key_text(manager, Users::UsernameKey))
        .col(text(Users::Name))
        .col(optional_text(Users::Email))
        .col(optional_key_text(manager, Users::EmailKey))
        .col(optional_text(Users::Password))
        .col(flag(Users::Enabled))
        .col(number(Users::Created))
        .col(number(Users::Updated))
        .col(number(Users::Version))
        .take()
}

/// The store reads the name in PostgreSQL's error to tell what is taken.
fn unique(name: &str, column: Users) -> IndexCreateStatement {
    Index::create().name(name).table(Users::Table).col(column).unique().take()
}

fn index<T: IntoIden + 'static, C: IntoIden>(name: &str, table: T, column: C) -> IndexCreateStatement {
    Index::create().name(name).table(table.into_iden()).col(column.into_iden()).take()
}

fn sessions(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let mut owner = ForeignKey::create();
    owner
        .name("sessions_user_id_fkey")
        .from(Sessions::Table, Sessions::UserId)
        .to(Users::Table, Users::Id)
        .on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table(Sessions::Table)
        .col(key_text(manager, Sessions::Id).primary_key())
        .col(key_text(manager, Sessions::TokenHash))
        .col(key_text(manager, Sessions::UserId))
        .col(text(Sessions::Rev))
        .col(number(Sessions::Created))
        .col(number(Sessions::Seen))
        .col(number(Sessions::Expires))
        .col(text(Sessions::Agent))
        .col(text(Sessions::Address))
        .foreign_key(&mut owner)
        .take()
}

fn consents(manager: &SchemaManager<'_>) -> TableCreateStatement {
    let (mut user, mut client) = (ForeignKey::create(), ForeignKey::create());
    user.name("consents_user_id_fkey")
        .from(Consents::Table, Consents::UserId)
        .to(Users::Table, Users::Id)
        .on_delete(ForeignKeyAction::Cascade);
    client
        .name("consents_client_id_fkey")
        .from(Consents::Table, Consents::ClientId)
        .to(Clients::Table, Clients::Id)
        .on_delete(ForeignKeyAction::Cascade);
    Table::create()
        .table(Consents::Table)
        .col(key_text(manager, Consents::UserId))
        .col(key_text(manager, Consents::ClientId))
        .col(text(Consents::Scopes))
        .col(number(Consents::Created))
        .col(number(Consents::Updated))
        .primary_key(Index::create().col(Consents::UserId).col(Consents::ClientId))
        .foreign_key(&mut user)
        .foreign_key(&mut client)
        .take()
}
