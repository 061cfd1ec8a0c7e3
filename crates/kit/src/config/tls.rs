//! `[tls]`, which both services have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tessera_types::ClientId;

use super::error::ConfigError;
use crate::tls::{Identities, IdentityName};

/// `[tls]`: certificates from files. They are read again on SIGHUP and where they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tls {
    /// The service's own certificate and those between it and the authority, in PEM, its own first. With it and `key_file`, HTTP and gRPC
    /// speak TLS.
    pub cert_file: Option<PathBuf>,
    /// The key of `cert_file`, in PEM, mode 0600.
    pub key_file: Option<PathBuf>,
    /// The authorities that clients' certificates must come from.
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients are asked for a certificate; by default `optional` where `client_ca_file` is set, and `off` otherwise.
    pub client_auth: Option<ClientAuth>,
    /// Whether clients of HTTP are, since browsers and public clients have none; by default as `client_auth`.
    pub http_client_auth: Option<ClientAuth>,
    /// Whether the ops listener speaks TLS too; it never asks for a client's certificate.
    pub ops: bool,
    /// Leave to listen in plain text on an address that is not loopback.
    pub plain_text: bool,
    /// Who the holders of clients' certificates are: `[[tls.identities]]`, each with a `name`, and with `client_id` or, at the issuer, `scopes`.
    /// Read again on SIGHUP.
    pub identities: Vec<MappedIdentity>,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// No.
    Off,
    /// Yes, and one that comes must be good.
    Optional,
    /// Yes, and who has none is not served.
    Required,
}

/// `[[tls.identities]]`: whom a certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MappedIdentity {
    /// A name of the certificate's subject alternative name: `dns:orders.example.org` or `uri:spiffe://example.org/orders`.
    pub name: String,
    /// The client that its holder is where it asks about tokens: at introspectors, and at the issuer's `/oauth2/introspect`.
    pub client_id: Option<String>,
    /// At the issuer: what its holder may do.
    pub scopes: Vec<String>,
}

impl MappedIdentity {
    /// The client that its holder is, if any.
    ///
    /// # Errors
    /// Where `client_id` is no client's identifier.
    pub fn client(&self) -> Result<Option<ClientId>, &'static str> {
        let client = self.client_id.as_deref().map(str::parse).transpose();
        client.map_err(|_| "has a client_id that is none: see tessera client list")
    }
}

