//! `[telemetry]`: where traces go, and which calls are traced.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Telemetry {
    /// The collector's OTLP address over gRPC: `http://host:4317`, or `https://` with a certificate that the system trusts. Empty turns
    /// tracing off; then no call costs anything for it.
    pub otlp_endpoint: String,
    /// The part of the calls that is traced where the caller says nothing: 0 to 1.
    pub sample_ratio: f64,
    /// How many calls each second are traced because their caller asks for it (the flag `sampled` of `traceparent`): 0 to 100000.
    /// Beyond that `sample_ratio` decides, so that no caller can make this service trace everything.
    pub callers_per_second: u32,
    /// What the traces call this service; empty means the program's name.
    pub service_name: String,
}

/// The longest `service_name`.
const LONGEST_NAME: usize = 128;

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), sample_ratio: 0.01, callers_per_second: 100, service_name: String::new() }
    }
}

impl Telemetry {
    /// Whether there is somewhere to send traces to.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.otlp_endpoint.is_empty()
    }

    /// What is out of bounds.
    #[must_use]
    pub fn mistakes(&self) -> Vec<ConfigError> {
        let rules = [
            (
                self.otlp_endpoint.is_empty() || is_endpoint(&self.otlp_endpoint),
                "telemetry.otlp_endpoint",
                "must be the collector's gRPC address, for instance http://127.0.0.1:4317, without a path, or empty for no traces",
            ),
            ((0.0..=1.0).contains(&self.sample_ratio), "telemetry.sample_ratio", "must be 0 to 1, for instance 0.01"),
            (self.callers_per_second <= 100_000, "telemetry.callers_per_second", "must be 0 to 100000"),
            (
                self.service_name.len() <= LONGEST_NAME && !self.service_name.contains(char::is_control),
                "telemetry.service_name",
                "must have at most 128 bytes, without control characters",
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, ..)| !holds);
        broken
            .map(|(_, key, message)| ConfigError {
                origin: String::new(),
                key: key.to_owned(),
                message: message.to_owned(),
            })
            .collect()
    }
}

/// A scheme and an authority, and nothing that would go into logs with it: no user, no path, no query.
fn is_endpoint(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let near = matches!(uri.scheme_str(), Some("http" | "https"));
    let host =
        uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    near && host && matches!(uri.path(), "" | "/") && uri.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(telemetry: &Telemetry) -> Vec<String> {
        telemetry.mistakes().into_iter().map(|mistake| mistake.key).collect()
    }

    #[test]
    fn off_by_default_and_in_bounds() {
        let default = Telemetry::default();
        assert!(!default.is_on());
        assert_eq!(keys(&default), Vec::<String>::new());
    }

    #[test]
    fn an_endpoint_is_a_scheme_and_an_authority() {
        for good in ["http://127.0.0.1:4317", "https://otel.example.com", "http://[::1]:4317/"] {
            let telemetry = Telemetry { otlp_endpoint: good.to_owned(), ..Telemetry::default() };
            assert_eq!(keys(&telemetry), Vec::<String>::new(), "{good}");
        }
        for bad in [
            "127.0.0.1:4317",
            "grpc://host",
            "http://",
            "http://user:secret@host",
            "http://host/v1/traces",
            "http://h?x",
        ] {
            let telemetry = Telemetry { otlp_endpoint: bad.to_owned(), ..Telemetry::default() };
            assert_eq!(keys(&telemetry), ["telemetry.otlp_endpoint"], "{bad}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        let ratios = [-0.1, 1.1, f64::NAN];
        for sample_ratio in ratios {
            assert_eq!(keys(&Telemetry { sample_ratio, ..Telemetry::default() }), ["telemetry.sample_ratio"]);
        }
        let many = Telemetry { callers_per_second: 100_001, ..Telemetry::default() };
        assert_eq!(keys(&many), ["telemetry.callers_per_second"]);
    }
}
