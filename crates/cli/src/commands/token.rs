//! `tessera token …`: getting, decoding and revoking tokens.

pub mod argument;
pub mod inspect;
pub mod revoke;

use clap::{Args, Subcommand};
use serde::Serialize;
use tessera_types::{Audience, ClientId, Scope};
use zeroize::Zeroizing;

use crate::app::App;
use crate::connect;
use crate::credential::{Credential, SecretArgs};
use crate::output::{Table, View};
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
    Get(Get),
    /// Decode a token without asking anybody. Its signature is not checked.
    Inspect(inspect::Inspect),
    /// Make a token, or every token of a client, inactive.
    Revoke(revoke::Revoke),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get client-credentials
  tessera token get client-credentials --scope orders:read \\
    --client-id demo-service --secret-file secret.txt -o json")]
struct Get {
    #[command(subcommand)]
    grant: Grant,
}

#[derive(Debug, Subcommand)]
enum Grant {
    /// The client acts for itself (RFC 6749 section 4.4).
    ClientCredentials(ClientCredentials),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get client-credentials --scope tessera.admin
  tessera token get client-credentials --client-id demo-service --secret-stdin \\
    < secret.txt")]
struct ClientCredentials {
    /// A scope to ask for [default: the client's default scopes].
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ')]
    scope: Vec<Scope>,

    /// The audience the token is meant for [default: the client's first].
    #[arg(long)]
    audience: Option<Audience>,

    #[command(flatten)]
    client: ClientArgs,
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
}

impl Token {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Get(Get { grant: Grant::ClientCredentials(verb) }) => verb.run(app).await,
            Verb::Inspect(verb) => verb.run(app),
            Verb::Revoke(verb) => verb.run(app).await,
        }
    }
}

impl ClientCredentials {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let settings = app.settings()?;
        let credential = self.client.credential(&settings, &settings.issuer, Fixture::Admin, app)?;
        let scopes = self.scope.iter().map(ToString::to_string).collect();
        let audience = self.audience.map(|a| a.to_string()).unwrap_or_default();
        let channel = app.issuer(&settings).await?;
        let answer = connect::client_credentials(channel, &credential, scopes, audience, app.timeout()).await?;
        app.show(&Issued {
            expires_in: answer.expires_in.map(|span| span.seconds),
            access_token: Zeroizing::new(answer.access_token),
            token_type: answer.token_type,
            scope: answer.scope,
        })
    }
}

/// A token response (RFC 6749 section 5.1).
#[derive(Serialize)]
struct Issued {
    access_token: Zeroizing<String>,
    token_type: String,
    expires_in: Option<i64>,
    scope: String,
}

impl View for Issued {
    fn table(&self) -> Table {
        Table::Text(self.access_token.to_string())
    }

    fn names(&self) -> Vec<String> {
        vec![self.access_token.to_string()]
    }
}
