//! `tessera token get password`: for first-party clients, where the operator turned the grant on.

use clap::Args;
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::{IssueTokenRequest, PasswordGrant};

use super::{Asked, Issued, stdin_once};
use crate::app::App;
use crate::commands::token::ClientArgs;
use crate::connect;
use crate::password::PasswordArgs;
use crate::problem::{Exit, Problem};
use crate::settings::Fixture;

/// Gets a token with a user's password (RFC 6749 section 4.3). Against `tessera dev` the client is demo-app.
///
/// The grant is off unless the operator turned it on, and then for first-party clients that were given it. A client without a
/// secret is named with --client-id alone.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get password --username ada
  tessera token get password --username ada --password-file password.txt \\
    -o json | jq -r .refresh_token")]
pub struct Password {
    /// The username or e-mail address of the user to act for.
    #[arg(long, value_name = "NAME")]
    username: String,

    #[command(flatten)]
    given: PasswordArgs,

    #[command(flatten)]
    asked: Asked,

    #[command(flatten)]
    client: ClientArgs,
}

impl Password {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        stdin_once("password", self.given.uses_stdin(), &self.client)?;
        let settings = app.settings()?;
        let caller = self.client.caller(&settings, &settings.issuer, Fixture::App, app)?;
        let password = self.given.read(&self.username, app.console)?.expose().to_owned();
        let message = IssueTokenRequest {
            scopes: self.asked.scopes(),
            audience: self.asked.audience(),
            grant: Some(Grant::Password(PasswordGrant { username: self.username, password })),
            ..IssueTokenRequest::default()
        };
        let channel = app.issuer(&settings).await?;
        let answer = connect::issue(channel, &caller, message, app.timeout()).await?;
        app.show(&Issued::from(answer))
    }
}
