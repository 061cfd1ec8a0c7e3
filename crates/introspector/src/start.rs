//! From a configuration to a running introspector, and back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tessera_check::{Checker, CheckerOptions};
use tessera_kit::calls::Calls;
use tessera_kit::clock::SystemClock;
use tessera_kit::config::{ConfigErrors, Stopping};
use tessera_kit::health::{Check, Health};
use tessera_kit::metrics::Metrics;
use tessera_kit::ops;
use tessera_kit::random::SystemRandom;
use tessera_kit::serve::{self, BindError, Drain, Options, Server, Serving, Stop, reflection};
use tessera_kit::tls::{self, ClientTls, LiveIdentities, Renewable, Role, ServerTls, TlsError};
use tessera_kit::token_source::{TokenRequest, TokenSource};
use tessera_ledger::follower::Follower;
use tessera_ledger::{Freshness, Replica, ReplicaId};
use tessera_types::scope::reserved;
use tessera_types::{Audience, ClientId, Clock, Randomness};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::callers::{Callers, Recognized};
use crate::config::Config;
use crate::consistency::Gate;
use crate::consistency::heads::Heads;
use crate::grpc;
use crate::grpc::credential::Credential;
use crate::grpc::feed::Feed;
use crate::grpc::issuer::Issuer;
use crate::introspection::Introspection;
use crate::measure::Measures;
use crate::report::{Touch, Turn};

/// How often readiness and gauges are brought up to date.
const TICK: Duration = Duration::from_millis(250);

/// What a running introspector takes from outside.
#[derive(Clone)]
pub struct Deps {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Randomness fit for secrets.
    pub random: Arc<dyn Randomness>,
}

impl Deps {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }
}

/// Why an introspector did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The issuer's address is none.
    #[error("sync.issuer_grpc is not an address")]
    IssuerAddress(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is compiled in is broken, or an event loop cannot be started.
    #[error("the servers cannot be set up")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A running introspector. Dropped without [`shutdown`](Running::shutdown), it goes on until its runtime ends.
#[derive(Debug)]
pub struct Running {
    /// Where HTTP is served.
    pub http_addr: SocketAddr,
    /// Where gRPC is served.
    pub grpc_addr: SocketAddr,
    /// Where `/readyz`, `/metrics` and their like are served.
    pub ops_addr: SocketAddr,
    health: Health,
    metrics: Metrics,
    servers: Servers,
    feed: Background,
    watching: Background,
    certificates: Background,
    identities: LiveIdentities<ClientId>,
    stopping: Stopping,
}

#[derive(Debug)]
struct Servers {
    stop: Stop,
    asked: [Serving; 2],
    /// Health and metrics, which are there until the end.
    ops_stop: Stop,
    ops: Serving,
}

#[derive(Debug)]
struct Background {
    stop: Stop,
    task: JoinHandle<()>,
}

/// Starts an introspector. It listens at once, and answers UNAVAILABLE until it is synchronized with the issuer.
///
/// # Errors
/// Every [`StartError`].
pub async fn start(config: Config, deps: Deps) -> Result<Running, StartError> {
    let config = config.checked()?;
    let server_tls = ServerTls::load(&config.tls, Arc::clone(&deps.clock))?;
    let client_tls =
        config.sync.tls_files().map(|files| ClientTls::load(files, Arc::clone(&deps.clock))).transpose()?;
    config.warn();
    // Bound first: a taken port is found before anything is set going.
    let grpc = Server::grpc(config.listen.grpc, config.listen.workers)?;
    let http = Server::http(config.listen.http, "http")?;
    let ops = Server::http(config.listen.ops, "ops")?;

    let metrics = Metrics::new("tessera-introspector", env!("CARGO_PKG_VERSION"));
    let health = Health::new();
    let secured = |role| server_tls.as_ref().and_then(|tls| tls.acceptor(role, &metrics));
    let (grpc, http, ops) =
        (grpc.secured(secured(Role::Grpc)), http.secured(secured(Role::Http)), ops.secured(secured(Role::Ops)));
    let parts = Parts::new(&config, &deps, &metrics, client_tls.as_ref())?;
    let feed = parts.feed(&config, &deps);
    let watching = parts.watch(&health, &deps);

    let calls = Calls::new(&config.telemetry, &metrics, &[]);
    let (identities, certificates) =
        (parts.certificates.clone(), keep_current(server_tls, client_tls, &metrics, &deps));
    let mut options = Options::new(Stop::new(), Arc::clone(&deps.random));
    options.connections = serve::descriptors(config.limits.connections);
    options.metrics = Some(metrics.clone());
    options.loops.watch("main");
    let ops_options = Options { stop: Stop::new(), ..options.clone() };
    let routes = grpc::routes(parts.introspection.clone(), options.stop.clone());
    let routes = routes.add_service(health.grpc_service(&[grpc::NAME], &options.stop).await);
    let routes = reflection::add(routes, &[grpc::NAME]).map_err(internal)?;
    let grpc = grpc.seen_by(&calls).serve_grpc(routes, &options).map_err(internal)?;
    let http = http.seen_by(&calls).serve_http(crate::http::routes(parts.introspection), &options).map_err(internal)?;
    let ops_router = ops::router(health.clone(), metrics.clone(), options.loops);
    let ops = ops.serve_http(ops_router, &ops_options).map_err(internal)?;
    Ok(Running {
        grpc_addr: grpc.addr(),
        http_addr: http.addr(),
        ops_addr: ops.addr(),
        health,
        metrics,
        servers: Servers { stop: options.stop, asked: [grpc, http], ops_stop: ops_options.stop, ops },
        feed,
        watching,
        certificates,
        identities,
        stopping: config.stop,
    })
}

impl Running {
    /// Its metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Takes from a configuration, which was checked, what takes effect without a restart (`reload::LIVE`): whose certificates are
    /// whose. The log's level is its owner's.
    pub fn take_up(&self, new: &Config) {
        self.identities.replace(new.identities().0);
    }

    /// Resolves once it is synchronized with the issuer and may be asked.
    pub async fn wait_ready(&self) {
        self.health.wait_ready().await;
    }

    /// Whether it may be asked now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.health.is_ready()
    }

    /// Stops as `[stop]` says: `NOT_SERVING`, a pause, GOAWAY, and calls in flight finish; then it takes leave of the issuer, so that
    /// no revocation waits for this process any more.
    pub async fn shutdown(self) {
        self.shutdown_unless(std::future::pending()).await;
    }

    /// As [`shutdown`](Self::shutdown), without waiting any longer for anything once `now` resolves.
    pub async fn shutdown_unless(self, now: impl Future<Output = ()>) {
        let Self { health, mut servers, feed, watching, certificates, stopping, .. } = self;
        let (stop, servers_asked) = (&servers.stop, &mut servers.asked);
        Drain { health: &health, stop, servers: servers_asked, spans: &stopping }.run(now).await;
        serve::closing(async {
            // First: to be out of touch from here on is no news.
            watching.end().await;
            certificates.end().await;
            // After the last answer: goodbye is final.
            feed.end().await;
            servers.ops_stop.end();
            servers.ops.finished().await;
        })
        .await;
    }
}

