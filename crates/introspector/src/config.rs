//! The configuration, one struct per section.

mod sync;

pub use sync::Sync;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tessera_kit::config::{
    self, CONNECTIONS, ConfigError, ConfigErrors, Listen, Loaded, Log, MappedIdentity, Sources, Span, Stopping,
    Telemetry, Tls, connections_mistake, duration,
};
use tessera_kit::tls::Identities;
use tessera_types::{Audience, ClientId};

/// The whole configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// The issuer's URL, byte for byte as in every token's `iss`.
    pub issuer_url: String,
    /// Where to listen.
    #[serde(default)]
    pub listen: Listen<6500, 6501, 6509>,
    /// The feed.
    pub sync: Sync,
    /// Certificates.
    #[serde(default)]
    pub tls: Tls,
    /// Answering.
    #[serde(default)]
    pub introspection: Introspection,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
    /// Stopping.
    #[serde(default)]
    pub stop: Stopping,
    /// Logs.
    #[serde(default)]
    pub log: Log,
    /// Traces.
    #[serde(default)]
    pub telemetry: Telemetry,
}

/// `[introspection]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Introspection {
    /// The audience of the Bearer tokens that callers present; with the scope `introspect`.
    pub audience: String,
    /// How many verified tokens are remembered at most.
    pub cache_capacity: usize,
    /// The part of the cores' time that checking signatures of unknown tokens may take, in percent: 1 to 100.
    pub signature_percent: u8,
    /// How long a call without a deadline of its own waits for what a token, or its caller, depends on.
    #[serde(with = "duration")]
    #[schemars(with = "Span")]
    pub wait: Duration,
}

/// `[limits]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// How many connections each of HTTP, gRPC and ops takes: 1 to 1000000. More are closed at once.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS }
    }
}

impl Default for Introspection {
    fn default() -> Self {
        Self {
            audience: "tessera-introspector".to_owned(),
            cache_capacity: 200_000,
            signature_percent: 50,
            wait: Duration::from_secs(2),
        }
    }
}

impl Config {
    /// Checks what types alone do not say. [`start`](crate::start()) does it too.
    ///
    /// # Errors
    /// Every mistake, not only the first.
    pub fn checked(self) -> Result<Self, ConfigErrors> {
        let errors = self.mistakes();
        if errors.is_empty() { Ok(self) } else { Err(ConfigErrors(errors)) }
    }

    fn mistakes(&self) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        let mut demand = |holds: bool, key: &str, message: &str| {
            if !holds {
                errors.push(ConfigError { origin: String::new(), key: key.to_owned(), message: message.to_owned() });
            }
        };
        demand(is_url(&self.issuer_url), "issuer_url", "must be an http:// or https:// URL");
        self.sync.check(&mut demand);
        let answering = &self.introspection;
        demand(answering.audience.parse::<Audience>().is_ok(), "introspection.audience", "must be an audience");
        demand((1..=100).contains(&answering.signature_percent), "introspection.signature_percent", "must be 1 to 100");
        demand(answering.cache_capacity > 0, "introspection.cache_capacity", "must be at least 1");
        errors.extend(self.telemetry.mistakes());
        errors.extend(self.tls.mistakes(&self.listen.listeners()));
        errors.extend(self.identities().1);
        errors.extend(self.stop.mistakes());
        errors.extend(self.log.mistakes());
        errors.extend(self.listen.mistakes());
        errors.extend(connections_mistake(self.limits.connections));
        errors
    }

    /// The clients that certificates are for, and what is wrong with that.
    pub(crate) fn identities(&self) -> (Identities<ClientId>, Vec<ConfigError>) {
        self.tls.identities(|entry: &MappedIdentity| {
            if !entry.scopes.is_empty() {
                return Err("scopes are the issuer's: here an identity has a client_id");
            }
            entry.client()?.ok_or("needs a client_id: the client whose resources its holder may ask about")
        })
    }

    /// Warns of what is allowed and better were not so.
    pub(crate) fn warn(&self) {
        self.tls.warn(&self.listen.listeners());
        self.sync.warn();
    }
}

