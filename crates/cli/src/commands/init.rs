//! `tessera init`: an issuer's first administrator, made on its host.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tessera_issuer::operations::setup::administrator::{ADMINISTRATOR, CredentialError, INTROSPECTOR};
use tessera_issuer::operations::setup::{Setup, Wanted};
use tessera_issuer::{Deps, server};
use tessera_kit::random::SystemRandom;
use tessera_types::PresentedSecret;
use tessera_types::scope::reserved;

use super::db::IssuerArgs;
use crate::app::App;
use crate::local::{chain, failure_problem, start_problem};
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};

/// Migrates the database, makes keys, one administrator and the introspectors' client, and writes the two secrets to files that
/// only you can read. Refuses where there is an administrator already.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera init --config /etc/tessera/issuer.toml
  tessera init --config /etc/tessera/issuer.toml --recover \\
    --admin-secret-out ./admin.secret")]
pub struct Init {
    #[command(flatten)]
    issuer: IssuerArgs,

    /// Replace the administrator's secret; its older secrets and tokens end at once. An issuer that is running follows when it next
    /// polls the database, within about 200 ms.
    #[arg(long)]
    recover: bool,

    /// Do nothing where there is an administrator and the introspectors' client already, and succeed: for a job that runs before each
    /// start. Secrets that are there are neither replaced nor written again.
    #[arg(long, conflicts_with = "recover")]
    if_needed: bool,

    /// Where to write the administrator's secret [default: tessera-admin.secret in the data directory].
    #[arg(
        long,
        value_name = "PATH",
        help = "Where to write the administrator's secret [default: in the data directory]"
    )]
    admin_secret_out: Option<PathBuf>,

    /// Where to write the introspectors' secret [default: tessera-introspector.secret in the data directory].
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with = "recover",
        help = "Where to write the introspectors' secret [default: in the data directory]"
    )]
    introspector_secret_out: Option<PathBuf>,
}

/// What was made.
#[derive(Serialize)]
struct Made {
    issuer_url: String,
    administrator: Credential,
    #[serde(skip_serializing_if = "Option::is_none")]
    introspector: Option<Credential>,
}

#[derive(Serialize)]
struct Credential {
    client_id: &'static str,
    secret_file: String,
}

impl Init {
    /// Sets the issuer up.
    ///
    /// # Errors
    /// Conflict, where there is an administrator or a file is in the way; configuration; unavailable, where the database is.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let config = self.issuer.load()?;
        let deps = Deps { clock: Arc::clone(&app.clock), random: Arc::new(SystemRandom) };
        let (checked, store, keks) = server::open(&config, &deps).await.map_err(|error| start_problem(&error))?;
        let setup = Setup { store: &store, clock: &*deps.clock, random: &*deps.random };
        let made = async {
            setup.begin().await.map_err(|e| failed(&e))?;
            let wanted = Wanted::read(checked.keys.files.as_ref(), checked.keys.algorithm).map_err(|e| failed(&e))?;
            if let Some(wanted) = wanted {
                setup.signing_keys(&keks, wanted).await.map_err(|e| failed(&e))?;
            }
            if self.if_needed && is_set_up(&setup).await? {
                return Ok(None);
            }
            self.credentials(&setup, &config, &checked).await.map(Some)
        }
        .await;
        store.close().await;
        let Some(made) = made? else {
            app.say("There is an administrator already, and the introspectors' client: nothing was done.");
            return Ok(Exit::Ok);
        };
        app.say("Each secret is in its file and nowhere else. Next, where you work:");
        app.say(&format!(
            "  tessera context add NAME --endpoint URL --client-id {ADMINISTRATOR} --secret-file {} --use",
            made.administrator.secret_file
        ));
        app.show(&made)
    }

    /// Refuses before anything is written where somebody administers already; `Setup` refuses again, in its own transaction.
    async fn require_none(&self, setup: &Setup<'_>) -> Result<(), Problem> {
        let scope = reserved::ADMIN.parse().map_err(|error| failed(&error))?;
        let taken = setup.store.clients().any_with_scope(&scope).await.map_err(|error| failure_problem(&error))?;
        if taken && !self.recover { Err(refused(CredentialError::Exists)) } else { Ok(()) }
    }

    /// The files come first: a credential whose file cannot be written would be lost.
    async fn credentials(
        &self,
        setup: &Setup<'_>,
        config: &tessera_issuer::Config,
        checked: &tessera_issuer::config::Checked,
    ) -> Result<Made, Problem> {
        let place = |named: &Option<PathBuf>, id: &str| {
            named.clone().unwrap_or_else(|| config.data_dir.join(format!("{id}.secret")))
        };
        self.require_none(setup).await?;
        let administrator = SecretFile::stage(&place(&self.admin_secret_out, ADMINISTRATOR), self.recover)?;
        let introspector = if self.recover {
            None
        } else {
            Some(SecretFile::stage(&place(&self.introspector_secret_out, INTROSPECTOR), false)?)
        };
        let secret = setup.administrator(&checked.issuer_audience, self.recover).await.map_err(refused)?;
        let administrator = Credential { client_id: ADMINISTRATOR, secret_file: administrator.keep(&secret)? };
        let introspector = match introspector {
            None => None,
            Some(file) => {
                let secret = setup.introspector(&checked.issuer_audience).await.map_err(refused)?;
                Some(Credential { client_id: INTROSPECTOR, secret_file: file.keep(&secret)? })
            }
        };
        Ok(Made { issuer_url: checked.issuer_url.clone(), administrator, introspector })
    }
}

