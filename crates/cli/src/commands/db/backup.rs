//! `tessera db backup`: the whole database in one file, as of one moment, while the issuer runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tempfile::NamedTempFile;
use tessera_kit::serve;
use tessera_store::{Database, DatabaseOptions, StoreError, backup};

use super::IssuerArgs;
use super::manifest::{Kind, Manifest, fingerprint, unwritable};
use super::programs::{self, Target};
use crate::app::App;
use crate::local::{failure_problem, start_problem};
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};

/// How often somebody at a terminal is told how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

/// Writes the whole database to a file, as of one moment, while the issuer goes on; checks the file, and writes a manifest beside it.
/// The key-encryption key is not in it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera db backup --out /backup/tessera-2026-11-26.db
  tessera db backup --config /etc/tessera/issuer.toml \\
    --out /backup/tessera.dump -o json")]
pub(super) struct Backup {
    #[command(flatten)]
    issuer: IssuerArgs,

    /// The file to write; it must not be there yet. PostgreSQL's is one of `pg_dump --format=custom`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    file: String,
    manifest_file: String,
    #[serde(flatten)]
    manifest: Manifest,
}

impl View for Written {
    fn table(&self) -> Table {
        Table::Record(vec![
            ("file", self.file.clone()),
            ("manifest", self.manifest_file.clone()),
            ("database", self.manifest.database.as_str().to_owned()),
            ("size", format!("{} bytes", self.manifest.size)),
            ("epoch", self.manifest.epoch.clone()),
            ("revision", self.manifest.revision.to_string()),
            ("sha256", self.manifest.sha256.clone()),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

impl Backup {
    /// Writes it.
    ///
    /// # Errors
    /// Conflict, where a file is in the way; unavailable, where the database or PostgreSQL's program fails.
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        for path in [&self.out, &Manifest::path(&self.out)] {
            if path.exists() {
                let message = format!("{} is there already", path.display());
                return Err(Problem::conflict("BACKUP_FILE_EXISTS", message).hint("name another file with --out"));
            }
        }
        let options = self.issuer.options()?;
        let folder = self.out.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The crate makes it with mode 0600, and a failure leaves nothing behind. What is killed leaves what a clean-up by name finds.
        let name = self.out.file_name().unwrap_or_default().display().to_string();
        let staged = tempfile::Builder::new().prefix(&format!("{name}.")).suffix(".part").tempfile_in(folder);
        let staged = staged.map_err(|error| unwritable(&self.out, &error))?;
        let manifest = tokio::select! {
            manifest = fill(&staged, &options, app) => manifest?,
            _ = serve::terminated() => {
                return Err(Problem::unavailable("INTERRUPTED", "the backup was interrupted; nothing of it is left"));
            }
        };
        let written = self.keep(staged, folder, manifest)?;
        app.say("Checked and on disk. Not in it: the key-encryption key ([secrets] kek_file), without which no signing key in it");
        app.say("can be used. Keep a copy of that key, and keep it apart from this file.");
        app.show(&written)
    }

    /// Gives the file its name, once everything of it is on disk, its manifest too.
    fn keep(&self, staged: NamedTempFile, folder: &Path, mut manifest: Manifest) -> Result<Written, Problem> {
        // VACUUM INTO and pg_dump have written through handles of their own.
        let synced = File::open(staged.path()).and_then(|file| file.sync_all());
        synced.map_err(|error| unwritable(&self.out, &error))?;
        (manifest.size, manifest.sha256) = fingerprint(staged.path())?;
        let beside = manifest.write(&self.out)?;
        if let Err(error) = staged.persist_noclobber(&self.out) {
            // Of nothing. Where it cannot be taken away either, the next backup of this name says that it is in the way.
            let _ = fs::remove_file(&beside);
            return Err(unwritable(&self.out, &error.error));
        }
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(&self.out, &error))?;
        let absolute = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        Ok(Written { file: absolute(&self.out), manifest_file: absolute(&beside), manifest })
    }
}

/// Writes the database into the file.
async fn fill(staged: &NamedTempFile, options: &DatabaseOptions, app: &mut App<'_>) -> Result<Manifest, Problem> {
    let mut manifest = begin(app, options);
    if manifest.database == Kind::Sqlite {
        let copying = async { backup::copy_sqlite(options, staged.path()).await.map_err(|e| failed(&e)) };
        with_progress(app, staged.path(), copying).await?;
        check_sqlite(staged.path(), &mut manifest).await?;
    } else {
        let dumping = dump(options, staged.path(), &mut manifest);
        with_progress(app, staged.path(), dumping).await?;
    }
    Ok(manifest)
}

fn begin(app: &App<'_>, options: &DatabaseOptions) -> Manifest {
    Manifest {
        database: if options.sqlite_file().is_some() { Kind::Sqlite } else { Kind::Postgres },
        time: app.clock.now().to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema: String::new(),
        epoch: String::new(),
        revision: 0,
        hash: String::new(),
        size: 0,
        sha256: String::new(),
    }
}

/// Whether the copy is whole; and where it stands.
async fn check_sqlite(copy: &Path, manifest: &mut Manifest) -> Result<(), Problem> {
    backup::check_sqlite(copy).await.map_err(|error| failed(&error))?;
    let database = Database::open_copy(copy).await.map_err(|error| start_problem(&error.into()))?;
    let looked = async {
        let chain = database.log().check_chain().await?;
        manifest.set_position(chain.head.revision(), &chain.head.hash);
        manifest.schema = schema(&database).await?;
        Ok::<_, StoreError>(())
    }
    .await;
    database.close().await;
    looked.map_err(|error| failed(&error))
}

/// Dumps the moment at which the log stands where the manifest says.
async fn dump(options: &DatabaseOptions, to: &Path, manifest: &mut Manifest) -> Result<(), Problem> {
    let target = Target::new(&options.url)?;
    let database = Database::connect(options).await.map_err(|error| start_problem(&error.into()))?;
    let dumped = async {
        manifest.schema = schema(&database).await.map_err(|error| failed(&error))?;
        let moment = database.share_moment().await.map_err(|error| failed(&error))?;
        let moment = moment.ok_or_else(|| Problem::internal("BACKUP", "the database is no PostgreSQL"))?;
        manifest.set_position(moment.position.revision(), &moment.position.hash);
        let snapshot = format!("--snapshot={}", moment.id);
        let arguments = ["--format=custom", "--no-owner", "--no-privileges", &snapshot, "--file"];
        target.run("pg_dump", &arguments, to).await?;
        moment.end().await.map_err(|error| failed(&error))
    }
    .await;
    database.close().await;
    dumped?;
    if programs::list(to).await?.contains("TABLE DATA public log_head") {
        Ok(())
    } else {
        Err(Problem::internal("BACKUP", "the dump does not hold the log's head"))
    }
}

/// The last migration that was applied.
async fn schema(database: &Database) -> Result<String, StoreError> {
    let status = database.migration_status().await?;
    Ok(status.into_iter().rfind(tessera_store::MigrationStatus::is_applied).map(|last| last.name).unwrap_or_default())
}

/// Tells somebody at a terminal how large the file is by now.
async fn with_progress<T>(
    app: &mut App<'_>,
    file: &Path,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(PROGRESS);
    ticks.tick().await;
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => {
                let size = fs::metadata(file).map_or(0, |file| file.len());
                app.say(&format!("  {} KiB written", size / 1024));
            }
        }
    }
}

fn failed(error: &StoreError) -> Problem {
    failure_problem(error)
}
