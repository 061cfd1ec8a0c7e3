//! `tessera token get refresh`: what was granted, anew.

use std::path::PathBuf;

use clap::Args;
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::{IssueTokenRequest, RefreshTokenGrant};
use zeroize::Zeroizing;

use super::{Asked, Issued, stdin_once};
use crate::app::App;
use crate::commands::token::ClientArgs;
use crate::connect;
use crate::console::Console;
use crate::credential::read_file;
use crate::problem::{Exit, Problem};
use crate::settings::Fixture;

/// Gets a token with a refresh token (RFC 6749 section 6). Against `tessera dev` the client is demo-app.
///
/// The refresh token is spent; with -o json or -o yaml the answer shows the one that follows it. A client without a secret is
/// named with --client-id alone.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token get refresh --refresh-token-file refresh.txt -o json
  tessera token get refresh --client-id demo-web --refresh-token-stdin \\
    < refresh.txt")]
pub struct Refresh {
    /// Read the refresh token from stdin.
    #[arg(long = "refresh-token-stdin", conflicts_with = "from_file")]
    from_stdin: bool,

    /// Read the refresh token from a file.
    #[arg(long = "refresh-token-file", value_name = "PATH")]
    from_file: Option<PathBuf>,

    #[command(flatten)]
    asked: Asked,

    #[command(flatten)]
    client: ClientArgs,
}

impl Refresh {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        stdin_once("refresh token", self.from_stdin, &self.client)?;
        let settings = app.settings()?;
        let caller = self.client.caller(&settings, &settings.issuer, Fixture::App, app)?;
        let refresh_token = self.token(app.console)?.trim().to_owned();
        if refresh_token.is_empty() {
            return Err(no_token());
        }
        let message = IssueTokenRequest {
            scopes: self.asked.scopes(),
            audience: self.asked.audience(),
            grant: Some(Grant::RefreshToken(RefreshTokenGrant { refresh_token })),
            ..IssueTokenRequest::default()
        };
        let channel = app.issuer(&settings).await?;
        let answer = connect::issue(channel, &caller, message, app.timeout()).await?;
        app.show(&Issued::from(answer))
    }

    fn token(&self, console: &mut Console) -> Result<Zeroizing<String>, Problem> {
        match &self.from_file {
            Some(path) => read_file("refresh token", path),
            None if self.from_stdin => console.read_input(),
            None if console.is_interactive() => console.ask_hidden("Refresh token: "),
            None => Err(no_token()),
        }
    }
}

fn no_token() -> Problem {
    Problem::usage("NO_TOKEN", "there is no refresh token").hint("pass --refresh-token-stdin or --refresh-token-file")
}
