//! Issuer and introspector in this process: for `tessera dev` and `tessera try`. Never on anything but loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tessera_introspector::config::{Introspection, Limits, Sync};
use tessera_issuer::config::{Applications, Dialects, Tokens};
use tessera_issuer::operations::setup::Setup;
use tessera_issuer::operations::setup::administrator::INTROSPECTOR;
use tessera_issuer::{StartError, StartOptions};
use tessera_kit::config::{Listen, Log, Stopping, Telemetry, Tls};
use tessera_kit::random::SystemRandom;
use tessera_types::{Clock, Randomness};

use crate::endpoint::Endpoint;
use crate::local::{chain, start_problem};
use crate::problem::Problem;

/// What to start.
pub struct Plan {
    /// Where the database and the key-encryption key are.
    pub data_dir: PathBuf,
    /// Every token's `iss`.
    pub issuer_url: String,
    /// Whether to take free ports instead of the documented ones.
    pub free_ports: bool,
}

/// How long the issuer may take to read what was written beside it.
const APPLIED_WITHIN: Duration = Duration::from_secs(5);

/// The issuer URL of `tessera dev`.
pub const ISSUER_URL: &str = "http://127.0.0.1:6400";

impl Plan {
    /// A pair on free ports.
    #[must_use]
    pub fn on_free_ports(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), issuer_url: ISSUER_URL.to_owned(), free_ports: true }
    }
}

/// A running pair. It has the documented clients.
pub struct OwnPair {
    issuer: tessera_issuer::Running,
    introspector: tessera_introspector::Running,
}

impl OwnPair {
    /// Starts both. They listen when this returns; see [`Self::wait_ready`].
    ///
    /// # Errors
    /// Conflict where a port is taken, configuration, unavailable where the database is, or internal.
    pub async fn start(plan: Plan, clock: &Arc<dyn Clock>) -> Result<Self, Problem> {
        let random: Arc<dyn Randomness> = Arc::new(SystemRandom);
        let deps = tessera_issuer::Deps { clock: Arc::clone(clock), random: Arc::clone(&random) };
        let config = tessera_issuer::Config {
            issuer_url: plan.issuer_url.clone(),
            data_dir: plan.data_dir,
            listen: if plan.free_ports { Listen::free_ports() } else { Listen::default() },
            tokens: Tokens { password_grant: true, ..Tokens::default() },
            dialects: Dialects::for_development(),
            applications: own_applications(),
            stop: Stopping::at_once(),
            ..tessera_issuer::Config::default()
        };
        let issuer = tessera_issuer::start(config, deps, StartOptions { fixtures: true })
            .await
            .map_err(|error| not_started(&error))?;
        match introspector(&issuer, plan.issuer_url, plan.free_ports, clock, random).await {
            Ok(introspector) => Ok(Self { issuer, introspector }),
            Err(problem) => {
                issuer.shutdown().await;
                Err(problem)
            }
        }
    }

    /// Resolves once both may be asked.
    ///
    /// # Errors
    /// Unavailable, where that takes too long.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<(), Problem> {
        let both = async {
            self.issuer.wait_ready().await;
            self.introspector.wait_ready().await;
        };
        tokio::time::timeout(timeout, both)
            .await
            .map_err(|_| Problem::unavailable("NOT_READY", "issuer and introspector did not become ready in time"))
    }

    /// Where the issuer answers gRPC.
    ///
    /// # Errors
    /// Internal; a socket's address is an endpoint.
    pub fn issuer_endpoint(&self) -> Result<Endpoint, Problem> {
        Endpoint::parse(&format!("http://{}", self.issuer.grpc_addr()))
    }

    /// Where the introspector answers gRPC.
    ///
    /// # Errors
    /// Internal; a socket's address is an endpoint.
    pub fn introspector_endpoint(&self) -> Result<Endpoint, Problem> {
        Endpoint::parse(&format!("http://{}", self.introspector.grpc_addr))
    }

    /// The issuer's addresses: HTTP, gRPC, ops.
    #[must_use]
    pub fn issuer_addresses(&self) -> [SocketAddr; 3] {
        [self.issuer.http_addr(), self.issuer.grpc_addr(), self.issuer.ops_addr()]
    }

    /// The introspector's addresses: HTTP, gRPC, ops.
    #[must_use]
    pub fn introspector_addresses(&self) -> [SocketAddr; 3] {
        [self.introspector.http_addr, self.introspector.grpc_addr, self.introspector.ops_addr]
    }

    /// Stops both: the introspector first, so that it can take leave.
    pub async fn shutdown(self) {
        self.introspector.shutdown().await;
        self.issuer.shutdown().await;
    }
}

/// Starts the introspector with a credential that is made for this run and kept nowhere.
async fn introspector(
    issuer: &tessera_issuer::Running,
    issuer_url: String,
    free_ports: bool,
    clock: &Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
) -> Result<tessera_introspector::Running, Problem> {
    let setup = Setup { store: &issuer.cx.store, clock: &**clock, random: &*random };
    let secret = setup
        .introspector(&issuer.cx.policy.issuer_audience)
        .await
        .map_err(|error| Problem::internal("INTROSPECTOR_CREDENTIAL", chain(&error)))?;
    // It was written beside the issuer: a token from before the issuer has read of it would be dead on arrival.
    let head = issuer.cx.store.log().head().await;
    let head = head.map_err(|error| Problem::internal("INTROSPECTOR_CREDENTIAL", chain(&error)))?;
    let applied = issuer.cx.publication.applied(head.revision(), APPLIED_WITHIN).await;
    applied.map_err(|error| Problem::internal("INTROSPECTOR_CREDENTIAL", chain(&error)))?;
    let config = tessera_introspector::Config {
        issuer_url,
        listen: if free_ports { Listen::free_ports() } else { Listen::default() },
        sync: Sync {
            issuer_grpc: format!("http://{}", issuer.grpc_addr()),
            client_id: Some(INTROSPECTOR.to_owned()),
            client_secret_file: None,
            client_secret: Some(secret.expose().to_owned()),
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            max_staleness: Duration::from_secs(5),
            name: "tessera-dev".to_owned(),
        },
        tls: Tls::default(),
        introspection: Introspection::default(),
        limits: Limits::default(),
        stop: Stopping::at_once(),
        log: Log::default(),
        telemetry: Telemetry::default(),
    };
    let deps = tessera_introspector::Deps { clock: Arc::clone(clock), random };
    tessera_introspector::start(config, deps).await.map_err(|error| match error {
        tessera_introspector::StartError::Bind(taken) => port_taken(&taken),
        other => Problem::internal("INTROSPECTOR_START", chain(&other)),
    })
}

/// Why an issuer did not start: a taken port is told apart, since it is the likeliest.
fn not_started(error: &StartError) -> Problem {
    match error {
        StartError::Bind(taken) => port_taken(taken),
        other => start_problem(other),
    }
}

fn port_taken(error: &dyn std::error::Error) -> Problem {
    Problem::conflict("PORT_TAKEN", chain(error))
}

/// What owners may do with applications of their own, in development.
fn own_applications() -> Applications {
    let scopes = ["orders:read", "orders:write", "profile"].map(str::to_owned).to_vec();
    Applications { scopes, ..Applications::default() }
}
