//! `tessera completion`: scripts that complete commands and flags.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::app::App;
use crate::args::Cli;
use crate::problem::{Exit, Problem};

/// Writes a completion script to stdout.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera completion bash > ~/.local/share/bash-completion/completions/tessera
  tessera completion fish > ~/.config/fish/completions/tessera.fish")]
pub struct Completion {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    /// Writes it.
    ///
    /// # Errors
    /// Internal, where stdout refuses it.
    pub fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tessera", &mut script);
        app.console.out(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Ok)
    }
}
