//! Migrations, as operators see them.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, EntityTrait as _};
use tessera_migrations::{Migrator, MigratorTrait as _, SchemaManager, seaql_migrations};

use crate::database::Database;
use crate::error::StoreError;

/// Any number of our own: whoever migrates a PostgreSQL holds this advisory lock.
const LOCK: &str = "SELECT pg_advisory_xact_lock(6400640164096500)";

/// A migration and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its name, which begins with its date.
    pub name: String,
    /// Where it stands.
    pub state: MigrationState,
}

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// In the database.
    Applied,
    /// Not in the database yet.
    Pending,
    /// In the database, but of a newer version than this program. That is fine: see `migrations/README.md`.
    Newer,
}

impl MigrationStatus {
    /// Whether the database has it.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.state != MigrationState::Pending
    }
}

impl Database {
    /// Applies what is pending, all or nothing, and says what that was. Several processes may do so at once.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        let transaction = self.begin_schema_change().await?;
        let pending: Vec<String> = status(&applied(&transaction).await?)
            .into_iter()
            .filter(|migration| !migration.is_applied())
            .map(|migration| migration.name)
            .collect();
        // Not called without need: it refuses a database that a newer version has migrated further.
        if !pending.is_empty() {
            Migrator::up(&transaction, None).await?;
        }
        transaction.commit().await?;
        Ok(pending)
    }

    /// Every migration that this program or the database knows, in order. Changes nothing.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        let transaction = self.begin_snapshot().await?;
        let status = status(&applied(&transaction).await?);
        transaction.rollback().await?;
        Ok(status)
    }

    /// Takes back the last migrations, all or nothing, with the data that only they have room for.
    pub async fn rollback(&self, steps: u32) -> Result<(), StoreError> {
        let transaction = self.begin_schema_change().await?;
        Migrator::down(&transaction, Some(steps)).await?;
        Ok(transaction.commit().await?)
    }

    async fn begin_schema_change(&self) -> Result<DatabaseTransaction, StoreError> {
        let transaction = self.begin_write().await?;
        if self.is_postgres() {
            transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
            transaction.execute_unprepared(LOCK).await?;
        }
        Ok(transaction)
    }
}

async fn applied(transaction: &DatabaseTransaction) -> Result<BTreeSet<String>, StoreError> {
    if !SchemaManager::new(transaction).has_table("seaql_migrations").await? {
        return Ok(BTreeSet::new());
    }
    let rows = seaql_migrations::Entity::find().all(transaction).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

fn status(applied: &BTreeSet<String>) -> Vec<MigrationStatus> {
    let ours: BTreeSet<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let state = |name: &String| match (ours.contains(name), applied.contains(name)) {
        (true, true) => MigrationState::Applied,
        (true, false) => MigrationState::Pending,
        (false, _) => MigrationState::Newer,
    };
    ours.union(applied).map(|name| MigrationStatus { name: name.clone(), state: state(name) }).collect()
}
