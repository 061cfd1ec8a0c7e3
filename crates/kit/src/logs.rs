//! Logs, to standard error, as JSON or as text.

#[cfg(test)]
pub(crate) mod captured;
mod format;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{Directive, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::trace::{TARGET, Tracing};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: one object per line.
    Json,
}

/// Changes the level of a running process.
#[derive(Clone, Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not one.
    #[error(
        "not a log level: write error, warn, info, debug, trace or off, or directives such as info,tessera_issuer=debug"
    )]
    Level(#[source] Option<tracing_subscriber::filter::ParseError>),
    /// Something else in the process logs already.
    #[error("logging was set up already")]
    SetUp(#[from] tracing_subscriber::util::TryInitError),
    /// The level cannot be changed any more.
    #[error("the log level cannot be changed any more")]
    Reload(#[from] reload::Error),
}

/// Sets up logging for the process, and a panic hook that logs where it panicked and not with what: a panic's text may hold
/// input.
///
/// # Errors
/// [`LogError::Level`] and [`LogError::SetUp`].
pub fn init(format: Format, level: &str) -> Result<Logs, LogError> {
    init_traced(format, level, None)
}

/// As [`init`], and has spans exported. The level is one of logs alone: it hides no span.
///
/// # Errors
/// [`LogError::Level`] and [`LogError::SetUp`].
pub fn init_traced(format: Format, level: &str, tracing: Option<&Tracing>) -> Result<Logs, LogError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let lines = match format {
        Format::Text => fmt::layer()
            .with_ansi(ansi())
            .event_format(format::Text::new(ansi()))
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed(),
        Format::Json => fmt::layer()
            .with_ansi(false)
            .event_format(format::Json)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed(),
    };
    let registry = tracing_subscriber::registry().with(lines);
    match tracing {
        Some(tracing) => registry.with(tracing.layer()).try_init()?,
        None => registry.try_init()?,
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let fixed = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("…");
        tracing::error!(place, fixed, "panicked");
    }));
    Ok(Logs { filter: handle })
}

impl Logs {
    /// Changes the level.
    ///
    /// # Errors
    /// [`LogError::Level`] and [`LogError::Reload`]; the old level stays.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        Ok(self.filter.reload(filter(level)?)?)
    }
}

/// Whether a level is one.
///
/// # Errors
/// [`LogError::Level`].
pub fn check(level: &str) -> Result<(), LogError> {
    filter(level).map(drop)
}

/// A level, or a module and its level. To the library a word that is no level is a module whose everything is logged, and nothing else.
fn is_directive(text: &str) -> bool {
    match text.split_once('=') {
        Some((target, _)) => !target.trim().is_empty(),
        None => !text.trim().is_empty() && text.trim().parse::<LevelFilter>().is_ok(),
    }
}

/// HTTP/2 and TLS crates log frames, headers included, when asked to: never below warnings.
fn filter(level: &str) -> Result<EnvFilter, LogError> {
    if !level.split(',').all(is_directive) {
        return Err(LogError::Level(None));
    }
    let mut filter = EnvFilter::try_new(level).map_err(|error| LogError::Level(Some(error)))?;
    for quiet in ["h2=warn", "hyper=warn", "hyper_util=warn", "tonic=warn", "tower=warn", "sqlx=warn", "rustls=warn"] {
        filter = filter.add_directive(directive(quiet)?);
    }
    // What they say of a call, its log lines say by themselves.
    Ok(filter.add_directive(directive(&format!("{TARGET}=off"))?))
}

fn directive(text: &str) -> Result<Directive, LogError> {
    text.parse().map_err(|error| LogError::Level(Some(error)))
}

fn ansi() -> bool {
    use std::io::IsTerminal as _;
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_read() {
        for good in ["info", "WARN", "off", "info,tessera_issuer=debug", "warn,tessera_kit::calls=debug", "a=off"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "warning", "verbose", "inof", "info,tessera_issuer", "info,", "loud=very", "=debug"] {
            assert!(matches!(check(bad), Err(LogError::Level(_))), "{bad}");
        }
    }

    #[test]
    fn no_level_makes_the_transport_log_frames() {
        let shown = filter("trace").expect("a level").to_string();
        assert!(shown.contains("h2=warn") && shown.contains("hyper=warn"), "{shown}");
    }
}
