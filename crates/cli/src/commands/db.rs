//! `tessera db …`: the issuer's database, on the issuer's host.

mod backup;
mod manifest;
mod programs;
mod restore;
mod restored;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tessera_issuer::{Config, StartError};
use tessera_store::{Database, DatabaseOptions, MigrationState};

use crate::app::App;
use crate::local::{config_problem, failure_problem, issuer_config, start_problem};
use crate::output::{ListedView, Table, View};
use crate::problem::{Exit, Problem};

/// Migrates the issuer's database, backs it up, restores it, or shows where it stands.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera db status
  tessera db backup --out /backup/tessera.db")]
pub struct Db {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Apply what is pending: all of it or nothing.
    Migrate(Migrate),
    /// Show every migration and whether it is applied.
    Status(Status),
    /// Write the whole database to a file, while the issuer runs.
    Backup(backup::Backup),
    /// Put a backup in the place of a database that is gone.
    Restore(restore::Restore),
    /// Say that the database was set back: a new epoch.
    Restored(restored::Restored),
    /// Check the log's chain of hashes.
    Verify(verify::Verify),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera db migrate
  tessera db migrate --config /etc/tessera/issuer.toml -o json")]
struct Migrate {
    #[command(flatten)]
    issuer: IssuerArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera db status
  tessera db status --config /etc/tessera/issuer.toml --exit-status")]
struct Status {
    #[command(flatten)]
    issuer: IssuerArgs,

    /// Exit with 10 where something is pending.
    #[arg(long)]
    exit_status: bool,
}

/// Which issuer.
#[derive(Args, Debug)]
pub struct IssuerArgs {
    /// The issuer's configuration file; environment variables TESSERA_… go over it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl IssuerArgs {
    /// Reads the issuer's configuration, as the issuer itself does.
    ///
    /// # Errors
    /// Usage: every mistake in it.
    pub fn load(&self) -> Result<Config, Problem> {
        issuer_config(self.config.clone())
    }

    /// Where the database is.
    fn options(&self) -> Result<DatabaseOptions, Problem> {
        let checked = self.load()?.check().map_err(|errors| config_problem(&errors))?;
        Ok(DatabaseOptions { max_connections: 1, ..DatabaseOptions::new(&checked.database_url) })
    }

    async fn open(&self) -> Result<Database, Problem> {
        Database::connect(&self.options()?).await.map_err(|error| start_problem(&StartError::from(error)))
    }
}

/// A migration.
#[derive(Debug, Serialize)]
struct Migration {
    name: String,
    state: &'static str,
}

impl View for Migration {
    fn table(&self) -> Table {
        Table::List(Self::HEAD.to_vec(), vec![self.row()])
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

impl ListedView for Migration {
    const HEAD: &'static [&'static str] = &["MIGRATION", "STATE"];

    fn row(&self) -> Vec<String> {
        vec![self.name.clone(), self.state.into()]
    }
}

impl Db {
    /// Runs the verb.
    ///
    /// # Errors
    /// Configuration; unavailable, where the database is.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Migrate(verb) => verb.run(app).await,
            Verb::Status(verb) => verb.run(app).await,
            Verb::Backup(verb) => verb.run(app).await,
            Verb::Restore(verb) => verb.run(app).await,
            Verb::Restored(verb) => verb.run(app).await,
            Verb::Verify(verb) => verb.run(app).await,
        }
    }
}

impl Migrate {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let database = self.issuer.open().await?;
        let applied = database.migrate().await;
        database.close().await;
        let names = applied.map_err(|error| failure_problem(&error))?;
        if names.is_empty() {
            app.say("Nothing was pending.");
        }
        app.show(&names.into_iter().map(|name| Migration { name, state: "applied" }).collect::<Vec<_>>())
    }
}

impl Status {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let database = self.issuer.open().await?;
        let status = database.migration_status().await;
        database.close().await;
        let status = status.map_err(|error| failure_problem(&error))?;
        let pending = status.iter().any(|migration| !migration.is_applied());
        let word = |state| match state {
            MigrationState::Applied => "applied",
            MigrationState::Pending => "pending",
            MigrationState::Newer => "newer than this program",
        };
        let views: Vec<_> = status.into_iter().map(|m| Migration { state: word(m.state), name: m.name }).collect();
        app.show(&views)?;
        Ok(if pending && self.exit_status { Exit::No } else { Exit::Ok })
    }
}