/// The service's listeners, by their names in `[listen]`.
pub type Listeners = [(&'static str, SocketAddr); 3];

impl Tls {
    /// Whether HTTP and gRPC speak TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.cert_file.is_some() && self.key_file.is_some()
    }

    /// Whether gRPC's clients are asked for a certificate.
    #[must_use]
    pub fn of_grpc(&self) -> ClientAuth {
        let default = if self.client_ca_file.is_some() { ClientAuth::Optional } else { ClientAuth::Off };
        self.client_auth.unwrap_or(default)
    }

    /// Whether HTTP's clients are.
    #[must_use]
    pub fn of_http(&self) -> ClientAuth {
        self.http_client_auth.unwrap_or_else(|| self.of_grpc())
    }

    /// The listeners that others can reach in plain text.
    #[must_use]
    pub fn open_in_plain_text(&self, listeners: &Listeners) -> Vec<&'static str> {
        let plain = |name: &str| !self.is_on() || name == "ops" && !self.ops;
        let reachable = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
        listeners.iter().filter(|(name, at)| plain(name) && reachable(at)).map(|(name, _)| *name).collect()
    }

    /// What is wrong with the section. What an identity may be differs between the services, which say so themselves.
    #[must_use]
    pub fn mistakes(&self, listeners: &Listeners) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        let mut demand = |holds: bool, key: &str, message: &str| {
            if !holds {
                let (origin, key) = ("configuration".to_owned(), key.to_owned());
                mistakes.push(ConfigError { origin, key, message: message.to_owned() });
            }
        };
        let both = self.cert_file.is_some() == self.key_file.is_some();
        demand(both, "tls.key_file", "set both cert_file and key_file, or neither");
        let asks = [self.client_auth, self.http_client_auth].iter().flatten().any(|asked| *asked != ClientAuth::Off);
        demand(
            !asks || self.client_ca_file.is_some(),
            "tls.client_auth",
            "set client_ca_file: the authorities that clients' certificates come from",
        );
        let pointless = self.client_ca_file.is_some() || self.ops;
        demand(
            !pointless || self.is_on(),
            "tls.cert_file",
            "set cert_file and key_file: without them nothing speaks TLS",
        );
        let used = self.of_grpc() != ClientAuth::Off || self.of_http() != ClientAuth::Off;
        demand(
            self.identities.is_empty() || used,
            "tls.identities",
            "set client_ca_file, and client_auth not to off: otherwise nobody is asked for a certificate",
        );
        for name in self.open_in_plain_text(listeners) {
            let message = "would listen in plain text where others can reach it: set [tls] cert_file and key_file (for ops also ops = true), \
                           or plain_text = true where something in front of it speaks TLS";
            demand(self.plain_text, &format!("listen.{name}"), message);
        }
        mistakes
    }

    /// Whom certificates are for, each with what `read` makes of its entry; and what is wrong with the entries.
    pub fn identities<T>(
        &self,
        read: impl Fn(&MappedIdentity) -> Result<T, &'static str>,
    ) -> (Identities<T>, Vec<ConfigError>) {
        let (mut entries, mut mistakes) = (BTreeMap::new(), Vec::new());
        for (index, entry) in self.identities.iter().enumerate() {
            let name = entry.name.parse::<IdentityName>().map_err(|error| error.to_string());
            let outcome = name.and_then(|name| Ok((name, read(entry).map_err(str::to_owned)?)));
            let message = match outcome {
                Ok((name, right)) => match entries.insert(name, right) {
                    Some(_) => "stands there twice: a name is one identity's".to_owned(),
                    None => continue,
                },
                Err(message) => message,
            };
            let (origin, key) = ("configuration".to_owned(), format!("tls.identities[{index}]"));
            mistakes.push(ConfigError { origin, key, message: format!("{:?} {message}", entry.name) });
        }
        (entries.into_iter().collect(), mistakes)
    }

    /// Warns of listeners that others can reach in plain text.
    pub fn warn(&self, listeners: &Listeners) {
        let open = self.open_in_plain_text(listeners);
        if !open.is_empty() {
            let listeners = open.join(", ");
            tracing::warn!(
                listeners,
                "plain text where others can reach it: credentials and tokens travel unencrypted, unless something in front speaks TLS"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners(ip: &str) -> Listeners {
        ["http", "grpc", "ops"].map(|name| (name, SocketAddr::new(ip.parse().expect("an address"), 1)))
    }

    fn keys(section: &Tls, ip: &str) -> Vec<String> {
        section.mistakes(&listeners(ip)).into_iter().map(|mistake| mistake.key).collect()
    }

    fn on() -> Tls {
        Tls { cert_file: Some("a".into()), key_file: Some("b".into()), ..Tls::default() }
    }

    #[test]
    fn plain_text_that_others_can_reach_must_be_allowed() {
        let off = Tls::default();
        for near in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(keys(&off, near), [""; 0], "{near}");
        }
        for far in ["0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1"] {
            assert_eq!(keys(&off, far), ["listen.http", "listen.grpc", "listen.ops"], "{far}");
            assert_eq!(keys(&on(), far), ["listen.ops"], "{far}");
            assert_eq!(keys(&Tls { ops: true, ..on() }, far), [""; 0], "{far}");
            assert_eq!(keys(&Tls { plain_text: true, ..Tls::default() }, far), [""; 0], "{far}");
        }
    }

    #[test]
    fn what_makes_no_sense_together_is_told() {
        let local = "127.0.0.1";
        assert_eq!(keys(&Tls { cert_file: Some("a".into()), ..Tls::default() }, local), ["tls.key_file"]);
        assert_eq!(keys(&Tls { client_auth: Some(ClientAuth::Required), ..on() }, local), ["tls.client_auth"]);
        assert_eq!(keys(&Tls { ops: true, ..Tls::default() }, local), ["tls.cert_file"]);
        let identities = vec![MappedIdentity::default()];
        assert_eq!(keys(&Tls { identities, ..on() }, local), ["tls.identities"]);
    }

    #[test]
    fn http_asks_as_grpc_does_unless_told_otherwise() {
        let section = Tls { client_ca_file: Some("c".into()), ..on() };
        assert_eq!((section.of_grpc(), section.of_http()), (ClientAuth::Optional, ClientAuth::Optional));
        let (client_auth, http_client_auth) = (Some(ClientAuth::Required), Some(ClientAuth::Off));
        let section = Tls { client_auth, http_client_auth, ..section };
        assert_eq!((section.of_grpc(), section.of_http()), (ClientAuth::Required, ClientAuth::Off));
    }
}
