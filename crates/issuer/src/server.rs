//! Starting and stopping an issuer.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tessera_api::admin::v1::audit_service_server::AuditServiceServer;
use tessera_api::admin::v1::client_service_server::ClientServiceServer;
use tessera_api::admin::v1::key_service_server::KeyServiceServer;
use tessera_api::admin::v1::organization_service_server::OrganizationServiceServer;
use tessera_api::admin::v1::scope_service_server::ScopeServiceServer;
use tessera_api::admin::v1::user_service_server::UserServiceServer;
use tessera_api::oauth::v1::authorization_service_server::AuthorizationServiceServer;
use tessera_api::oauth::v1::token_service_server::TokenServiceServer;
use tessera_api::sync::v1::sync_service_server::SyncServiceServer;
use tessera_check::{Checker, CheckerOptions};
use tessera_keys::{Kek, KekError, KekRing};
use tessera_kit::calls::Calls;
use tessera_kit::config::Stopping;
use tessera_kit::health::{Check, Health};
use tessera_kit::metrics::Metrics;
use tessera_kit::ops;
use tessera_kit::serve::{self, BindError, Drain, MAX_MESSAGE, Options, Server, Serving, Stop, reflection};
use tessera_kit::tls::{self, Role, ServerTls, TlsError};
use tessera_ledger::replica::Replica;
use tessera_store::{ConnectError, Database, DatabaseOptions, StoreError};
use tessera_types::error::chain;
use tessera_types::{Clock, Randomness};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::audit::attempts::{self, Attempts};
use crate::client_auth::RememberedSecrets;
use crate::config::{Checked, Config};
use crate::context::{Context, Parts, Policy};
use crate::grants::lineage::Lineage;
use crate::grpc;
use crate::http;
use crate::last_used::{self, LastUsed};
use crate::log::Publication;
use crate::mail::{MailError, Mailer};
use crate::operations;
use crate::operations::keys::{Keeper, Signing};
use crate::operations::setup::fixtures::FixtureError;
use crate::operations::setup::{Setup, SetupError, Wanted};
use crate::passwords::{PasswordError, Passwords};
use crate::telemetry::Telemetry;
use crate::throttle::{FailureThrottle, LoginThrottle};

/// How often readiness is looked at.
const READINESS: Duration = Duration::from_secs(1);

/// The gRPC services, by their full names.
const SERVICES: &[&str] = &[
    "tessera.oauth.v1.TokenService",
    "tessera.oauth.v1.AuthorizationService",
    "tessera.admin.v1.ClientService",
    "tessera.admin.v1.UserService",
    "tessera.admin.v1.ScopeService",
    "tessera.admin.v1.KeyService",
    "tessera.admin.v1.OrganizationService",
    "tessera.admin.v1.AuditService",
    "tessera.sync.v1.SyncService",
];

/// The methods whose every call is a line of the log.
const TOLD: &[&str] = &["tessera.admin.v1."];

/// What an issuer takes from outside.
#[derive(Clone)]
pub struct Deps {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Randomness fit for keys.
    pub random: Arc<dyn Randomness>,
}

