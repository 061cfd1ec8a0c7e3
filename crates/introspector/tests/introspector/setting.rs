//! An issuer, an introspector that follows it, and tokens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{IntrospectRequest, IntrospectResponse};
use tessera_check::AccessClaims;
use tessera_introspector::config::{Introspection, Limits, Sync};
use tessera_introspector::{Config, Deps, Running, start};
use tessera_keys::SigningKey;
use tessera_kit::config::{Listen, Log, Stopping, Telemetry, Tls};
use tessera_kit::random::SystemRandom;
use tessera_kit::serve::{Serving, Stop};
use tessera_ledger::{ClientState, Event, KeyFact};
use tessera_testkit::MockClock;
use tessera_types::{Algorithm, Audience, ClaimsProfile, Clock as _, KeyState, Revision, Timestamp, TokenId, random};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::issuer::{Issuer, URL};

/// A resource server and its secret.
pub(crate) const RESOURCE: (&str, &str) = ("demo-resource", "dev-secret");

pub(crate) struct Setting {
    pub(crate) issuer: Issuer,
    pub(crate) running: Running,
    pub(crate) clock: Arc<MockClock>,
    pub(crate) key: SigningKey,
    _serving: Serving,
    _stop: Stop,
}

pub(crate) fn audiences(names: &[&str]) -> Vec<Audience> {
    names.iter().map(|name| name.parse().expect("an audience")).collect()
}

/// A client's registration: enabled, issuing for `audiences`, introspecting `resources`.
pub(crate) fn client(id: &str, audiences_: &[&str], resources: &[&str]) -> Event {
    let state =
        ClientState { enabled: true, audiences: audiences(audiences_), resources: audiences(resources), owner: None };
    Event::ClientChanged { client: id.parse().expect("a client id"), state: Some(state) }
}

/// A change of the resource server that leaves it what it is, as of its description.
pub(crate) fn unchanged(id: &str) -> Event {
    client(id, &[], &["demo-resource"])
}

pub(crate) fn disabled(id: &str) -> Event {
    let state =
        ClientState { enabled: false, audiences: Vec::new(), resources: audiences(&["demo-resource"]), owner: None };
    Event::ClientChanged { client: id.parse().expect("a client id"), state: Some(state) }
}

pub(crate) fn key_event(key: &SigningKey, state: KeyState) -> Event {
    let public_jwk = key.public_jwk().into();
    Event::KeyChanged(KeyFact { key: key.key_id().clone(), algorithm: key.algorithm(), public_jwk, state })
}

pub(crate) fn config(issuer_grpc: String) -> Config {
    Config {
        issuer_url: URL.to_owned(),
        listen: Listen::free_ports(),
        sync: Sync {
            issuer_grpc,
            client_id: Some("tessera-introspector".to_owned()),
            client_secret_file: None,
            client_secret: Some("feed-secret".to_owned()),
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            max_staleness: Duration::from_secs(10),
            name: "test".to_owned(),
        },
        tls: Tls::default(),
        introspection: Introspection { wait: Duration::from_millis(300), ..Introspection::default() },
        limits: Limits::default(),
        stop: Stopping { grace: Duration::from_millis(300), ..Stopping::at_once() },
        log: Log::default(),
        telemetry: Telemetry::default(),
    }
}

impl Setting {
    /// Ready, with a key, a client that issues tokens and a resource server.
    pub(crate) async fn ready() -> Self {
        let setting = Self::cold().await;
        setting.running.wait_ready().await;
        setting
    }

    /// The issuer accepts no stream yet.
    pub(crate) async fn unsynchronized() -> Self {
        let issuer = Issuer::new(1);
        issuer.refuse_streams(true);
        Self::with(issuer).await
    }

    async fn cold() -> Self {
        Self::with(Issuer::new(1)).await
    }

    async fn with(issuer: Issuer) -> Self {
        Self::configured(issuer, |_| {}).await
    }