impl Background {
    async fn end(self) {
        self.stop.drain();
        // A panic was reported where it happened.
        let _ = self.task.await;
    }
}

/// What the servers and the feed share.
struct Parts {
    replica: Replica,
    freshness: Arc<Freshness>,
    heads: Arc<Heads>,
    gate: Gate,
    checker: Checker,
    channel: grpc::issuer::Channel,
    credential: Credential,
    certificates: LiveIdentities<ClientId>,
    introspection: Introspection,
    measures: Arc<Measures>,
    published: Arc<Notify>,
}

impl Parts {
    fn new(config: &Config, deps: &Deps, metrics: &Metrics, tls: Option<&ClientTls>) -> Result<Self, StartError> {
        let (replica, freshness, heads) = (Replica::new(), Arc::<Freshness>::default(), Arc::<Heads>::default());
        let (clock, measures) = (Arc::clone(&deps.clock), Arc::new(Measures::new(metrics)));
        let (fresh, waiting) = (Arc::clone(&freshness), Arc::clone(&heads));
        let gate = Gate::new(replica.clone(), fresh, waiting, Arc::clone(&clock), config.sync.max_staleness);
        let options = CheckerOptions {
            cache_capacity: config.introspection.cache_capacity,
            signature_percent: config.introspection.signature_percent,
            ..CheckerOptions::default()
        };
        let checker = Checker::new(replica.clone(), config.issuer_url.clone(), options, Arc::clone(&clock));
        let channel = grpc::issuer::channel(&config.sync.issuer_grpc, tls).map_err(StartError::IssuerAddress)?;
        let credential = match token_request(config) {
            Some(request) => {
                Credential::Token(Arc::new(TokenSource::new(channel.clone(), request, Arc::clone(&clock))))
            }
            None => Credential::Certificate,
        };
        let audience: Audience = config.introspection.audience.parse().map_err(internal)?;
        let certificates = LiveIdentities::from(config.identities().0);
        let recognized = Recognized { audience, certificates: certificates.clone() };
        let issuer = Arc::new(Issuer::new(channel.clone(), credential.clone()));
        let callers = Callers::new(
            replica.clone(),
            checker.clone(),
            gate.clone(),
            recognized,
            issuer,
            Arc::clone(&clock),
            &*deps.random,
        );
        let wait = config.introspection.wait;
        let handles = (gate.clone(), checker.clone(), Arc::clone(&measures));
        let introspection = Introspection::new(callers, handles, clock, wait);
        let published = Arc::default();
        Ok(Self {
            replica,
            freshness,
            heads,
            gate,
            checker,
            channel,
            credential,
            certificates,
            introspection,
            measures,
            published,
        })
    }