/// Why an issuer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] tessera_kit::config::ConfigErrors),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The data directory.
    #[error("cannot make the data directory {path}: {source}; choose another with data_dir or TESSERA_DATA_DIR")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key-encryption key.
    #[error(transparent)]
    Kek(#[from] KekError),
    /// The keys.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The development fixtures.
    #[error(transparent)]
    Fixtures(#[from] FixtureError),
    /// The slow hash.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// Mail.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A port.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Reflection.
    #[error("reflection cannot be set up: {0}")]
    Reflection(String),
    /// Everything else the operating system refuses.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Beyond the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartOptions {
    /// Make the documented clients of development.
    pub fixtures: bool,
}

/// A running issuer.
pub struct Running {
    /// What its operations work with.
    pub cx: Context,
    /// HTTP and gRPC.
    asked: [Serving; 2],
    ops: Serving,
    health: Health,
    metrics: Metrics,
    stop: Stop,
    /// Health and metrics are there until the end.
    ops_stop: Stop,
    stopping: Stopping,
    background: CancellationToken,
    mails: Option<JoinHandle<()>>,
}

/// Opens and migrates the database, and opens the key-encryption keys: what `tessera init` and an issuer begin with.
///
/// # Errors
/// See [`StartError`].
pub async fn open(config: &Config, deps: &Deps) -> Result<(Checked, Database, KekRing), StartError> {
    let checked = config.check()?;
    if config.database.url.is_empty() || checked.make_kek {
        make_data_dir(&config.data_dir)?;
    }
    let options = DatabaseOptions {
        max_connections: config.database.max_connections,
        ..DatabaseOptions::new(&checked.database_url)
    };
    let store = Database::connect(&options).await?;
    store.migrate().await?;
    let kek = if checked.make_kek && !checked.kek_file.exists() {
        Kek::create_file(&checked.kek_file, &*deps.random)?
    } else {
        Kek::read_file(&checked.kek_file)?
    };
    let older = checked.old_kek_files.iter().map(|path| Kek::read_file(path)).collect::<Result<_, _>>()?;
    Ok((checked, store, KekRing::new(kek, older)))
}

/// Starts an issuer; it serves until it is shut down.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: Config, deps: Deps, options: StartOptions) -> Result<Running, StartError> {
    let listen = config.listen.clone();
    // A configuration that allows none of this is told before a port is taken.
    config.check()?;
    let tls = ServerTls::load(&config.tls, Arc::clone(&deps.clock))?;
    config.tls.warn(&listen.listeners());
    // Bound first: a taken port is told before anything is written.
    let http_server = Server::http(listen.http, "http")?;
    let grpc_server = Server::grpc(listen.grpc, listen.workers)?;
    let ops_server = Server::http(listen.ops, "ops")?;
    let (checked, store, keks) = open(&config, &deps).await?;
    let setup = Setup { store: &store, clock: &*deps.clock, random: &*deps.random };
    setup.begin().await?;
    let kept = Box::pin(setup.kept_keys(&keks)).await?;
    let wanted = Wanted::read(checked.keys.files.as_ref(), checked.keys.algorithm)?;
    let own = wanted.as_ref().and_then(Wanted::own);
    let signer = match wanted {
        Some(wanted) => Some(Box::pin(setup.signing_keys(&keks, wanted)).await?),
        None => None,
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let or = |configured, default| if configured == 0 { default } else { configured };
    let passwords = Passwords::new("secrets", or(config.limits.password_checks, cores), &*deps.random)?;
    let user_passwords = Passwords::new("logins", or(config.limits.login_checks, cores / 2), &*deps.random)?;
    if options.fixtures {
        setup.fixtures(&checked.issuer_audience, &checked.introspection_audience, &passwords).await?;
    }
    let metrics = Metrics::new("tessera-issuer", env!("CARGO_PKG_VERSION"));
    let telemetry = Telemetry::new(metrics.clone());
    let replica = Replica::new();
    let (publication, task) =
        Publication::open(store.clone(), replica.clone(), Arc::clone(&deps.clock), telemetry.barrier.clone()).await?;
    let background = CancellationToken::new();
    tokio::spawn(task.run(background.clone()));
    let checking = CheckerOptions { cores, ..CheckerOptions::default() };
    let mut mails = None;
    let mailer = match checked.mail.clone() {
        None => Mailer::default(),
        Some(mail) => {
            let (url, clock) = (checked.issuer_url.clone(), Arc::clone(&deps.clock));
            let (mailer, mut task) = Mailer::new(mail, store.clone(), url, clock, telemetry.clone())?;
            task.recall().await?;
            mails = Some(tokio::spawn(task.run(background.clone())));
            mailer
        }
    };
    let cx = Context::new(Parts {
        checker: Checker::new(replica.clone(), checked.issuer_url.clone(), checking, Arc::clone(&deps.clock)),
        policy: policy(&config, &checked),
        signing: Signing::new(keks, signer.is_none()),
        signer: ArcSwapOption::from_pointee(signer),
        remembered: RememberedSecrets::new(&*deps.random),
        throttle: FailureThrottle::new(Arc::clone(&deps.clock)),
        requests: FailureThrottle::of_requests(Arc::clone(&deps.clock)),
        logins: LoginThrottle::new(Arc::clone(&deps.clock)),
        clock: Arc::clone(&deps.clock),
        random: Arc::clone(&deps.random),
        store,
        replica,
        publication,
        lineage: Lineage::new(kept.successor, kept.tag),
        page_key: kept.pages,
        passwords,
        user_passwords,
        attempts: Attempts::new(telemetry.audit_dropped()),
        telemetry,
        last_used: LastUsed::default(),
        mailer,
    });

    tokio::spawn(Keeper::new(cx.clone(), own).run(background.clone()));
    let housekeeping = operations::housekeeping::Housekeeping::new(cx.clone(), config.cleanup.clone());
    tokio::spawn(housekeeping.run(background.clone()));
    tokio::spawn(last_used::run(cx.clone(), background.clone()));
    tokio::spawn(attempts::run(cx.clone(), background.clone()));
    let health = Health::new();
    watch_readiness(&cx, &health, &background);
    serve::descriptors(config.limits.connections);
    let stop = Stop::new();
    let mut serving = Options::new(stop.clone(), Arc::clone(&deps.random));
    serving.connections = config.limits.connections;
    serving.metrics = Some(metrics.clone());
    serving.loops.watch("main");
    let ops_serving = Options { stop: Stop::new(), ..serving.clone() };
    let calls = Calls::new(&config.telemetry, &metrics, TOLD);
    let routes = routes(&cx, &health, &stop).await?;
    let secured = |role| tls.as_ref().and_then(|tls| tls.acceptor(role, &metrics));
    let http_server = http_server.secured(secured(Role::Http));
    let grpc_server = grpc_server.secured(secured(Role::Grpc));
    let ops_server = ops_server.secured(secured(Role::Ops));
    if let Some(tls) = tls {
        let current = tls::keep_current(vec![Arc::new(tls)], metrics.clone(), Arc::clone(&deps.clock));
        tokio::spawn(background.clone().run_until_cancelled_owned(current));
    }
    let http =
        http_server.seen_by(&calls).serve_http(http::router(&cx, &config, checked.introspection_endpoint), &serving)?;
    let grpc = grpc_server.seen_by(&calls).serve_grpc(routes, &serving)?;
    let ops = ops_server.serve_http(ops::router(health.clone(), metrics.clone(), serving.loops), &ops_serving)?;
    tracing::info!(issuer = %cx.policy.issuer_url, http = %http.addr(), grpc = %grpc.addr(), ops = %ops.addr(), "issuer started");
    let (asked, ops_stop) = ([http, grpc], ops_serving.stop);
    Ok(Running { cx, asked, ops, health, metrics, stop, ops_stop, stopping: config.stop, background, mails })
}

/// For its owner alone: the database and the key-encryption key are in it.
fn make_data_dir(path: &Path) -> Result<(), StartError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::DataDir { path: path.to_owned(), source })
}

