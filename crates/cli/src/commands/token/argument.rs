//! A token as an argument: given, or read from stdin.

use clap::Args;
use zeroize::Zeroizing;

use crate::console::Console;
use crate::problem::Problem;

/// A token.
#[derive(Args, Clone, Default)]
pub struct TokenArg {
    /// The token, or `-` for stdin, which keeps it out of the shell's history.
    #[arg(value_name = "TOKEN", default_value = "-", hide_default_value = true)]
    token: Zeroizing<String>,
}

impl std::fmt::Debug for TokenArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenArg(…)")
    }
}

impl TokenArg {
    /// Whether it comes from stdin.
    #[must_use]
    pub fn is_stdin(&self) -> bool {
        *self.token == "-"
    }

    /// The token, without white space around it. Somebody at a terminal is asked, without echo.
    ///
    /// # Errors
    /// Usage, where it is empty or cannot be read.
    pub fn read(&self, console: &mut Console) -> Result<Zeroizing<String>, Problem> {
        let text = match self.is_stdin() {
            true if console.is_interactive() => console.ask_hidden("Token: ")?,
            true => console.read_input()?,
            false => self.token.clone(),
        };
        let token = Zeroizing::new(text.trim().to_owned());
        if token.is_empty() {
            return Err(Problem::usage("NO_TOKEN", "there is no token").hint("pass it as the argument or on stdin"));
        }
        Ok(token)
    }
}
