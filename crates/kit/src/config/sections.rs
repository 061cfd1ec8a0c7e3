//! Sections that both services have.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

use super::tls::Listeners;
use super::{ConfigError, Span, duration};
use crate::logs::{self, Format};

/// How many event loops there may be: each is a thread, with a socket of its own.
const MOST_WORKERS: usize = 1024;

/// `[listen]`: where the service listens; by default on loopback, at the service's own ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listen<const HTTP: u16, const GRPC: u16, const OPS: u16> {
    /// HTTP.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// `/livez`, `/readyz`, `/startupz` and `/metrics`. Not for the open internet.
    pub ops: SocketAddr,
    /// Event loops that serve gRPC, each on a core of its own; 0 and 1 share the process's runtime. 1024 at most.
    pub workers: usize,
}

impl<const HTTP: u16, const GRPC: u16, const OPS: u16> Default for Listen<HTTP, GRPC, OPS> {
    fn default() -> Self {
        let at = |port| (Ipv4Addr::LOCALHOST, port).into();
        Self { http: at(HTTP), grpc: at(GRPC), ops: at(OPS), workers: 0 }
    }
}

impl<const HTTP: u16, const GRPC: u16, const OPS: u16> Listen<HTTP, GRPC, OPS> {
    /// Free ports on loopback, for tests and for `tessera try`.
    #[must_use]
    pub fn free_ports() -> Self {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        Self { http: any, grpc: any, ops: any, workers: 0 }
    }

    /// What is out of bounds.
    #[must_use]
    pub fn mistakes(&self) -> Option<ConfigError> {
        (self.workers > MOST_WORKERS).then(|| mistake("listen.workers", "must be 0 to 1024"))
    }

    /// The addresses with their names.
    #[must_use]
    pub const fn listeners(&self) -> Listeners {
        [("http", self.http), ("grpc", self.grpc), ("ops", self.ops)]
    }
}

/// What of `[listen]` is set; neither serde nor schemars derives for const generics.
#[derive(Deserialize, JsonSchema)]
#[schemars(description = "Where the service listens; by default on loopback, at the service's own ports.")]
struct Partial {
    /// HTTP.
    #[schemars(with = "Address")]
    http: Option<SocketAddr>,
    /// gRPC.
    #[schemars(with = "Address")]
    grpc: Option<SocketAddr>,
    /// `/livez`, `/readyz`, `/startupz` and `/metrics`. Not for the open internet.
    #[schemars(with = "Address")]
    ops: Option<SocketAddr>,
    /// Event loops that serve gRPC, each on a core of its own; 0 and 1 share the process's runtime. 1024 at most.
    #[schemars(with = "usize")]
    workers: Option<usize>,
}

/// An address with its port, in the schema.
struct Address;

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "examples": ["127.0.0.1:6400", "[::1]:6400"] })
    }
}

impl<const HTTP: u16, const GRPC: u16, const OPS: u16> JsonSchema for Listen<HTTP, GRPC, OPS> {
    fn schema_name() -> Cow<'static, str> {
        format!("Listen{HTTP}").into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Partial::json_schema(generator);
        let defaults = serde_json::to_value(Self::default()).unwrap_or_default();
        if let Some(properties) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
            for (key, property) in properties {
                if let (Some(property), Some(default)) = (property.as_object_mut(), defaults.get(key)) {
                    property.insert("default".to_owned(), default.clone());
                }
            }
        }
        schema.remove("required");
        schema
    }
}

impl<'de, const HTTP: u16, const GRPC: u16, const OPS: u16> Deserialize<'de> for Listen<HTTP, GRPC, OPS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let set = Partial::deserialize(deserializer)?;
        let default = Self::default();
        Ok(Self {
            http: set.http.unwrap_or(default.http),
            grpc: set.grpc.unwrap_or(default.grpc),
            ops: set.ops.unwrap_or(default.ops),
            workers: set.workers.unwrap_or(default.workers),
        })
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Log {
    /// `text` or `json`.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,tessera_issuer=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Text, level: "info".to_owned() }
    }
}

impl Log {
    /// What is wrong with it.
    #[must_use]
    pub fn mistakes(&self) -> Option<ConfigError> {
        logs::check(&self.level).err().map(|error| mistake("log.level", &error.to_string()))
    }
}

/// `[stop]`: how the process stops when it gets SIGTERM or SIGINT. It has ended after `pause` and `grace` and 12 s at the latest, and
/// at once when a second signal comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Stopping {
    /// How long it goes on answering when it has said that it is not ready, so that whoever sends it calls learns that first: 0 s to
    /// 5 m. Longer than two periods of the probe of `/readyz`.
    #[serde(with = "duration")]
    #[schemars(with = "Span")]
    pub pause: Duration,
    /// How long calls in flight may take after that: 0 s to 10 m.
    #[serde(with = "duration")]
    #[schemars(with = "Span")]
    pub grace: Duration,
}

impl Default for Stopping {
    fn default() -> Self {
        Self { pause: Duration::from_secs(5), grace: Duration::from_secs(20) }
    }
}

impl Stopping {
    /// Without a pause: for development and tests, where nobody stands in front.
    #[must_use]
    pub fn at_once() -> Self {
        Self { pause: Duration::ZERO, ..Self::default() }
    }

    /// What is out of bounds.
    #[must_use]
    pub fn mistakes(&self) -> Vec<ConfigError> {
        let spans = [
            ("stop.pause", self.pause, Duration::from_mins(5), "must be 0s to 5m"),
            ("stop.grace", self.grace, Duration::from_mins(10), "must be 0s to 10m"),
        ];
        let wrong = spans.into_iter().filter(|(_, span, most, _)| span > most);
        wrong.map(|(key, _, _, message)| mistake(key, message)).collect()
    }
}

/// How many connections a listener takes where nothing is configured.
pub const CONNECTIONS: usize = 4096;

/// What of `limits.connections` is out of bounds.
#[must_use]
pub fn connections_mistake(connections: usize) -> Option<ConfigError> {
    (!(1..=1_000_000).contains(&connections)).then(|| mistake("limits.connections", "must be 1 to 1000000"))
}

fn mistake(key: &str, message: &str) -> ConfigError {
    ConfigError { origin: "configuration".to_owned(), key: key.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_told() {
        assert!(Stopping::default().mistakes().is_empty());
        let endless = Stopping { pause: Duration::from_secs(301), grace: Duration::from_secs(601) };
        let mistakes = endless.mistakes();
        let keys: Vec<_> = mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
        assert_eq!(keys, ["stop.pause", "stop.grace"]);
        let workers = |workers| Listen::<1, 2, 3> { workers, ..Listen::default() };
        assert!(workers(1024).mistakes().is_none() && workers(1025).mistakes().is_some());
        let log = |level: &str| Log { level: level.to_owned(), ..Log::default() };
        let mistake = log("warning").mistakes().expect("a word that would mute everything");
        assert!(mistake.key == "log.level" && mistake.message.contains("write error, warn"), "{mistake}");
        assert!(log("info,tessera_issuer=debug").mistakes().is_none());
        assert!(connections_mistake(0).is_some() && connections_mistake(CONNECTIONS).is_none());
    }
}
