//! Sections that both services have.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, Serialize};

use crate::logs::Format;

/// `[listen]`: where the service listens; by default on loopback, at the service's own ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listen<const HTTP: u16, const GRPC: u16, const OPS: u16> {
    /// HTTP.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// `/livez`, `/readyz`, `/startupz` and `/metrics`. Not for the open internet.
    pub ops: SocketAddr,
    /// Event loops that serve gRPC, each on a core of its own; 0 and 1 share the process's runtime.
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
}

/// What of `[listen]` is set; serde cannot derive for const generics.
#[derive(Deserialize)]
struct Partial {
    http: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
    ops: Option<SocketAddr>,
    workers: Option<usize>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