/// Reads the configuration from a file, where one is named, and the environment.
///
/// # Errors
/// Every mistake in it.
pub fn load(file: Option<PathBuf>) -> Result<Config, ConfigErrors> {
    load_with_origins(file).map(|loaded| loaded.value)
}

/// The same, and where each value came from.
///
/// # Errors
/// Every mistake in it.
pub fn load_with_origins(file: Option<PathBuf>) -> Result<Loaded<Config>, ConfigErrors> {
    let sources = file.into_iter().fold(Sources::new().environment(), Sources::file);
    config::load_checked(&sources, Config::mistakes)
}

fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    host.is_some_and(|host| !host.is_empty() && !text.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use tessera_kit::config::Sources;

    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let variables = variables.iter().map(|(n, v)| (format!("TESSERA_{n}"), (*v).to_owned()));
        config::load_checked(&Sources::new().variables(variables), Config::mistakes).map(|loaded| loaded.value)
    }

    const LEAST: &[(&str, &str)] = &[
        ("ISSUER_URL", "http://127.0.0.1:6400"),
        ("SYNC__CLIENT_ID", "tessera-introspector"),
        ("SYNC__CLIENT_SECRET_FILE", "/run/secret"),
    ];

    #[test]
    fn little_must_be_set() {
        let config = from(LEAST).expect("valid");
        assert_eq!(config.listen.grpc.port(), 6501);
        assert_eq!(config.sync.issuer_grpc, "http://127.0.0.1:6401");
        assert_eq!(config.sync.max_staleness, Duration::from_secs(5));
        assert_eq!(config.introspection.audience, "tessera-introspector");
    }

    #[test]
    fn every_mistake_is_named() {
        let mut variables = LEAST.to_vec();
        variables.extend([
            ("SYNC__CLIENT_SECRET", "also"),
            ("SYNC__MAX_STALENESS", "2m"),
            ("SYNC__ISSUER_GRPC", "127.0.0.1:6401"),
            ("INTROSPECTION__AUDIENCE", "a b"),
        ]);
        let ConfigErrors(errors) = from(&variables).expect_err("mistakes");
        let keys: Vec<_> = errors.iter().map(|e| e.key.as_str()).collect();
        let expected = ["sync.issuer_grpc", "sync.client_secret_file", "sync.max_staleness", "introspection.audience"];
        assert_eq!(keys, expected);
    }

    #[test]
    fn what_must_be_set_hides_no_other_mistake() {
        let keys = |variables: &[(&str, &str)]| {
            let ConfigErrors(errors) = from(variables).expect_err("mistakes");
            errors.into_iter().map(|error| error.key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&[]), ["issuer_url", "sync", "sync.client_id"]);
        let out_of_bounds = [("INTROSPECTION__SIGNATURE_PERCENT", "0"), ("LIMITS__CONNECTIONS", "0")];
        let expected =
            ["issuer_url", "sync", "sync.client_id", "introspection.signature_percent", "limits.connections"];
        assert_eq!(keys(&out_of_bounds), expected);
        let misspelt = [("LISTEN__GRPC", "nowhere"), ("SYNC__MAX_STALENES", "1s")];
        assert_eq!(keys(&misspelt), ["listen.grpc", "issuer_url", "sync.max_stalenes", "sync.client_id"]);
    }

    #[test]
    fn the_secret_is_not_shown() {
        let mut config = from(LEAST).expect("valid");
        config.sync.client_secret = Some("hunter2".to_owned());
        let shown = tessera_kit::config::dump(&config, &std::collections::BTreeMap::new()).expect("TOML");
        assert!(!shown.contains("hunter2"), "{shown}");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && shown.contains("client_secret: Some("), "{shown}");
    }
}
