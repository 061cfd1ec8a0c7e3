//! Asking before something that cannot be taken back.

use clap::Args;

use crate::console::Console;
use crate::problem::Problem;

/// The flags of destructive commands.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Consent {
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub yes: bool,

    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

impl Consent {
    /// Asks, unless `--yes` was given.
    ///
    /// # Errors
    /// Usage, where the answer is not yes or there is nobody to ask.
    pub fn ask(self, question: &str, console: &mut Console) -> Result<(), Problem> {
        if self.yes {
            return Ok(());
        }
        if !console.is_interactive() {
            return Err(Problem::usage("NOT_CONFIRMED", "this needs a confirmation, and there is nobody to ask")
                .hint("pass --yes to do it, or --dry-run to see what it would do"));
        }
        match console.ask(&format!("{question} [y/N] "))?.to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Problem::usage("NOT_CONFIRMED", "nothing was done")),
        }
    }
}
