//! Reading the configuration again while the process runs, at SIGHUP.
//!
//! A configuration with a mistake changes nothing: the old one stays, and every mistake is logged. What can change without a
//! restart does; whatever else is different is named, so that nobody believes it took effect.

use std::io;

use serde::Serialize;
use tessera_types::error::chain;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigErrors, changed};
use crate::metrics::Metrics;

/// The keys that take effect without a restart, at either service. The files that `[tls]` names are read again by themselves.
pub const LIVE: &[&str] = &["log.level", "tls.identities"];

/// SIGHUP. While this lives, the signal no longer ends the process.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Begins to listen; early, so that a signal during the start is not the end.
    ///
    /// # Errors
    /// Where the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Resolves at the next one. Several that come together are one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            // There will be none; nobody is to spin on it.
            std::future::pending::<()>().await;
        }
    }
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The new configuration holds. These keys differ and need a restart.
    Taken {
        /// The keys, dotted.
        waiting: Vec<String>,
    },
    /// It has mistakes; the old one stays.
    Refused,
}

/// Reloads, and whether the last one was taken: an operator who missed the log sees it in the metrics.
pub struct Reloads {
    taken: metrics::Gauge,
}

impl Reloads {
    /// Begins with the configuration that the process started with, which was good.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let help = "Whether the configuration was valid when it was read last: 1 or 0.";
        let taken = metrics.gauge("tessera_config_last_reload_successful", help, &[]);
        taken.set(1.0);
        Self { taken }
    }

    /// See [`reload`].
    pub fn reload<T: Serialize, E: std::error::Error + 'static>(
        &self,
        started: &T,
        load: impl FnOnce() -> Result<T, ConfigErrors>,
        apply: impl FnOnce(&T) -> Result<(), E>,
        live: &[&str],
    ) {
        let outcome = reload(started, load, apply, live);
        self.taken.set(if outcome == Outcome::Refused { 0.0 } else { 1.0 });
    }
}

/// Reads the configuration again and puts into effect what can be: `apply` does so with the keys of `live`, or refuses. `started` is
/// what the process started with, and so what the other keys still are.
pub fn reload<T: Serialize, E: std::error::Error + 'static>(
    started: &T,
    load: impl FnOnce() -> Result<T, ConfigErrors>,
    apply: impl FnOnce(&T) -> Result<(), E>,
    live: &[&str],
) -> Outcome {
    let new = match load() {
        Ok(new) => new,
        Err(errors) => {
            for error in &errors.0 {
                tracing::error!(mistake = %error, "the configuration was not reloaded; the one before stays in force");
            }
            return Outcome::Refused;
        }
    };
    if let Err(error) = apply(&new) {
        tracing::error!(error = chain(&error), "the configuration was not reloaded; the one before stays in force");
        return Outcome::Refused;
    }
    // Both can be written: they were read.
    let keys = changed(started, &new).unwrap_or_default();
    let waiting: Vec<String> = keys.into_iter().filter(|key| !live.contains(&key.as_str())).collect();
    if waiting.is_empty() {
        tracing::info!("configuration reloaded");
    } else {
        tracing::warn!(keys = waiting.join(", "), "configuration reloaded; these keys differ and need a restart");
    }
    Outcome::Taken { waiting }
}

#[cfg(test)]
mod tests {
    use super::super::ConfigError;
    use super::*;

    #[derive(Clone, Serialize)]
    struct Config {
        level: &'static str,
        port: u16,
    }

    const STARTED: Config = Config { level: "info", port: 1 };

    #[test]
    fn what_can_change_does_and_the_rest_is_named_until_the_restart() {
        for _ in 0..2 {
            let mut level = "info";
            let new = Config { level: "debug", port: 2 };
            let outcome = reload(
                &STARTED,
                || Ok(new.clone()),
                |new| {
                    level = new.level;
                    Ok::<_, io::Error>(())
                },
                &["level"],
            );
            assert_eq!(outcome, Outcome::Taken { waiting: vec!["port".to_owned()] });
            assert_eq!(level, "debug");
        }
    }

    #[test]
    fn a_mistake_changes_nothing() {
        let mistake = ConfigError { origin: "a:1".to_owned(), key: "port".to_owned(), message: "none".to_owned() };
        let outcome = reload(
            &STARTED,
            || Err(ConfigErrors(vec![mistake])),
            |_: &Config| -> io::Result<()> { unreachable!() },
            &[],
        );
        assert_eq!(outcome, Outcome::Refused);
        let outcome = reload(&STARTED, || Ok(STARTED), |_| Err(io::Error::other("not a log level")), &[]);
        assert_eq!(outcome, Outcome::Refused);
    }
}
