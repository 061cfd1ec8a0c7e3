//! The database schema, as migrations.
//!
//! Each migration goes up and down, on SQLite and on PostgreSQL. The README beside this crate says how to write the next one
//! so that the version before it keeps running meanwhile.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, SchemaManager, seaql_migrations};

mod m20261001_000001_clients;
mod m20261001_000002_keys;
mod m20261001_000003_log;
mod m20261121_000004_holders;
mod m20261125_000005_users;
mod m20261125_000006_grants;
mod m20261126_000007_applications;
mod m20261127_000008_rotation;
mod m20261127_000009_owners;
mod m20261127_000010_audit;
mod m20261127_000011_secrets_used;
mod m20261127_000012_mails;
mod words;

/// Every migration, in the order in which they are applied.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261001_000001_clients::Migration),
            Box::new(m20261001_000002_keys::Migration),
            Box::new(m20261001_000003_log::Migration),
            Box::new(m20261121_000004_holders::Migration),
            Box::new(m20261125_000005_users::Migration),
            Box::new(m20261125_000006_grants::Migration),
            Box::new(m20261126_000007_applications::Migration),
            Box::new(m20261127_000008_rotation::Migration),
            Box::new(m20261127_000009_owners::Migration),
            Box::new(m20261127_000010_audit::Migration),
            Box::new(m20261127_000011_secrets_used::Migration),
            Box::new(m20261127_000012_mails::Migration),
        ]
    }
}
