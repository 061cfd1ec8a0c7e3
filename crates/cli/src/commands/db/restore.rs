//! `tessera db restore`: a backup in the place of a database that is gone, with a new epoch.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::Args;
use tempfile::NamedTempFile;
use tessera_issuer::operations::restored::Terms;
use tessera_store::{Database, DatabaseOptions, StoreError, backup};

use super::IssuerArgs;
use super::manifest::{Kind, Manifest, fingerprint, unreadable, unwritable};
use super::programs::{self, Target};
use super::restored::{Begun, TermsArgs, begin_epoch, require_alone};
use crate::app::App;
use crate::confirm::Consent;
use crate::local::{failure_problem, start_problem};
use crate::problem::{Exit, Problem};

/// Puts a backup where the issuer's configuration says that the database is, and begins a new epoch in it, as `tessera db restored`
/// does. To be run while the issuer is stopped. There must be nothing: a file that is in the way, or tables, are yours to move away.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera db restore --from /backup/tessera-2026-11-26.db --dry-run
  tessera db restore --config /etc/tessera/issuer.toml \\
    --from /backup/tessera.dump --yes")]
pub(super) struct Restore {
    #[command(flatten)]
    issuer: IssuerArgs,

    /// A file that `tessera db backup` has written. Its manifest is read where it stands beside it.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,

    #[command(flatten)]
    terms: TermsArgs,

    #[command(flatten)]
    consent: Consent,
}

impl Restore {
    /// Does it.
    ///
    /// # Errors
    /// Usage, where the backup is damaged or of another database; conflict, where something is in the way.
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let terms = self.terms.read()?;
        let options = self.issuer.options()?;
        let file = options.sqlite_file();
        let kind = if file.is_some() { Kind::Sqlite } else { Kind::Postgres };
        self.compare(kind, app)?;
        match &file {
            Some(file) => require_absent(file)?,
            None => require_empty(&options).await?,
        }
        if kind == Kind::Postgres {
            programs::list(&self.from).await?;
        } else {
            backup::check_sqlite(&self.from).await.map_err(|error| failure_problem(&error))?;
        }
        if self.consent.dry_run {
            app.say("The backup can be read, and nothing is in its way. Nothing was done, because of --dry-run.");
            return Ok(Exit::Ok);
        }
        self.terms.ask(self.consent, app)?;
        let begun = match file {
            Some(file) => self.restore_sqlite(&file, terms, app).await?,
            None => self.restore_postgres(&options, terms, app).await?,
        };
        self.terms.show(begun, app)
    }

    /// Whether the file is the one its manifest is of.
    fn compare(&self, kind: Kind, app: &mut App<'_>) -> Result<(), Problem> {
        let (size, sha256) = fingerprint(&self.from)?;
        let Some(manifest) = Manifest::read(&self.from)? else {
            app.say("There is no manifest beside the backup, so nothing to compare it with.");
            return Ok(());
        };
        if manifest.database != kind {
            let (found, wanted) = (manifest.database.as_str(), kind.as_str());
            return Err(Problem::usage(
                "BACKUP_KIND",
                format!("the backup is of {found}, the configuration of {wanted}"),
            ));
        }
        if (manifest.size, manifest.sha256) != (size, sha256) {
            let message = format!("{} is not what its manifest says: it was damaged or cut off", self.from.display());
            return Err(Problem::usage("BACKUP_DAMAGED", message).hint("take another backup"));
        }
        Ok(())
    }

    /// The epoch begins before the file has its name: at no moment could an issuer start on the former one.
    async fn restore_sqlite(&self, to: &Path, terms: Terms, app: &App<'_>) -> Result<Begun, Problem> {
        let folder = to.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let staged = NamedTempFile::new_in(folder).map_err(|error| unwritable(to, &error))?;
        let copied = File::open(&self.from).and_then(|mut from| std::io::copy(&mut from, &mut staged.as_file()));
        copied.map_err(|error| unreadable(&self.from, &error))?;
        let options = DatabaseOptions::new(format!("sqlite://{}?mode=rw", staged.path().display()));
        let begun = begin_epoch(&options, terms, app).await?;
        let synced = File::open(staged.path()).and_then(|file| file.sync_all());
        synced.map_err(|error| unwritable(to, &error))?;
        staged.persist_noclobber(to).map_err(|error| unwritable(to, &error.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(to, &error))?;
        Ok(begun)
    }

    async fn restore_postgres(
        &self,
        options: &DatabaseOptions,
        terms: Terms,
        app: &mut App<'_>,
    ) -> Result<Begun, Problem> {
        let target = Target::new(&options.url)?;
        app.say("Should this be cut off: run tessera db restored before the issuer starts, or empty the database and restore again.");
        let arguments = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"];
        target.run("pg_restore", &arguments, &self.from).await?;
        begin_epoch(options, terms, app).await.map_err(|problem| {
            problem.hint("the backup is in the database, but its epoch is the former one: run tessera db restored")
        })
    }
}

/// A database in place of which nothing is put, with the files that SQLite keeps beside it.
fn require_absent(file: &Path) -> Result<(), Problem> {
    let with = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    match ["", "-wal", "-shm"].map(with).into_iter().find(|path| fs::symlink_metadata(path).is_ok()) {
        None => Ok(()),
        Some(path) => Err(Problem::conflict("DATABASE_EXISTS", format!("{} is there", path.display()))
            .hint("stop the issuer, and move the old database away with its -wal and -shm")),
    }
}

async fn require_empty(options: &DatabaseOptions) -> Result<(), Problem> {
    require_alone(options).await?;
    let database = Database::connect(options).await.map_err(|error| start_problem(&error.into()))?;
    let empty: Result<bool, StoreError> = database.is_empty().await;
    database.close().await;
    if empty.map_err(|error| failure_problem(&error))? {
        return Ok(());
    }
    Err(Problem::conflict("DATABASE_EXISTS", "there are tables in the database")
        .hint("make an empty one (createdb) and name it in [database] url, or drop the old one and make it anew"))
}