fn policy(config: &Config, checked: &Checked) -> Policy {
    Policy {
        issuer_url: checked.issuer_url.clone(),
        issuer_audience: checked.issuer_audience.clone(),
        introspection_audience: checked.introspection_audience.clone(),
        default_audience: checked.default_audience.clone(),
        keys: checked.keys.clone(),
        access_ttl: config.tokens.access_ttl,
        password_grant: config.tokens.password_grant,
        require_pkce: config.tokens.require_pkce,
        code_ttl: config.tokens.code_ttl,
        refresh_ttl: config.tokens.refresh_ttl,
        refresh_absolute_ttl: config.tokens.refresh_absolute_ttl,
        refresh_reuse_grace: config.tokens.refresh_reuse_grace,
        session_ttl: config.sessions.ttl,
        session_absolute_ttl: config.sessions.absolute_ttl,
        remember_native_consent: config.sessions.remember_native_consent,
        identities: checked.identities.clone(),
        trusted_proxies: checked.trusted_proxies.clone(),
        owner_scopes: checked.owner_scopes.clone(),
        applications_per_owner: config.applications.per_owner,
        applications_per_day: config.applications.per_day,
        audit_keep: Some(config.audit.keep).filter(|keep| !keep.is_zero()),
        confirm_within: config.sync.confirm_within,
    }
}

