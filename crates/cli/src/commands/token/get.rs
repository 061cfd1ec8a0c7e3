//! `tessera token get`: a grant is run, and its token printed.

pub mod auth_code;
mod listener;
pub mod password;
pub mod refresh;

use clap::{Args, Subcommand};
use serde::Serialize;
use tessera_api::oauth::v1::IssueTokenResponse;
use tessera_types::{Audience, Scope};
use zeroize::Zeroizing;

use super::ClientArgs;
use crate::app::App;
use crate::connect;
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};
use crate::settings::Fixture;

/// Gets a token from the issuer and prints it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get client-credentials
  tessera token get password --username ada \\
    --client-id demo-app --secret-file secret.txt -o json")]
pub struct Get {
    #[command(subcommand)]
    grant: Grant,
}

#[derive(Debug, Subcommand)]
enum Grant {
    /// The client acts for itself (RFC 6749 section 4.4).
    ClientCredentials(ClientCredentials),
    /// The client presents a user's password (RFC 6749 section 4.3).
    Password(password::Password),
    /// The client renews what it was granted (RFC 6749 section 6).
    Refresh(refresh::Refresh),
    /// A user signs in with a browser and allows it (RFC 6749 section 4.1).
    AuthCode(auth_code::AuthCode),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get client-credentials --scope tessera.admin
  tessera token get client-credentials --client-id demo-service --secret-stdin \\
    < secret.txt")]
struct ClientCredentials {
    #[command(flatten)]
    asked: Asked,

    #[command(flatten)]
    client: ClientArgs,
}

/// What a token is asked for.
#[derive(Args, Debug)]
struct Asked {
    /// A scope to ask for [default: the client's default scopes, or those granted before].
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ')]
    scope: Vec<Scope>,

    /// The audience the token is meant for [default: the client's first, or the one asked for before].
    #[arg(long)]
    audience: Option<Audience>,
}

impl Asked {
    fn scopes(&self) -> Vec<String> {
        self.scope.iter().map(ToString::to_string).collect()
    }

    fn audience(&self) -> String {
        self.audience.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

impl Get {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.grant {
            Grant::ClientCredentials(grant) => grant.run(app).await,
            Grant::Password(grant) => grant.run(app).await,
            Grant::Refresh(grant) => grant.run(app).await,
            Grant::AuthCode(grant) => grant.run(app).await,
        }
    }
}

impl ClientCredentials {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let settings = app.settings()?;
        let credential = self.client.credential(&settings, &settings.issuer, Fixture::Admin, app)?;
        let channel = app.issuer(&settings).await?;
        let (scopes, audience) = (self.asked.scopes(), self.asked.audience());
        let answer = connect::client_credentials(channel, &credential, scopes, audience, app.timeout()).await?;
        app.show(&Issued::from(answer))
    }
}

/// Refuses to read two things from stdin.
fn stdin_once(what: &str, takes_it: bool, client: &ClientArgs) -> Result<(), Problem> {
    if takes_it && client.uses_stdin() {
        return Err(Problem::usage(
            "STDIN_TAKEN_TWICE",
            format!("the {what} and the secret cannot both come from stdin"),
        )
        .hint("use --secret-file, or set TESSERA_CLIENT_SECRET_FILE"));
    }
    Ok(())
}

/// A token response (RFC 6749 section 5.1).
#[derive(Serialize)]
struct Issued {
    access_token: Zeroizing<String>,
    token_type: String,
    expires_in: Option<i64>,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Zeroizing<String>>,
}

impl From<IssueTokenResponse> for Issued {
    fn from(answer: IssueTokenResponse) -> Self {
        Self {
            expires_in: answer.expires_in.map(|span| span.seconds),
            access_token: Zeroizing::new(answer.access_token),
            token_type: answer.token_type,
            scope: answer.scope,
            refresh_token: Some(answer.refresh_token).filter(|token| !token.is_empty()).map(Zeroizing::new),
        }
    }
}

impl View for Issued {
    fn table(&self) -> Table {
        Table::Text(self.access_token.to_string())
    }

    fn names(&self) -> Vec<String> {
        vec![self.access_token.to_string()]
    }
}
