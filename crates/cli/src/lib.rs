//! `tessera`, the operator's command line: clients, scopes, keys, tokens and introspection against a running pair.
//!
//! Data goes to stdout and talk to stderr; what went wrong is told by the exit code ([`problem::Exit`]) and, with
//! `-o json`, as one JSON object on stderr.

pub mod app;
pub mod args;
pub mod commands;
pub mod confirm;
pub mod connect;
pub mod console;
pub mod contexts;
pub mod credential;
pub mod endpoint;
pub mod environment;
pub mod jwt;
pub mod local;
pub mod output;
pub mod pair;
pub mod password;
pub mod problem;
pub mod seconds;
pub mod settings;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use tessera_kit::clock::SystemClock;

use crate::app::App;
use crate::args::Cli;
use crate::console::Console;
use crate::environment::Environment;
use crate::output::Format;
use crate::problem::{Exit, Problem};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let environment = Environment::of_process();
    let mut console = Console::of_process(&environment);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report(&Problem::internal("RUNTIME", format!("cannot start: {error}")), false, &mut console).into();
        }
    };
    runtime.block_on(run(std::env::args_os(), environment, &mut console)).into()
}

/// Runs one command line; everything it reads and writes beside the network goes through the arguments.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment,
    console: &mut Console,
) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return not_a_command(&error, wants_json(&arguments), console),
    };
    let json = cli.global.output == Format::Json;
    let mut app = App::new(cli.global, environment, Arc::new(SystemClock), console);
    match commands::run(cli.command, &mut app).await {
        Ok(exit) => exit,
        Err(problem) => report(&problem, json, console),
    }
}

/// Help and version are answers; the rest are usage errors in clap's words, which carry suggestions.
fn not_a_command(error: &clap::Error, json: bool, console: &mut Console) -> Exit {
    use clap::error::ErrorKind::{DisplayHelp, DisplayVersion};
    let rendered = error.render();
    if matches!(error.kind(), DisplayHelp | DisplayVersion) {
        let text = if console.colours_stdout() { rendered.ansi().to_string() } else { rendered.to_string() };
        return match console.out(&text) {
            Ok(()) => Exit::Ok,
            Err(problem) => report(&problem, json, console),
        };
    }
    if json {
        let text = rendered.to_string();
        let message = text.trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned();
        return report(&Problem::usage("USAGE", message).hint("see tessera --help"), true, console);
    }
    let text = if console.colours_stderr() { rendered.ansi().to_string() } else { rendered.to_string() };
    console.raw_note(&text);
    Exit::Usage
}

/// Whether a command line that could not be parsed asked for JSON.
fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
    let joined = words.iter().any(|w| matches!(w.as_ref(), "-ojson" | "-o=json" | "--output=json"));
    joined || words.windows(2).any(|pair| matches!(pair[0].as_ref(), "-o" | "--output") && pair[1] == "json")
}

fn report(problem: &Problem, json: bool, console: &mut Console) -> Exit {
    let text = if json { problem.to_json() } else { problem.to_text(console.colours_stderr()) };
    console.raw_note(&text);
    problem.exit
}