/// Whether an earlier run has made both credentials. One that ended in between has made the administrator alone: that is not silently
/// passed over.
async fn is_set_up(setup: &Setup<'_>) -> Result<bool, Problem> {
    let clients = setup.store.clients();
    let administer = reserved::ADMIN.parse().map_err(|error| failed(&error))?;
    let administrator = clients.any_with_scope(&administer).await.map_err(|error| failure_problem(&error))?;
    let follow = INTROSPECTOR.parse().map_err(|error| failed(&error))?;
    let introspector = clients.find(&follow).await.map_err(|error| failure_problem(&error))?;
    Ok(administrator && introspector.is_some())
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn refused(error: CredentialError) -> Problem {
    match error {
        CredentialError::Exists => Problem::conflict("ADMINISTRATOR_EXISTS", "there is an administrator already")
            .hint("tessera init --recover gives tessera-admin a new secret, and ends its older ones"),
        other => failed(&other),
    }
}

fn failed(error: &dyn std::error::Error) -> Problem {
    Problem::internal("INIT", chain(error))
}

/// A file for a secret that does not exist yet: made under another name, so that a failure leaves nothing behind.
struct SecretFile {
    staged: tempfile::NamedTempFile,
    path: PathBuf,
    replace: bool,
}

impl SecretFile {
    fn stage(path: &Path, replace: bool) -> Result<Self, Problem> {
        if !replace && path.exists() {
            return Err(Problem::conflict("SECRET_FILE_EXISTS", format!("{} is there already", path.display()))
                .hint("move it away, or name another file with --admin-secret-out or --introspector-secret-out"));
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The crate makes it with mode 0600.
        let staged = tempfile::NamedTempFile::new_in(folder).map_err(|error| unwritable(path, &error))?;
        Ok(Self { staged, path: path.to_owned(), replace })
    }

    /// Writes the secret, and gives the file its name.
    fn keep(mut self, secret: &PresentedSecret) -> Result<String, Problem> {
        let written = writeln!(self.staged, "{}", secret.expose()).and_then(|()| self.staged.as_file().sync_all());
        written.map_err(|error| unwritable(&self.path, &error))?;
        let named =
            if self.replace { self.staged.persist(&self.path) } else { self.staged.persist_noclobber(&self.path) };
        named.map_err(|error| unwritable(&self.path, &error.error))?;
        let absolute = fs::canonicalize(&self.path).unwrap_or(self.path);
        Ok(absolute.display().to_string())
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::internal("SECRET_FILE", format!("cannot write {}: {error}", path.display()))
}

impl View for Made {
    fn table(&self) -> Table {
        let mut sides = vec![("issuer URL", self.issuer_url.clone())];
        for made in std::iter::once(&self.administrator).chain(&self.introspector) {
            sides.push(("client id", made.client_id.to_owned()));
            sides.push(("secret in", made.secret_file.clone()));
        }
        Table::Record(sides)
    }

    fn names(&self) -> Vec<String> {
        std::iter::once(&self.administrator).chain(&self.introspector).map(|made| made.client_id.to_owned()).collect()
    }
}