async fn routes(cx: &Context, health: &Health, stop: &Stop) -> Result<Routes, StartError> {
    let routes = Routes::default()
        .add_service(health.grpc_service(SERVICES, stop).await)
        .add_service(TokenServiceServer::new(grpc::Tokens(cx.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(
            AuthorizationServiceServer::new(grpc::Authorizations(cx.clone())).max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(
            ClientServiceServer::new(grpc::ClientAdministration(cx.clone())).max_decoding_message_size(4 * MAX_MESSAGE),
        )
        .add_service(
            ScopeServiceServer::new(grpc::ScopeAdministration(cx.clone())).max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(
            UserServiceServer::new(grpc::UserAdministration(cx.clone())).max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(
            OrganizationServiceServer::new(grpc::OrganizationAdministration(cx.clone()))
                .max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(AuditServiceServer::new(grpc::AuditReading(cx.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(KeyServiceServer::new(grpc::KeyAdministration(cx.clone())).max_decoding_message_size(MAX_MESSAGE))
        .add_service(
            SyncServiceServer::new(grpc::Feed::new(cx.clone(), stop.clone())).max_decoding_message_size(MAX_MESSAGE),
        );
    reflection::add(routes, SERVICES).map_err(|error| StartError::Reflection(error.to_string()))
}

/// Ready: migrated, the database takes writes, the log is read, and there is a key (conventions.md).
fn watch_readiness(cx: &Context, health: &Health, background: &CancellationToken) {
    let (database, log, key) = (health.register("database"), health.register("log"), health.register("signing key"));
    let (cx, background) = (cx.clone(), background.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(READINESS);
        loop {
            tokio::select! {
                () = background.cancelled() => return,
                _ = ticks.tick() => look(&cx, &database, &log, &key).await,
            }
        }
    });
}

async fn look(cx: &Context, database: &Check, log: &Check, key: &Check) {
    let writable = tokio::time::timeout(READINESS, cx.store.is_writable()).await.unwrap_or(false);
    database.set(writable);
    log.set(cx.publication.in_touch(cx.clock.monotonic()));
    key.set(cx.signer.load().is_some());
    if cx.publication.has_diverged() {
        cx.telemetry.log_rewritten.set(1.0);
    }
}

impl Running {
    /// Its metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.asked[0].addr()
    }

    /// Where gRPC is served.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.asked[1].addr()
    }

    /// Where health and metrics are served.
    #[must_use]
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops.addr()
    }

    /// Resolves once the issuer is ready.
    pub async fn wait_ready(&self) {
        self.health.wait_ready().await;
    }

    /// Stops as `[stop]` says: not ready, a pause, no new calls, in-flight ones finish; then the database is closed.
    pub async fn shutdown(self) {
        self.shutdown_unless(std::future::pending()).await;
    }

    /// As [`shutdown`](Self::shutdown), without waiting any longer for anything once `now` resolves.
    pub async fn shutdown_unless(mut self, now: impl Future<Output = ()>) {
        let Self { health, stop, asked, stopping, .. } = &mut self;
        Drain { health, stop, servers: asked, spans: stopping }.run(now).await;
        self.background.cancel();
        serve::closing(async {
            // What is to be written comes before what waits for others: a mail server may take all the time there is.
            self.cx.write_attempts(true).await;
            if let Err(error) = self.cx.last_used.write(&self.cx.store).await {
                tracing::debug!(error = %chain(&error), "when clients were used last is not written");
            }
            if let Some(mails) = self.mails.take() {
                // It waits no longer than a few seconds.
                let _ = mails.await;
            }
            self.cx.store.close().await;
            self.ops_stop.end();
            self.ops.finished().await;
        })
        .await;
        tracing::info!("issuer stopped");
    }
}