    fn feed(&self, config: &Config, deps: &Deps) -> Background {
        let id = ReplicaId::generate(&*deps.random);
        let stop = Stop::new();
        let feed = Feed {
            follower: Follower::new(id, config.sync.name.clone(), config.sync.max_staleness),
            replica: self.replica.clone(),
            freshness: Arc::clone(&self.freshness),
            heads: Arc::clone(&self.heads),
            channel: self.channel.clone(),
            credential: self.credential.clone(),
            issuer_url: config.issuer_url.clone(),
            clock: Arc::clone(&deps.clock),
            random: Arc::clone(&deps.random),
            measures: Arc::clone(&self.measures),
            published: Arc::clone(&self.published),
            stop: stop.clone(),
        };
        Background { stop, task: tokio::spawn(feed.run()) }
    }

    /// Keeps readiness and gauges up to date, by time and whenever the issuer is heard.
    fn watch(&self, health: &Health, deps: &Deps) -> Background {
        let stop = Stop::new();
        let watch = Watch {
            loaded: health.register("snapshot loaded"),
            in_touch: health.register("in touch with the issuer"),
            replica: self.replica.clone(),
            freshness: Arc::clone(&self.freshness),
            gate: self.gate.clone(),
            checker: self.checker.clone(),
            measures: Arc::clone(&self.measures),
            published: Arc::clone(&self.published),
            clock: Arc::clone(&deps.clock),
            touch: Touch::default(),
            stop: stop.clone(),
        };
        Background { stop, task: tokio::spawn(watch.run()) }
    }
}

struct Watch {
    loaded: Check,
    in_touch: Check,
    replica: Replica,
    freshness: Arc<Freshness>,
    gate: Gate,
    checker: Checker,
    measures: Arc<Measures>,
    published: Arc<Notify>,
    clock: Arc<dyn Clock>,
    touch: Touch,
    stop: Stop,
}

impl Watch {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.published.notified() => {}
                () = self.stop.draining() => return,
            }
            self.look();
        }
    }

    fn look(&mut self) {
        let state = self.replica.state();
        let in_touch = self.gate.in_touch();
        self.loaded.set(state.is_some());
        self.in_touch.set(in_touch);
        let now = self.clock.monotonic();
        let unheard = self.freshness.last_heard().map(|heard| now.saturating_sub(heard));
        let unheard_ms = unheard.map(|unheard| unheard.as_millis());
        match self.touch.now(in_touch) {
            Some(Turn::Lost) => {
                tracing::warn!(unheard_ms, "out of touch with the issuer: calls are answered UNAVAILABLE");
            }
            Some(Turn::Found) => tracing::info!("in touch with the issuer: calls are answered"),
            None => {}
        }
        self.measures.replica(unheard, state.map_or(0, |state| state.entries()), self.checker.remembered());
    }
}

/// The introspector's own token: for the feed, whose audience is the issuer. None where the issuer knows it by its certificate.
fn token_request(config: &Config) -> Option<TokenRequest> {
    Some(TokenRequest {
        client_id: config.sync.client_id.clone()?,
        secret: config.sync.secret()?,
        scopes: vec![reserved::SYNC.to_owned()],
        audience: config.issuer_url.clone(),
    })
}

fn keep_current(server: Option<ServerTls>, client: Option<ClientTls>, metrics: &Metrics, deps: &Deps) -> Background {
    let server = server.map(|tls| Arc::new(tls) as Arc<dyn Renewable>);
    let client = client.map(|tls| Arc::new(tls) as Arc<dyn Renewable>);
    let parts: Vec<_> = server.into_iter().chain(client).collect();
    let (stop, metrics, clock) = (Stop::new(), metrics.clone(), Arc::clone(&deps.clock));
    let stopping = stop.clone();
    let task = tokio::spawn(async move {
        if parts.is_empty() {
            return;
        }
        tokio::select! {
            () = tls::keep_current(parts, metrics, clock) => {}
            () = stopping.draining() => {}
        }
    });
    Background { stop, task }
}

fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StartError {
    StartError::Internal(error.into())
}
