//! `[sync]`: how the introspector follows the issuer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use tessera_kit::config::{Span, duration};
use tessera_kit::tls::ClientFiles;
use tessera_kit::token_source::SecretSource;
use tessera_ledger::message::{LONGEST_NAME, LONGEST_STALENESS};
use tessera_types::PresentedSecret;

/// `[sync]`: how to follow the issuer's log.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sync {
    /// The issuer's gRPC address: `https://host:port`, or `http://host:port` where it speaks plain text.
    #[serde(default = "issuer_grpc")]
    pub issuer_grpc: String,
    /// The introspector's own client, which may ask for the scope `tessera.sync`. None where the issuer knows this introspector by its
    /// certificate.
    pub client_id: Option<String>,
    /// The file with its secret, read anew for every token.
    pub client_secret_file: Option<PathBuf>,
    /// Its secret, where it is not in a file.
    #[serde(serialize_with = "hidden")]
    pub client_secret: Option<String>,
    /// The authorities that the issuer's certificate must come from, in PEM; by default the system's.
    pub ca_file: Option<PathBuf>,
    /// The introspector's own certificate, for an issuer that asks, in PEM.
    pub client_cert_file: Option<PathBuf>,
    /// The key of `client_cert_file`, in PEM, mode 0600.
    pub client_key_file: Option<PathBuf>,
    /// How long it goes on answering when it hears nothing of the issuer: 1 s to 60 s.
    #[serde(default = "max_staleness", with = "duration")]
    #[schemars(with = "Span")]
    pub max_staleness: Duration,
    /// What the issuer's logs call this process; by default the host's name.
    #[serde(default = "host_name")]
    #[schemars(extend("default" = "the host's name"))]
    pub name: String,
}

/// Never shows the secret.
impl std::fmt::Debug for Sync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sync")
            .field("issuer_grpc", &self.issuer_grpc)
            .field("client_id", &self.client_id)
            .field("client_secret_file", &self.client_secret_file)
            .field("client_secret", &self.client_secret.as_ref().map(|_| "…"))
            .field("ca_file", &self.ca_file)
            .field("client_cert_file", &self.client_cert_file)
            .field("client_key_file", &self.client_key_file)
            .field("max_staleness", &self.max_staleness)
            .field("name", &self.name)
            .finish()
    }
}

impl Sync {
    /// Where the secret is; `None` where neither key is set.
    pub(crate) fn secret(&self) -> Option<SecretSource> {
        let fixed = self.client_secret.clone().and_then(PresentedSecret::new).map(SecretSource::Fixed);
        fixed.or_else(|| self.client_secret_file.clone().map(SecretSource::File))
    }

    /// The files for TLS towards the issuer; none where it speaks plain text.
    pub(crate) fn tls_files(&self) -> Option<ClientFiles> {
        let own = self.client_cert_file.clone().zip(self.client_key_file.clone());
        self.is_encrypted().then(|| ClientFiles { authorities: self.ca_file.clone(), own })
    }

    fn is_encrypted(&self) -> bool {
        self.issuer_grpc.starts_with("https://")
    }

    pub(super) fn check(&self, demand: &mut dyn FnMut(bool, &str, &str)) {
        let has_host =
            self.issuer_grpc.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let is_address = has_host && (self.is_encrypted() || self.issuer_grpc.starts_with("http://"));
        demand(is_address, "sync.issuer_grpc", "must be https://host:port or http://host:port");
        let tls = [&self.ca_file, &self.client_cert_file, &self.client_key_file].iter().any(|file| file.is_some());
        let message = "must be https://host:port where ca_file or client_cert_file is set";
        demand(!is_address || !tls || self.is_encrypted(), "sync.issuer_grpc", message);
        let both = self.client_cert_file.is_some() == self.client_key_file.is_some();
        demand(both, "sync.client_key_file", "set both client_cert_file and client_key_file, or neither");
        let named = self.client_id.is_some();
        let message = "must be set, with client_secret_file; or set client_cert_file and client_key_file, for an issuer that knows this introspector by its certificate";
        demand(named || self.client_cert_file.is_some(), "sync.client_id", message);
        demand(self.client_id.as_deref() != Some(""), "sync.client_id", "must not be empty");
        let secrets = usize::from(self.client_secret.is_some()) + usize::from(self.client_secret_file.is_some());
        let message = "set this, or client_secret, and not both; neither where there is no client_id";
        demand(secrets == usize::from(named), "sync.client_secret_file", message);
        let empty = self.client_secret.as_ref().is_some_and(|s| PresentedSecret::new(s.clone()).is_none());
        demand(!empty, "sync.client_secret", "must have 1 to 1024 bytes");
        let in_bounds = (Duration::from_secs(1)..=LONGEST_STALENESS).contains(&self.max_staleness);
        demand(in_bounds, "sync.max_staleness", "must be 1 s to 60 s");
        demand(self.name.len() <= LONGEST_NAME, "sync.name", "must have at most 255 bytes");
    }

    pub(super) fn warn(&self) {
        let host = self.issuer_grpc.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
        let Some(host) = host else { return };
        let address = host.parse::<SocketAddr>().is_ok_and(|address| address.ip().to_canonical().is_loopback());
        if !address && host.rsplit_once(':').map_or(host, |(name, _)| name) != "localhost" {
            tracing::warn!(
                issuer_grpc = self.issuer_grpc,
                "the issuer is reached in plain text: secrets travel unencrypted"
            );
        }
    }
}

fn issuer_grpc() -> String {
    "http://127.0.0.1:6401".to_owned()
}

fn max_staleness() -> Duration {
    Duration::from_secs(5)
}

fn host_name() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname");
    read.map_or_else(|_| "introspector".to_owned(), |name| name.trim_end().chars().take(63).collect())
}

#[allow(clippy::ref_option, reason = "the signature serde asks for")]
fn hidden<S: Serializer>(secret: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(_) => serializer.serialize_some("…"),
        None => serializer.serialize_none(),
    }
}
