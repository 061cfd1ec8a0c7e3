//! `tessera db restored`: a new epoch, after a database was set back.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tessera_issuer::operations::restored::{LONGEST, NewEpoch, Restored as Operation, Terms};
use tessera_kit::random::SystemRandom;
use tessera_store::{Database, DatabaseOptions, StoreError, backup};

use super::IssuerArgs;
use crate::app::App;
use crate::confirm::Consent;
use crate::local::{failure_problem, start_problem};
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};
use crate::seconds;

/// Begins a new epoch in a database that was restored from a backup, or failed over without its last commits. To be run while the
/// issuer is stopped, before it starts on that database. Every token, session, code and refresh token from before dies.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera db restored --config /etc/tessera/issuer.toml --dry-run
  tessera db restored --config /etc/tessera/issuer.toml --yes")]
pub(super) struct Restored {
    #[command(flatten)]
    issuer: IssuerArgs,

    #[command(flatten)]
    terms: TermsArgs,

    #[command(flatten)]
    consent: Consent,
}

/// What may be kept, and what must be waited for.
#[derive(Args, Debug)]
pub(super) struct TermsArgs {
    /// Leave alive what was issued before. Whatever was revoked since the backup, and every change of a password or a client since,
    /// is undone by this: only where you know that there was none.
    #[arg(long)]
    keep_tokens: bool,

    /// The longest `max_staleness` of any introspector that ran when the issuer was stopped. Revocations are confirmed only when that
    /// has passed, a quarter more and a second.
    #[arg(long, value_name = "SPAN", value_parser = seconds::parse, default_value = "60s")]
    max_staleness: Duration,
}

/// What was done, or would be.
#[derive(Serialize)]
pub(super) struct Epoch {
    dry_run: bool,
    former_revision: String,
    /// Where the log stands now; none yet with `--dry-run`.
    revision: Option<String>,
    tokens_from_before: &'static str,
    /// The signing keys that are accepted, as the backup has them: also those that were retired since.
    signing_keys: Vec<AcceptedKey>,
}

/// A signing key that is accepted.
#[derive(Serialize)]
pub(super) struct AcceptedKey {
    key_id: String,
    state: String,
}

/// An epoch that has begun.
pub(super) struct Begun {
    epoch: NewEpoch,
    keys: Vec<AcceptedKey>,
}

impl View for Epoch {
    fn table(&self) -> Table {
        let keys: Vec<String> = self.signing_keys.iter().map(|key| format!("{} ({})", key.key_id, key.state)).collect();
        Table::Record(vec![
            ("the log stood at", self.former_revision.clone()),
            ("it stands at", self.revision.clone().unwrap_or_default()),
            ("tokens from before", self.tokens_from_before.to_owned()),
            ("keys accepted", keys.join(", ")),
            ("done", if self.dry_run { "no, because of --dry-run" } else { "yes" }.to_owned()),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.revision.clone().unwrap_or_else(|| self.former_revision.clone())]
    }
}

impl TermsArgs {
    /// The same for the operation.
    ///
    /// # Errors
    /// Usage, where no introspector can be configured so.
    pub(super) fn read(&self) -> Result<Terms, Problem> {
        if self.max_staleness.is_zero() || self.max_staleness > LONGEST {
            return Err(Problem::usage("MAX_STALENESS", "--max-staleness is more than 0 s and at most 60 s"));
        }
        Ok(Terms { keep_tokens: self.keep_tokens, max_staleness: self.max_staleness })
    }

    /// Asks before what cannot be taken back.
    ///
    /// # Errors
    /// Usage, where the answer is no.
    pub(super) fn ask(&self, consent: Consent, app: &mut App<'_>) -> Result<(), Problem> {
        let question = if self.keep_tokens {
            "Begin a new epoch and KEEP all tokens from before, also those that were revoked since the backup?"
        } else {
            "Begin a new epoch and end every token, session, code and refresh token from before?"
        };
        consent.ask(question, app.console)
    }

    const fn fate(&self) -> &'static str {
        if self.keep_tokens { "kept, also what was revoked since the backup" } else { "dead" }
    }

    /// Shows what was done.
    pub(super) fn show(&self, Begun { epoch, keys }: Begun, app: &mut App<'_>) -> Result<Exit, Problem> {
        app.say(&format!(
            "Start the issuer. Introspectors follow by themselves. Until {} after its start it answers revocations with \
             REVOCATION_UNCONFIRMED.",
            seconds::measured(self.max_staleness + self.max_staleness / 4 + Duration::from_secs(1))
        ));
        app.say("Do again what was changed since the backup. First of all: a signing key below that was retired since must be retired again.");
        app.show(&Epoch {
            dry_run: false,
            former_revision: epoch.former.revision().to_string(),
            revision: Some(epoch.position.revision().to_string()),
            tokens_from_before: self.fate(),
            signing_keys: keys,
        })
    }
}

impl Restored {
    /// Does it.
    ///
    /// # Errors
    /// Conflict, where an issuer is at work in the database; usage, where nobody said yes.
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let terms = self.terms.read()?;
        let options = self.issuer.options()?;
        require_alone(&options).await?;
        if self.consent.dry_run {
            let database = open(&options).await?;
            let read = async { Ok::<_, StoreError>((database.log().head().await?, accepted(&database).await?)) }.await;
            database.close().await;
            let (head, signing_keys) = read.map_err(|error| failure_problem(&error))?;
            return app.show(&Epoch {
                dry_run: true,
                former_revision: head.revision().to_string(),
                revision: None,
                tokens_from_before: self.terms.fate(),
                signing_keys,
            });
        }
        self.terms.ask(self.consent, app)?;
        // Whoever had to be asked may have taken their time.
        require_alone(&options).await?;
        let begun = begin_epoch(&options, terms, app).await?;
        self.terms.show(begun, app)
    }
}

/// Refuses where anybody else has the database open.
///
/// # Errors
/// Conflict.
pub(super) async fn require_alone(options: &DatabaseOptions) -> Result<(), Problem> {
    if backup::is_alone(options).await.map_err(|error| failure_problem(&error))? {
        return Ok(());
    }
    Err(Problem::conflict("DATABASE_IN_USE", "an issuer, or another tessera, is at work in this database")
        .hint("stop every issuer first; introspectors may run on"))
}

/// Migrates a restored database, as the issuer would, and begins an epoch.
///
/// # Errors
/// Unavailable, where the database is.
pub(super) async fn begin_epoch(options: &DatabaseOptions, terms: Terms, app: &App<'_>) -> Result<Begun, Problem> {
    let database = open(options).await?;
    let begun = async {
        database.migrate().await?;
        let (clock, random) = (Arc::clone(&app.clock), SystemRandom);
        let operation = Operation { store: &database, clock: &*clock, random: &random };
        // Before anything is written: where this fails, the epoch is the former one.
        database.log().check_chain().await?;
        let keys = accepted(&database).await?;
        Ok::<_, StoreError>(Begun { epoch: operation.begin_epoch(terms).await?, keys })
    }
    .await;
    database.close().await;
    begun.map_err(|error| failure_problem(&error))
}

async fn accepted(database: &Database) -> Result<Vec<AcceptedKey>, StoreError> {
    let keys = database.keys().list().await?.into_iter().filter(|key| key.state.is_published());
    Ok(keys.map(|key| AcceptedKey { key_id: key.key.to_string(), state: key.state.to_string() }).collect())
}

async fn open(options: &DatabaseOptions) -> Result<Database, Problem> {
    Database::connect(options).await.map_err(|error| start_problem(&error.into()))
}
