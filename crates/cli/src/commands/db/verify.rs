//! `tessera db verify`: whether the log is whole.

use clap::Args;
use serde::Serialize;
use tessera_store::{ChainCheck, StoreError};

use super::IssuerArgs;
use crate::app::App;
use crate::local::failure_problem;
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};

/// Checks that every entry of the log chains to the one before it, up to the head, and shows where the log stands. Changes nothing;
/// the issuer may run.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera db verify
  tessera db verify --config /etc/tessera/issuer.toml -o json")]
pub(super) struct Verify {
    #[command(flatten)]
    issuer: IssuerArgs,
}

#[derive(Serialize)]
struct Checked {
    revision: String,
    entries: u64,
    facts: u64,
}

impl View for Checked {
    fn table(&self) -> Table {
        Table::Record(vec![
            ("the log stands at", self.revision.clone()),
            ("entries checked", self.entries.to_string()),
            ("facts read", self.facts.to_string()),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.revision.clone()]
    }
}

impl Verify {
    /// Looks.
    ///
    /// # Errors
    /// Internal, where an entry does not fit, with the place; unavailable, where the database is.
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let database = self.issuer.open().await?;
        let checked = database.log().check_chain().await;
        database.close().await;
        let ChainCheck { head, entries, facts } = checked.map_err(|error| match &error {
            StoreError::Corrupt { .. } => failure_problem(&error)
                .hint("the database was changed by something else than tessera: restore a backup (tessera db restore)"),
            _ => failure_problem(&error),
        })?;
        app.show(&Checked { revision: head.revision().to_string(), entries, facts })
    }
}
