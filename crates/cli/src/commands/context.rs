//! `tessera context …`: the servers you work with.

use std::path::{self, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use tessera_types::ClientId;
use zeroize::Zeroizing;

use crate::app::App;
use crate::commands::Done;
use crate::contexts::{Context as Stored, Contexts};
use crate::credential::{SecretArgs, accept};
use crate::endpoint::Endpoint;
use crate::output::{ListedView, Table, View};
use crate::problem::{Exit, Problem};
use crate::settings::{DEFAULT_ENDPOINT, DEFAULT_INTROSPECTOR, both};

/// Keeps the servers you work with, in `$XDG_CONFIG_HOME/tessera/config.toml`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera context add prod --endpoint https://issuer.example:6401 \\
    --client-id ops --secret-file ops.secret --use
  tessera context use prod")]
pub struct Context {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Add a context; --endpoint and --introspector say where its servers are.
    Add(Add),
    /// List the contexts.
    List(List),
    /// Use a context from now on.
    Use(Use),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera context add prod --endpoint https://issuer.example:6401 \\
    --client-id ops --secret-file ops.secret --use
  tessera context add lab --insecure --client-id ops --secret-stdin \\
    --endpoint http://10.0.0.7:6401 < ops.txt")]
struct Add {
    /// Its name.
    name: String,

    /// The client to be there.
    #[arg(long, value_name = "ID")]
    client_id: Option<ClientId>,

    /// Its secret: from stdin it is kept in the contexts file (readable by you alone), from a file the path is kept.
    #[command(flatten)]
    secret: SecretArgs,

    /// Allow plain http:// to another machine: credentials and tokens travel unencrypted.
    #[arg(long)]
    insecure: bool,

    /// Replace a context of this name.
    #[arg(long)]
    replace: bool,

    /// Use it from now on.
    #[arg(long = "use")]
    use_now: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera context list
  tessera context list -o name")]
struct List {}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera context use prod
  tessera context use prod && tessera health")]
struct Use {
    /// Its name.
    name: String,
}

/// A context, without its secret.
#[derive(Debug, Serialize)]
struct ContextView {
    name: String,
    current: bool,
    endpoint: String,
    introspector: String,
    client_id: Option<String>,
    insecure: bool,
}

impl View for ContextView {
    fn table(&self) -> Table {
        Table::List(Self::HEAD.to_vec(), vec![self.row()])
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

impl ListedView for ContextView {
    const HEAD: &'static [&'static str] = &["CURRENT", "NAME", "ENDPOINT", "INTROSPECTOR", "CLIENT"];

    fn row(&self) -> Vec<String> {
        vec![
            if self.current { "yes".into() } else { String::new() },
            self.name.clone(),
            self.endpoint.clone(),
            self.introspector.clone(),
            self.client_id.clone().unwrap_or_default(),
        ]
    }
}

impl Context {
    /// Runs the verb.
    ///
    /// # Errors
    /// Where the contexts file cannot be read or written, or the context is not there, or is already.
    pub fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let path = app.environment.contexts_file().ok_or_else(|| {
            Problem::usage("NO_CONFIG_HOME", "neither XDG_CONFIG_HOME nor HOME is set to an absolute path")
        })?;
        let mut contexts = Contexts::load(&path)?;
        match self.verb {
            Verb::Add(verb) => {
                let done = verb.apply(&mut contexts, app)?;
                contexts.save(&path)?;
                app.show(&done)
            }
            Verb::Use(Use { name }) => {
                contexts.find(&name)?;
                contexts.current = Some(name.clone());
                contexts.save(&path)?;
                app.show(&Done::did("in use", name, None))
            }
            Verb::List(List {}) => list(&contexts, app),
        }
    }
}

impl Add {
    fn apply(self, contexts: &mut Contexts, app: &mut App<'_>) -> Result<Done, Problem> {
        if contexts.contexts.contains_key(&self.name) && !self.replace {
            return Err(Problem::conflict("CONTEXT_EXISTS", format!("there is a context `{}` already", self.name))
                .hint("choose another name, or pass --replace"));
        }
        let endpoint = app.global.endpoint.clone().ok_or_else(|| {
            Problem::usage("NO_ENDPOINT", "a context needs --endpoint").hint("such as https://issuer.example:6401")
        })?;
        let introspector = app.global.introspector.clone();
        for url in [Some(&endpoint), introspector.as_ref()].into_iter().flatten() {
            Endpoint::parse(url)?.permit(self.insecure)?;
        }
        if self.client_id.is_none() && (self.secret.secret_stdin || self.secret.secret_file.is_some()) {
            return Err(Problem::usage("SECRET_WITHOUT_CLIENT", "there is a secret, but no client it belongs to")
                .hint("pass --client-id"));
        }
        let own = both(app.global.cert_file.clone(), app.global.key_file.clone())?;
        let context = Stored {
            endpoint: Some(endpoint),
            introspector,
            client_secret: self.kept_secret(app)?,
            client_secret_file: self.secret.secret_file.as_deref().map(absolute).transpose()?,
            client_id: self.client_id.map(|id| id.to_string()),
            ca_file: app.global.ca_file.as_deref().map(absolute).transpose()?,
            cert_file: own.as_ref().map(|(certificate, _)| absolute(certificate)).transpose()?,
            key_file: own.as_ref().map(|(_, key)| absolute(key)).transpose()?,
            insecure: self.insecure,
        };
        // A file that cannot be read is better found out now.
        context.secret()?;
        contexts.contexts.insert(self.name.clone(), context);
        if self.use_now || contexts.current.is_none() && contexts.contexts.len() == 1 {
            contexts.current = Some(self.name.clone());
        }
        Ok(Done::did(if self.replace { "replaced" } else { "added" }, self.name, None))
    }

    /// The secret that the contexts file itself keeps: from stdin, or typed where a client is named and somebody is there.
    fn kept_secret(&self, app: &mut App<'_>) -> Result<Option<Zeroizing<String>>, Problem> {
        if self.secret.secret_stdin {
            let secret = self.secret.read(app.console)?;
            return Ok(secret.map(|s| Zeroizing::new(s.expose().to_owned())));
        }
        match &self.client_id {
            Some(id) if self.secret.secret_file.is_none() && app.console.is_interactive() => {
                let question = format!("Secret of {id} (empty to keep none here): ");
                let typed = app.console.ask_hidden(&question)?;
                Ok((!typed.is_empty()).then(|| accept(&typed, "the prompt")).transpose()?.map(|_| typed))
            }
            _ => Ok(None),
        }
    }
}

fn absolute(path: &path::Path) -> Result<PathBuf, Problem> {
    path::absolute(path).map_err(|error| Problem::usage("PATH", format!("{}: {error}", path.display())))
}

fn list(contexts: &Contexts, app: &mut App<'_>) -> Result<Exit, Problem> {
    let views: Vec<ContextView> = contexts
        .contexts
        .iter()
        .map(|(name, context)| ContextView {
            name: name.clone(),
            current: contexts.current.as_ref() == Some(name),
            endpoint: context.endpoint.clone().unwrap_or_else(|| DEFAULT_ENDPOINT.into()),
            introspector: context.introspector.clone().unwrap_or_else(|| DEFAULT_INTROSPECTOR.into()),
            client_id: context.client_id.clone(),
            insecure: context.insecure,
        })
        .collect();
    if views.is_empty() {
        app.say("No contexts: commands talk to `tessera dev` on this machine.");
    }
    app.show(&views)
}
