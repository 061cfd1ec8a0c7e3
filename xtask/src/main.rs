//! The one tool for habits. `cargo xtask --help` lists them; CI runs `cargo xtask ci` and nothing else.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its caller")]

mod bench;
mod ci;
#[cfg(test)]
mod documents;
mod fresh;
mod fuzz;
mod images;
mod layers;
mod pages;
mod previous;
mod run;
mod tally;
mod test;
mod tools;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Builds, tests and measures the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    habit: Habit,
}

#[derive(Debug, Subcommand)]
enum Habit {
    /// Runs every test, with a PostgreSQL and a grpcurl where there are any. With `CI=true` it installs them, or fails.
    Test {
        /// Handed to `cargo test`, for instance `-p tessera-types` or a part of a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Does what CI does: format, dependency directions, alert rules, clippy, docs, cargo-deny, a minute of fuzzing each target, and README's commands in a fresh clone.
    Ci,
    /// Searches for inputs that break a parser's promises, two targets at a time.
    Fuzz {
        /// The target, a folder in `fuzz/corpus`; all of them where none is named.
        target: Option<String>,
        /// How long each target is searched.
        #[arg(long, value_name = "N", default_value_t = fuzz::SECONDS)]
        seconds: u64,
    },
    /// Runs the pages' tests in a real browser, and leaves pictures of every state to be looked at.
    Pages,
    /// At a release: records its schema, its feed's messages and a database of each kind, for the next version to be tested against.
    RecordPrevious {
        /// Where the release's binaries are.
        #[arg(long, value_name = "PATH", default_value = "target/debug")]
        bin_dir: PathBuf,
    },
    /// Checks the dependency directions alone.
    Layers,
    /// Checks the Dockerfile, and runs natively what its build stage runs.
    Images,
    /// Measures Introspect against an empty handler, as optimised as what ships.
    Bench {
        /// Handed to the harness; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let habit = Arguments::parse().habit;
    let done = Workspace::find().and_then(|workspace| match habit {
        Habit::Test { arguments } => test::test(&workspace, &arguments),
        Habit::Ci => Ok(ci::ci(&workspace)),
        Habit::Fuzz { target, seconds } => fuzz::fuzz(&workspace, target.as_deref(), seconds).map(|()| true),
        Habit::Pages => pages::pages(&workspace),
        Habit::RecordPrevious { bin_dir } => previous::record(&workspace, &bin_dir).map(|()| true),
        Habit::Layers => layers::layers(&workspace).map(|()| true),
        Habit::Images => images::images(&workspace).map(|()| true),
        Habit::Bench { arguments } => bench::bench(&workspace, &arguments).map(|()| true),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