    pub(crate) async fn configured(issuer: Issuer, change: impl FnOnce(&mut Config)) -> Self {
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        issuer.append(key_event(&key, KeyState::Active));
        issuer.append(client("demo-service", &["demo-resource"], &[]));
        issuer.append(client(RESOURCE.0, &[], &["demo-resource"]));
        issuer.secret(RESOURCE.0, RESOURCE.1);
        let (addr, serving, stop) = issuer.serve();
        let clock = Arc::new(MockClock::default());
        let deps = Deps { clock: Arc::<MockClock>::clone(&clock), random: Arc::new(SystemRandom) };
        let mut config = config(format!("http://{addr}"));
        change(&mut config);
        let running = start(config, deps).await.expect("started");
        Self { issuer, running, clock, key, _serving: serving, _stop: stop }
    }

    pub(crate) fn claims(&self) -> AccessClaims {
        let now = self.clock.now();
        AccessClaims {
            profile: ClaimsProfile::Rfc9068,
            issuer: URL.to_owned(),
            subject: "demo-service".to_owned(),
            audience: audiences(&["demo-resource"]),
            client: "demo-service".parse().expect("a client id"),
            scopes: "orders:read orders:write".parse().expect("scopes"),
            issued: now,
            not_before: now,
            expires: now.plus(Duration::from_mins(5)),
            token: TokenId(random::bytes(&SystemRandom)),
            rev: Revision { epoch: self.issuer.epoch(), number: self.issuer.head() },
            grant: None,
            username: None,
        }
    }

    pub(crate) fn sign(&self, claims: &AccessClaims) -> String {
        claims.sign(&self.key).expect("signed")
    }

    pub(crate) fn token(&self) -> String {
        self.sign(&self.claims())
    }

    /// A token for calling the introspector, of the resource server.
    pub(crate) fn caller_claims(&self) -> AccessClaims {
        AccessClaims {
            subject: RESOURCE.0.to_owned(),
            client: RESOURCE.0.parse().expect("a client id"),
            audience: audiences(&["tessera-introspector"]),
            scopes: "introspect".parse().expect("a scope"),
            ..self.claims()
        }
    }

    pub(crate) fn grpc(&self) -> IntrospectionServiceClient<Channel> {
        let endpoint = Channel::from_shared(format!("http://{}", self.running.grpc_addr)).expect("a URI");
        IntrospectionServiceClient::new(endpoint.connect_lazy())
    }

    /// Introspects as the resource server.
    pub(crate) async fn ask(&self, token: &str) -> Result<IntrospectResponse, Status> {
        self.ask_for(IntrospectRequest { token: token.to_owned(), ..IntrospectRequest::default() }).await
    }

    pub(crate) async fn ask_for(&self, request: IntrospectRequest) -> Result<IntrospectResponse, Status> {
        self.grpc()
            .introspect(authorized(&basic(RESOURCE.0, RESOURCE.1), request))
            .await
            .map(tonic::Response::into_inner)
    }

    /// Until the issuer was asked about so many credentials.
    pub(crate) async fn until_asked(&self, count: usize) {
        let asked = async {
            while self.issuer.inner().authentications.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("in time");
    }

    pub(crate) async fn is_active(&self, token: &str) -> bool {
        self.ask(token).await.expect("an answer").active
    }

    /// Asks until the answer is what the test waits for.
    pub(crate) async fn until(&self, token: &str, wanted: impl Fn(&Result<IntrospectResponse, Status>) -> bool) {
        let asking = async {
            while !wanted(&self.ask(token).await) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking).await.expect("it comes in time");
    }
}

pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub(crate) fn authorized<T>(authorization: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value: AsciiMetadataValue = authorization.parse().expect("a header value");
    request.metadata_mut().insert("authorization", value);
    request
}

pub(crate) fn revoked(claims: &AccessClaims) -> Event {
    Event::TokenRevoked { token: claims.token, expires: claims.expires }
}

/// The reason in the status's `ErrorInfo`.
pub(crate) fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

pub(crate) const LONG_AGO: Timestamp = Timestamp(1_000_000_000);
