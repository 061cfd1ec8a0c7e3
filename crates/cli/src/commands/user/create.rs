//! `tessera user create`: registers a user.

use clap::Args;
use tessera_api::admin::v1 as wire;
use tessera_types::{Email, Username};

use super::view::UserView;
use super::{present, service};
use crate::app::App;
use crate::connect::Access;
use crate::password::NewPasswordArgs;
use crate::problem::{Exit, Problem};

/// Registers a user.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user create --username ada --email ada@example.test \\
    --name 'Ada Lovelace'
  tessera user create --username ada --password-hash-file hash.txt -o json")]
pub struct Create {
    /// What they sign in with; unique, whatever its case.
    #[arg(long, value_name = "NAME")]
    username: Username,

    /// Their e-mail address, with which they may sign in too.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<Email>,

    /// What people call them.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,

    #[command(flatten)]
    password: NewPasswordArgs,

    /// They have no password, and cannot sign in with one until they are given it.
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file", "password_hash_file"])]
    no_password: bool,
}

impl Create {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let password = if self.no_password {
            None
        } else {
            let read = self.password.read(self.username.as_str(), app.console).map_err(|problem| {
                if problem.reason != "NO_PASSWORD" {
                    return problem;
                }
                problem.hint("pass --password-stdin, --password-file, --password-hash-file or --no-password")
            });
            Some(read?.0)
        };
        let user = wire::User {
            username: self.username.to_string(),
            email: self.email.map(|email| email.to_string()).unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            ..wire::User::default()
        };
        let admin = app.administrator(Access::Write).await?;
        let message = wire::CreateUserRequest { user: Some(user), password };
        let answer = service(&admin).create_user(admin.request(message)).await?.into_inner();
        app.show(&UserView::from(present(answer.user)?))
    }
}
