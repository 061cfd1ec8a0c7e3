//! A replica, a clock, keys and tokens to ask about.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tessera_keys::SigningKey;
use tessera_ledger::event::{ClientState, Entry, Event, KeyFact, Position, Snapshot};
use tessera_ledger::replica::Replica;
use tessera_types::{
    Algorithm, Audience, ClaimsProfile, Clock, Epoch, GrantId, KeyState, Revision, ScopeSet, Timestamp, TokenId,
};

use crate::{AccessClaims, Answer, AudienceRule, CannotTell, Checker, CheckerOptions, Source, Verdict};

pub(super) const ISSUER: &str = "http://127.0.0.1:6400";
pub(super) const EPOCH: Epoch = Epoch(7);
pub(super) const NOW: i64 = 1_000_000;

pub(super) struct MockClock {
    now: AtomicI64,
    monotonic: AtomicU64,
    /// How long each signature seems to take, in milliseconds: what passes between two looks at the clock.
    pub(super) tick: AtomicU64,
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        let tick = self.tick.load(Ordering::Relaxed);
        Duration::from_millis(self.monotonic.fetch_add(tick, Ordering::Relaxed))
    }
}

pub(super) struct World {
    pub(super) replica: Replica,
    pub(super) clock: Arc<MockClock>,
    pub(super) key: SigningKey,
    pub(super) checker: Checker,
    next: Mutex<u64>,
}

pub(super) fn audience(text: &str) -> Audience {
    text.parse().expect("an audience")
}

pub(super) fn client_state(enabled: bool) -> ClientState {
    ClientState { enabled, audiences: vec![audience("demo-resource")], resources: Vec::new(), owner: None }
}

impl World {
    /// A world with one active key and the enabled client `demo-service`.
    pub(super) fn new() -> Self {
        Self::with(Algorithm::EdDsa, CheckerOptions::default())
    }

    pub(super) fn with(algorithm: Algorithm, options: CheckerOptions) -> Self {
        let world = Self::cold(algorithm, options);
        world.install(EPOCH);
        world.key_is(KeyState::Active);
        world.client_is(Some(client_state(true)));
        world
    }

    /// A world whose replica has no snapshot yet.
    pub(super) fn cold(algorithm: Algorithm, options: CheckerOptions) -> Self {
        let replica = Replica::new();
        let clock =
            Arc::new(MockClock { now: AtomicI64::new(NOW), monotonic: AtomicU64::new(0), tick: AtomicU64::new(0) });
        let checker = Checker::new(replica.clone(), ISSUER.into(), options, Arc::clone(&clock) as Arc<dyn Clock>);
        let key = SigningKey::generate(algorithm).expect("a key");
        Self { replica, clock, key, checker, next: Mutex::new(1) }
    }

    pub(super) fn install(&self, epoch: Epoch) {
        let position = Position { epoch, revision: 0, hash: [0; 32] };
        self.replica.install(Snapshot { position, facts: Vec::new() }).expect("installs");
        *self.next.lock().expect("not poisoned") = 1;
    }

    /// Applies an event and returns its revision.
    pub(super) fn apply(&self, event: Event) -> u64 {
        let mut next = self.next.lock().expect("not poisoned");
        let revision = *next;
        self.replica.apply(&[Entry { revision, hash: [0; 32], event }]).expect("applies");
        *next += 1;
        revision
    }

    pub(super) fn key_is(&self, state: KeyState) -> u64 {
        self.apply(Event::KeyChanged(KeyFact {
            key: self.key.key_id().clone(),
            algorithm: self.key.algorithm(),
            public_jwk: self.key.public_jwk().into(),
            state,
        }))
    }

    pub(super) fn client_is(&self, state: Option<ClientState>) -> u64 {
        self.apply(Event::ClientChanged { client: "demo-service".parse().expect("an id"), state })
    }

    pub(super) fn at(&self, now: i64) {
        self.clock.now.store(now, Ordering::Relaxed);
    }

    pub(super) fn pass(&self, millis: u64) {
        self.clock.monotonic.fetch_add(millis, Ordering::Relaxed);
    }

    pub(super) fn revision(&self) -> Revision {
        self.replica.position().expect("installed").revision()
    }

    /// The claims of a token issued now, for the client itself.
    pub(super) fn claims(&self) -> AccessClaims {
        AccessClaims {
            profile: ClaimsProfile::Rfc9068,
            issuer: ISSUER.into(),
            subject: "demo-service".into(),
            audience: vec![audience("demo-resource")],
            client: "demo-service".parse().expect("an id"),
            scopes: "orders:read".parse::<ScopeSet>().expect("scopes"),
            issued: self.clock.now(),
            not_before: self.clock.now(),
            expires: self.clock.now().plus(Duration::from_mins(15)),
            token: TokenId([1; 16]),
            rev: self.revision(),
            grant: Some(GrantId([2; 16])),
            username: None,
        }
    }

    /// The claims of a token that acts for a person, in either profile.
    pub(super) fn persons_claims(&self, profile: ClaimsProfile) -> AccessClaims {
        let audience = if profile == ClaimsProfile::Legacy { Vec::new() } else { vec![audience("demo-resource")] };
        AccessClaims { profile, audience, subject: "u-1".into(), username: Some("ada".into()), ..self.claims() }
    }

    pub(super) fn token(&self, claims: &AccessClaims) -> String {
        claims.sign(&self.key).expect("signs")
    }

    pub(super) fn answer_for(&self, token: &str, resource: &str) -> Result<Answer, CannotTell> {
        self.checker.answer(token, AudienceRule { resources: &[audience(resource)], only: None })
    }

    pub(super) fn answer(&self, token: &str) -> Result<Answer, CannotTell> {
        self.answer_for(token, "demo-resource")
    }

    pub(super) fn is_active(&self, token: &str) -> bool {
        matches!(self.answer(token).expect("can tell").verdict, Verdict::Active(_))
    }

    pub(super) fn source(&self, token: &str) -> Source {
        self.answer(token).expect("can tell").source
    }
}
