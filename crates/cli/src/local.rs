//! What commands on the issuer's host share: its configuration, and its errors as problems.

use std::path::PathBuf;

use tessera_issuer::{Config, StartError, config};
use tessera_kit::config::ConfigErrors;
pub use tessera_types::error::chain;
use tessera_types::{ErrorCode, Failure};

use crate::problem::Problem;

/// The issuer's configuration, as the issuer itself reads it.
///
/// # Errors
/// Every mistake in it.
pub fn issuer_config(file: Option<PathBuf>) -> Result<Config, Problem> {
    config::load(file).map_err(|errors| config_problem(&errors))
}

/// A bad configuration.
#[must_use]
pub fn config_problem(errors: &ConfigErrors) -> Problem {
    Problem::usage("CONFIGURATION", errors.to_string()).hint("correct the configuration file or the environment")
}

/// Why the database or the keys could not be opened.
#[must_use]
pub fn start_problem(error: &StartError) -> Problem {
    match error {
        StartError::Config(errors) => config_problem(errors),
        StartError::Connect(_) => Problem::unavailable("STORE_UNAVAILABLE", chain(error))
            .hint("check [database] url, and that the database runs"),
        StartError::Store(failure) => failure_problem(failure),
        _ => Problem::internal("START", chain(error)),
    }
}

/// A failure of an operation that ran in this process.
#[must_use]
pub fn failure_problem(failure: &dyn Failure) -> Problem {
    let text = chain(failure);
    let problem = match failure.code() {
        ErrorCode::TemporarilyUnavailable => Problem::unavailable(failure.reason(), text),
        ErrorCode::NotFound => Problem::not_found(failure.reason(), text),
        ErrorCode::AlreadyExists | ErrorCode::Conflict => Problem::conflict(failure.reason(), text),
        _ => Problem::internal(failure.reason(), text),
    };
    problem.hint(failure.advice())
}
