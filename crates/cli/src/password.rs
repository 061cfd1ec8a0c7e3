//! A user's password on the command line: from stdin, from a file or typed, never a flag's value.

use std::path::PathBuf;

use clap::Args;
use tessera_api::admin::v1 as wire;
use tessera_types::PresentedSecret;

use crate::console::Console;
use crate::credential::{accept_as, read_file};
use crate::problem::Problem;

/// What the messages call it.
const WHAT: &str = "password";

/// Where a password is read from.
#[derive(Args, Clone, Debug, Default)]
pub struct PasswordArgs {
    /// Read the password from stdin.
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,

    /// Read the password from a file.
    #[arg(long, value_name = "PATH")]
    password_file: Option<PathBuf>,
}

/// Where a new password is read from, or the hash that another system kept of it.
#[derive(Args, Clone, Debug, Default)]
pub struct NewPasswordArgs {
    #[command(flatten)]
    plain: PasswordArgs,

    /// Read a hash to import from a file: argon2id as a PHC string, or bcrypt.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["password_stdin", "password_file"])]
    password_hash_file: Option<PathBuf>,
}

/// How a new password came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag says where it stands.
    Given,
    /// Somebody typed it, twice.
    Typed,
}

impl PasswordArgs {
    /// Whether stdin is taken by the password.
    #[must_use]
    pub const fn uses_stdin(&self) -> bool {
        self.password_stdin
    }

    /// The password of somebody who has one; asks where there is somebody to ask.
    ///
    /// # Errors
    /// Usage, where it cannot be read, is empty or too long, or is nowhere.
    pub fn read(&self, who: &str, console: &mut Console) -> Result<PresentedSecret, Problem> {
        match self.given(console)? {
            Some(password) => Ok(password),
            None if console.is_interactive() => {
                accept_as(WHAT, &console.ask_hidden(&format!("Password of {who}: "))?, "the prompt")
            }
            None => Err(missing("pass --password-stdin or --password-file")),
        }
    }

    fn given(&self, console: &mut Console) -> Result<Option<PresentedSecret>, Problem> {
        if self.password_stdin {
            return accept_as(WHAT, &console.read_input()?, "stdin").map(Some);
        }
        let Some(path) = &self.password_file else { return Ok(None) };
        accept_as(WHAT, &read_file(WHAT, path)?, &path.display().to_string()).map(Some)
    }
}

impl NewPasswordArgs {
    /// The new password; asks twice where there is somebody to ask.
    ///
    /// # Errors
    /// Usage, where it cannot be read, is empty or too long, was mistyped, or is nowhere.
    pub fn read(&self, who: &str, console: &mut Console) -> Result<(wire::Password, Origin), Problem> {
        if let Some(path) = &self.password_hash_file {
            let hash = read_file("hash", path)?.trim().to_owned();
            return Ok((wire::Password { value: Some(wire::password::Value::Hash(hash)) }, Origin::Given));
        }
        if let Some(password) = self.plain.given(console)? {
            return Ok((plain(&password), Origin::Given));
        }
        if !console.is_interactive() {
            return Err(missing("pass --password-stdin, --password-file or --password-hash-file"));
        }
        let password = console.ask_hidden(&format!("New password of {who}: "))?;
        if *console.ask_hidden("Again: ")? != *password {
            return Err(Problem::usage("PASSWORDS_DIFFER", "the two passwords are not the same"));
        }
        Ok((plain(&accept_as(WHAT, &password, "the prompt")?), Origin::Typed))
    }
}

fn plain(password: &PresentedSecret) -> wire::Password {
    wire::Password { value: Some(wire::password::Value::Plain(password.expose().to_owned())) }
}

fn missing(hint: &str) -> Problem {
    Problem::usage("NO_PASSWORD", "there is no password, and nobody to ask for it").hint(hint)
}
