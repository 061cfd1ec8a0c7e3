//! The commands, a file for each noun.

pub mod audit;
pub mod client;
pub mod completion;
pub mod config;
pub mod context;
pub mod db;
pub mod dev;
pub mod health;
pub mod init;
pub mod introspect;
pub mod key;
pub mod org;
pub mod scope;
pub mod token;
pub mod try_pair;
pub mod user;
pub mod version;

use serde::Serialize;

use crate::app::App;
use crate::args::Command;
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};

/// Runs a command.
///
/// # Errors
/// What the command says.
pub async fn run(command: Command, app: &mut App<'_>) -> Result<Exit, Problem> {
    match command {
        Command::Dev(command) => Box::pin(command.run(app)).await,
        Command::Try(command) => Box::pin(command.run(app)).await,
        Command::Init(command) => command.run(app).await,
        Command::Db(command) => command.run(app).await,
        Command::Client(command) => command.run(app).await,
        Command::User(command) => command.run(app).await,
        Command::Org(command) => command.run(app).await,
        Command::Scope(command) => command.run(app).await,
        Command::Key(command) => command.run(app).await,
        Command::Audit(command) => command.run(app).await,
        Command::Token(command) => command.run(app).await,
        Command::Introspect(command) => command.run(app).await,
        Command::Health(command) => command.run(app).await,
        Command::Config(command) => command.run(app),
        Command::Context(command) => command.run(app),
        Command::Completion(command) => command.run(app),
        Command::Version(command) => command.run(app),
    }
}

/// The answer of a command that changes something and has nothing else to show.
#[derive(Debug, Serialize)]
pub struct Done {
    /// What was done, or with `--dry-run` would be.
    pub action: &'static str,
    /// To what.
    pub name: String,
    /// Whether nothing was done, because of `--dry-run`.
    pub dry_run: bool,
    /// The revision at which it holds everywhere, where there is one.
    pub revision: Option<String>,
}

impl Done {
    /// Something that `--dry-run` kept from happening.
    #[must_use]
    pub const fn would(action: &'static str, name: String) -> Self {
        Self { action, name, dry_run: true, revision: None }
    }

    /// Something that happened.
    #[must_use]
    pub const fn did(action: &'static str, name: String, revision: Option<String>) -> Self {
        Self { action, name, dry_run: false, revision }
    }
}

impl View for Done {
    fn table(&self) -> Table {
        let would = if self.dry_run { "would be " } else { "" };
        Table::Text(match &self.revision {
            Some(revision) => format!("{} {would}{} at revision {revision}", self.name, self.action),
            None => format!("{} {would}{}", self.name, self.action),
        })
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Follows pages to the end, or until there is enough. A server that hands out the same token twice is not followed in circles.
pub(crate) struct Pages {
    token: String,
    left: Option<usize>,
}

/// How many a page has.
const PAGE: usize = 200;

impl Pages {
    /// Starts at the first page; no limit means all.
    pub(crate) const fn new(limit: Option<usize>) -> Self {
        Self { token: String::new(), left: limit }
    }

    /// The size and the token of the page to ask for.
    pub(crate) fn ask(&self) -> (i32, String) {
        let size = self.left.map_or(PAGE, |left| left.min(PAGE));
        (i32::try_from(size).unwrap_or(0), self.token.clone())
    }

    /// Whether to go on after a page.
    pub(crate) fn go_on(&mut self, received: usize, next: String) -> bool {
        self.left = self.left.map(|left| left.saturating_sub(received));
        let more = !next.is_empty() && next != self.token && self.left != Some(0);
        self.token = next;
        more
    }
}
