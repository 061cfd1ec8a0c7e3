//! What a check costs by itself, without a wire: remembered tokens, unknown ones, and signing.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tessera_check::{AccessClaims, AudienceRule, Checker, CheckerOptions, Verdict};
use tessera_keys::SigningKey;
use tessera_ledger::event::{ClientState, Event, Fact, KeyFact, Position, Snapshot};
use tessera_ledger::replica::Replica;
use tessera_testkit::SeededRandom;
use tessera_types::{
    Algorithm, Audience, ClaimsProfile, ClientId, Clock, Epoch, KeyState, Revision, ScopeSet, Timestamp, TokenId,
};

const ISSUER: &str = "http://127.0.0.1:6400";
const NOW: Timestamp = Timestamp(1_767_225_600);
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

/// The wall clock stands still, so that no token expires; the other one runs, for the bound on signature checks.
struct BenchClock(Instant);

impl Clock for BenchClock {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A key whose tokens one client has, in a replica that knows both.
struct World {
    key: SigningKey,
    random: SeededRandom,
    replica: Replica,
    client: ClientId,
    audience: Audience,
    revision: Revision,
}

impl World {
    fn new(algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm).expect("a key can be made");
        let client: ClientId = "demo-service".parse().expect("a client id");
        let audience: Audience = "demo-resource".parse().expect("an audience");
        let position = Position { epoch: Epoch(1), revision: 2, hash: [0; 32] };
        let state =
            ClientState { enabled: true, audiences: vec![audience.clone()], resources: Vec::new(), owner: None };
        let key_fact = KeyFact {
            key: key.key_id().clone(),
            algorithm,
            public_jwk: key.public_jwk().into(),
            state: KeyState::Active,
        };
        let facts = vec![
            Fact { revision: 1, event: Event::KeyChanged(key_fact) },
            Fact { revision: 2, event: Event::ClientChanged { client: client.clone(), state: Some(state) } },
        ];
        let replica = Replica::new();
        replica.install(Snapshot { position, facts }).expect("the snapshot is sound");
        Self { key, random: SeededRandom::new(1), replica, client, audience, revision: position.revision() }
    }

    fn checker(&self, cache_capacity: usize) -> Checker {
        #[allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]
        let clock = Arc::new(BenchClock(Instant::now()));
        // So many cores that the bound on signature checks is never reached.
        let options =
            CheckerOptions { cache_capacity, cores: 1_000, signature_percent: 100, ..CheckerOptions::default() };
        Checker::new(self.replica.clone(), ISSUER.to_owned(), options, clock)
    }

    fn claims(&self) -> AccessClaims {
        AccessClaims {
            profile: ClaimsProfile::Rfc9068,
            issuer: ISSUER.to_owned(),
            subject: self.client.to_string(),
            audience: vec![self.audience.clone()],
            client: self.client.clone(),
            scopes: "orders:read orders:write".parse::<ScopeSet>().expect("scopes"),
            issued: NOW,
            not_before: NOW,
            expires: NOW.plus(Duration::from_hours(1)),
            token: TokenId::generate(&self.random),
            rev: self.revision,
            grant: None,
            username: None,
        }
    }

    fn tokens(&self, how_many: usize) -> Vec<String> {
        (0..how_many).map(|_| self.claims().sign(&self.key).expect("it can be signed")).collect()
    }

    fn check(&self, checker: &Checker, token: &str) {
        let rule = AudienceRule { resources: std::slice::from_ref(&self.audience), only: None };
        let verdict = checker.check(black_box(token), rule);
        assert!(matches!(verdict, Ok(Verdict::Active(_))), "{verdict:?}");
    }
}

/// Tokens that were verified before, in turn: with many of them alive the cost is memory's.
fn remembered(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check/remembered");
    let world = World::new(Algorithm::EdDsa);
    for live in [1, 10_000, 200_000] {
        let tokens = world.tokens(live);
        let checker = world.checker(2 * live.max(100));
        for token in &tokens {
            world.check(&checker, token);
        }
        let before = checker.signature_checks();
        let mut turn = tokens.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(live), |bencher| {
            bencher.iter(|| world.check(&checker, turn.next().expect("it never ends")));
        });
        // The cache may have let a few go while it filled; measured are those it has.
        let share = checker.signature_checks().saturating_sub(before);
        assert!(share < 1_000, "{share} of the measured checks were of unknown tokens");
    }
    group.finish();
}

/// Tokens nobody has seen.
fn unknown(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("check/unknown");
    for algorithm in ALGORITHMS {
        let world = World::new(algorithm);
        let tokens = world.tokens(4_096);
        // It remembers next to nothing, so that a token is unknown again by its next turn.
        let checker = world.checker(1);
        let mut turn = tokens.iter().cycle();
        let mut made = 0;
        group.bench_function(algorithm.as_str(), |bencher| {
            bencher.iter(|| {
                made += 1;
                world.check(&checker, turn.next().expect("it never ends"));
            });
        });
        assert_eq!(checker.signature_checks(), made, "some of the tokens were remembered");
    }
    group.finish();
}

fn signing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sign");
    for algorithm in ALGORITHMS {
        let world = World::new(algorithm);
        let claims = world.claims();
        group.bench_function(algorithm.as_str(), |bencher| {
            bencher.iter(|| black_box(&claims).sign(&world.key).expect("it can be signed"));
        });
    }
    group.finish();
}

criterion_group!(benches, remembered, unknown, signing);
criterion_main!(benches);
