//! `tessera token …`: getting, decoding and revoking tokens.

pub mod argument;
pub mod get;
pub mod inspect;
pub mod revoke;

use clap::{Args, Subcommand};
use tessera_types::ClientId;
use tonic::metadata::{Ascii, MetadataValue};

use crate::app::App;
use crate::credential::{Caller, Credential, SecretArgs};
use crate::problem::{Exit, Problem};
use crate::settings::{Fixture, Given, Settings};

/// Gets, decodes and revokes tokens.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get client-credentials --scope tessera.admin
  tessera token get client-credentials | tessera token inspect -")]
pub struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Get a token from the issuer and print it.
    Get(get::Get),
    /// Decode a token without asking anybody. Its signature is not checked.
    Inspect(inspect::Inspect),
    /// Make a token, or every token of a client or a user, inactive.
    Revoke(revoke::Revoke),
}

/// Another client than the context's.
#[derive(Args, Debug, Default)]
pub struct ClientArgs {
    /// The client to be [default: the context's].
    #[arg(long, value_name = "ID")]
    client_id: Option<ClientId>,

    #[command(flatten)]
    secret: SecretArgs,
}

impl ClientArgs {
    /// Whether stdin is taken by the secret.
    #[must_use]
    pub const fn uses_stdin(&self) -> bool {
        self.secret.secret_stdin
    }

    /// The credential to use: asks for a secret that is nowhere, where there is somebody to ask.
    ///
    /// # Errors
    /// As [`Settings::credential`].
    pub fn credential(
        &self,
        settings: &Settings,
        towards: &crate::endpoint::Endpoint,
        fixture: Fixture,
        app: &mut App<'_>,
    ) -> Result<Credential, Problem> {
        let secret = self.secret.read(app.console)?;
        match settings.credential(&Given { client_id: self.client_id.clone(), secret }, towards, fixture) {
            Err(problem) if problem.reason == "NO_SECRET" && app.console.is_interactive() => {
                let Some(client_id) = self.client_id.clone() else { return Err(problem) };
                let typed = app.console.ask_hidden(&format!("Secret of {client_id}: "))?;
                Ok(Credential { client_id, secret: crate::credential::accept(&typed, "the prompt")? })
            }
            answer => answer,
        }
    }

    /// What a request carries: Basic, or nothing where one is known by a certificate alone.
    ///
    /// # Errors
    /// As [`Settings::credential`].
    pub fn authorization(
        &self,
        settings: &Settings,
        towards: &crate::endpoint::Endpoint,
        fixture: Fixture,
        app: &mut App<'_>,
    ) -> Result<Option<MetadataValue<Ascii>>, Problem> {
        let no_secret = !self.secret.secret_stdin && self.secret.secret_file.is_none();
        let flags = Given { client_id: self.client_id.clone(), secret: None };
        if no_secret && settings.is_by_certificate(&flags, towards) {
            return Ok(None);
        }
        self.credential(settings, towards, fixture, app)?.basic().map(Some)
    }

    /// As [`Self::credential`], where the client may be one without a secret; nobody is asked for one.
    ///
    /// # Errors
    /// As [`Settings::caller`].
    pub fn caller(
        &self,
        settings: &Settings,
        towards: &crate::endpoint::Endpoint,
        fixture: Fixture,
        app: &mut App<'_>,
    ) -> Result<Caller, Problem> {
        let secret = self.secret.read(app.console)?;
        settings.caller(&Given { client_id: self.client_id.clone(), secret }, towards, fixture)
    }
}

impl Token {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Get(verb) => verb.run(app).await,
            Verb::Inspect(verb) => verb.run(app),
            Verb::Revoke(verb) => verb.run(app).await,
        }
    }
}
