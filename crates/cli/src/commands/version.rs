//! `tessera version`.

use clap::Args;
use serde::Serialize;

use crate::app::App;
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};

/// Shows the version.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera version
  tessera version -o json")]
pub struct Version {}

#[derive(Serialize)]
struct Shown {
    name: &'static str,
    version: &'static str,
    target: String,
}

impl Version {
    /// Shows it.
    ///
    /// # Errors
    /// Internal, where stdout refuses it.
    pub fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        app.show(&Shown { name: "tessera", version: env!("CARGO_PKG_VERSION"), target })
    }
}

impl View for Shown {
    fn table(&self) -> Table {
        Table::Text(format!("{} {} ({})", self.name, self.version, self.target))
    }

    fn names(&self) -> Vec<String> {
        vec![self.version.into()]
    }
}
