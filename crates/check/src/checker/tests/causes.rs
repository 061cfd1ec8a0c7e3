//! Every cause that makes a token inactive, for a token that is remembered and for one that is not; and when nobody can tell.

use tessera_ledger::event::{Event, KeyFact, Subject};
use tessera_types::{Algorithm, ClaimsProfile, Epoch, GrantId, KeyState, Revision, Timestamp, TokenId};

use super::world::{EPOCH, NOW, World, audience, client_state};
use super::*;
use crate::AccessClaims;

type Change = fn(&World);

fn raise(world: &World, subject: Subject) {
    world.apply(Event::WatermarkRaised(subject));
}

fn client_id() -> tessera_types::ClientId {
    "demo-service".parse().expect("an id")
}

/// What makes a person's token inactive, and nothing else.
const CAUSES: &[(&str, Change)] = &[
    ("token revoked", |world| {
        world.apply(Event::TokenRevoked { token: TokenId([1; 16]), expires: Timestamp(NOW + 900) });
    }),
    ("grant revoked", |world| {
        world.apply(Event::GrantRevoked { grant: GrantId([2; 16]), expires: Timestamp(NOW + 900) });
    }),
    ("client's watermark", |world| raise(world, Subject::Client(client_id()))),
    ("user's watermark", |world| raise(world, Subject::User("u-1".into()))),
    ("consent's watermark", |world| raise(world, Subject::Consent { user: "u-1".into(), client: client_id() })),
    ("everything's watermark", |world| raise(world, Subject::Everything)),
    ("client disabled", |world| {
        world.client_is(Some(client_state(false)));
    }),
    ("client deleted", |world| {
        world.client_is(None);
    }),
    ("client deleted and made anew", |world| {
        raise(world, Subject::Client(client_id()));
        world.client_is(None);
        world.client_is(Some(client_state(true)));
    }),
    ("client disabled and enabled", |world| {
        raise(world, Subject::Client(client_id()));
        world.client_is(Some(client_state(false)));
        world.client_is(Some(client_state(true)));
    }),
    ("key retired", |world| {
        world.key_is(KeyState::Retired);
    }),
    ("floor above the expiry", |world| {
        world.apply(Event::ExpiredBefore(Timestamp(NOW + 901)));
    }),
    ("token revoked, then forgotten below the floor", |world| {
        world.apply(Event::TokenRevoked { token: TokenId([1; 16]), expires: Timestamp(NOW + 900) });
        world.apply(Event::ExpiredBefore(Timestamp(NOW + 900 + 7200)));
    }),
    ("expired", |world| world.at(NOW + 900)),
    ("before its time", |world| world.at(NOW - 6)),
];

/// What looks like a cause and is none.
const NO_CAUSES: &[(&str, Change)] = &[
    ("another token revoked", |world| {
        world.apply(Event::TokenRevoked { token: TokenId([9; 16]), expires: Timestamp(NOW + 900) });
    }),
    ("another grant revoked", |world| {
        world.apply(Event::GrantRevoked { grant: GrantId([1; 16]), expires: Timestamp(NOW + 900) });
    }),
    ("another client's watermark", |world| raise(world, Subject::Client("demo-web".parse().expect("an id")))),
    ("another user's watermark", |world| raise(world, Subject::User("u-2".into()))),
    ("another consent's watermark", |world| {
        raise(world, Subject::Consent { user: "u-1".into(), client: "demo-web".parse().expect("an id") });
    }),
    ("client changed", |world| {
        world.client_is(Some(client_state(true)));
    }),
    ("key retiring", |world| {
        world.key_is(KeyState::Retiring);
    }),
    ("key still next", |world| {
        world.key_is(KeyState::Next);
    }),
    ("floor at the expiry", |world| {
        world.apply(Event::ExpiredBefore(Timestamp(NOW + 900)));
    }),
    ("last second", |world| world.at(NOW + 899)),
    ("clock a little behind", |world| world.at(NOW - 5)),
];

/// Runs every change in a world of its own, on a person's token of each profile, remembered or not.
fn each(changes: &[(&str, Change)], active_after: bool) {
    for profile in ClaimsProfile::ALL {
        for remembered in [true, false] {
            for (name, change) in changes {
                let world = World::new();
                let token = world.token(&world.persons_claims(*profile));
                if remembered {
                    assert!(world.is_active(&token), "{name}: active before");
                    assert_eq!(world.source(&token), Source::Memory);
                }
                change(&world);
                assert_eq!(world.is_active(&token), active_after, "{name}, {profile}, remembered: {remembered}");
                assert_eq!(world.is_active(&token), active_after, "{name}, {profile}: asked again");
            }
        }
    }
}

#[test]
fn every_cause_makes_a_token_inactive_whether_or_not_it_is_remembered() {
    each(CAUSES, false);
}

#[test]
fn what_concerns_others_leaves_a_token_active() {
    each(NO_CAUSES, true);
}

#[test]
fn a_token_from_after_the_watermark_lives() {
    let world = World::new();
    raise(&world, Subject::Everything);
    raise(&world, Subject::User("u-1".into()));
    raise(&world, Subject::Client(client_id()));
    let token = world.token(&world.persons_claims(ClaimsProfile::Rfc9068));
    assert!(world.is_active(&token));
}

#[test]
fn a_client_acting_for_itself_heeds_no_user_of_its_name() {
    let world = World::new();
    let token = world.token(&world.claims());
    raise(&world, Subject::User("demo-service".into()));
    assert!(world.is_active(&token));
}

#[test]
fn an_expired_token_is_forgotten() {
    let world = World::new();
    let token = world.token(&world.claims());
    assert!(world.is_active(&token));
    assert_eq!(world.checker.remembered(), 1);
    world.at(NOW + 900);
    assert!(!world.is_active(&token));
    assert_eq!(world.checker.remembered(), 0);
}

#[test]
fn a_clock_that_jumps_back_revives_nothing_below_the_floor() {
    let world = World::new();
    let token = world.token(&world.claims());
    assert!(world.is_active(&token));
    world.apply(Event::ExpiredBefore(Timestamp(NOW + 100_000)));
    world.at(NOW);
    assert!(!world.is_active(&token));
}

#[test]
fn a_replica_without_a_snapshot_cannot_tell() {
    let world = World::cold(Algorithm::EdDsa, CheckerOptions::default());
    let long = "a".repeat(20_000);
    for token in ["", "nonsense", "a.b.c", &long] {
        assert_eq!(world.answer(token).map(|_| ()), Err(CannotTell::NotReady));
    }
}

#[test]
fn a_replica_behind_the_token_cannot_tell_until_it_caught_up() {
    let world = World::new();
    let needs = Revision { epoch: EPOCH, number: world.revision().number + 1 };
    let token = world.token(&AccessClaims { rev: needs, ..world.claims() });
    for _ in ["not remembered", "remembered"] {
        assert_eq!(world.answer(&token).map(|_| ()), Err(CannotTell::Behind { needs }));
    }
    world.client_is(Some(client_state(true)));
    assert!(world.is_active(&token));
}

#[test]
fn a_client_unknown_so_far_is_not_called_inactive_by_a_replica_behind() {
    let world = World::new();
    let client: tessera_types::ClientId = "new-client".parse().expect("an id");
    let needs = Revision { epoch: EPOCH, number: world.revision().number + 1 };
    let claims = AccessClaims { rev: needs, client: client.clone(), subject: "new-client".into(), ..world.claims() };
    let token = world.token(&claims);
    assert_eq!(world.answer(&token).map(|_| ()), Err(CannotTell::Behind { needs }));
    world.apply(Event::ClientChanged { client, state: Some(client_state(true)) });
    assert!(world.is_active(&token));
}

#[test]
fn a_revoked_token_is_inactive_even_where_the_replica_is_behind_it() {
    let world = World::new();
    let ahead = Revision { epoch: EPOCH, number: 1000 };
    let token = world.token(&AccessClaims { rev: ahead, ..world.claims() });
    world.apply(Event::TokenRevoked { token: TokenId([1; 16]), expires: Timestamp(NOW + 900) });
    assert!(!world.is_active(&token));
}

#[test]
fn a_token_from_before_a_restore_is_held_against_watermarks_at_the_place_that_was_restored() {
    let world = World::new();
    let beyond = Revision { epoch: EPOCH, number: 1000 };
    let tokens = [world.claims(), AccessClaims { rev: beyond, ..world.claims() }].map(|claims| world.token(&claims));
    world.install(Epoch(8));
    world.key_is(KeyState::Active);
    world.client_is(Some(client_state(true)));
    world.apply(Event::EpochBegan { former: EPOCH });
    assert!(tokens.iter().all(|token| world.is_active(token)), "kept");
    raise(&world, Subject::Client(client_id()));
    assert!(!tokens.iter().any(|token| world.is_active(token)), "also where its `rev` was of what is lost");
    assert!(world.is_active(&world.token(&world.claims())));
}

#[test]
fn a_token_of_another_log_cannot_be_told() {
    let world = World::new();
    let token = world.token(&world.claims());
    assert!(world.is_active(&token));
    world.install(Epoch(8));
    world.key_is(KeyState::Active);
    world.client_is(Some(client_state(true)));
    let needs = Revision { epoch: EPOCH, number: 2 };
    assert_eq!(world.answer(&token).map(|_| ()), Err(CannotTell::Behind { needs }));
    let fresh = world.token(&world.claims());
    assert!(world.is_active(&fresh));
}

/// A backup that was restored twice does not know the epoch in between; to retire its key is the way to be rid of its tokens.
#[test]
fn a_token_of_another_log_is_inactive_once_its_key_is_retired() {
    let world = World::new();
    let (remembered, unknown) = (world.token(&world.claims()), world.token(&world.claims()));
    assert!(world.is_active(&remembered));
    world.install(Epoch(8));
    world.client_is(Some(client_state(true)));
    world.key_is(KeyState::Retiring);
    assert!(matches!(world.answer(&remembered), Err(CannotTell::Behind { .. })), "it may be yet to be heard of");
    world.key_is(KeyState::Retired);
    for token in [&remembered, &unknown] {
        assert!(!world.is_active(token), "no later event takes that back");
    }
}

#[test]
fn a_remembered_signature_does_not_outlive_its_keys_material() {
    let world = World::new();
    let token = world.token(&world.claims());
    assert!(world.is_active(&token));
    let other = tessera_keys::SigningKey::generate(Algorithm::EdDsa).expect("a key");
    world.apply(Event::KeyChanged(KeyFact {
        key: world.key.key_id().clone(),
        algorithm: Algorithm::EdDsa,
        public_jwk: other.public_jwk().into(),
        state: KeyState::Active,
    }));
    assert!(!world.is_active(&token));
}

#[test]
fn a_key_that_cannot_be_read_is_no_reason_to_say_inactive() {
    let world = World::new();
    let token = world.token(&world.claims());
    world.apply(Event::KeyChanged(KeyFact {
        key: world.key.key_id().clone(),
        algorithm: Algorithm::EdDsa,
        public_jwk: r#"{"kty":"from-the-future"}"#.into(),
        state: KeyState::Active,
    }));
    assert_eq!(world.answer(&token).map(|_| ()), Err(CannotTell::NotReady));
}

#[test]
fn two_resource_servers_get_two_answers_about_one_token() {
    let world = World::new();
    let token = world.token(&world.claims());
    for _ in ["not remembered", "remembered"] {
        assert!(matches!(world.answer_for(&token, "demo-resource").expect("can tell").verdict, Verdict::Active(_)));
        let other = world.answer_for(&token, "other-resource").expect("can tell");
        assert!(matches!(other.verdict, Verdict::Inactive));
        assert_eq!(other.revision, None);
    }
}

#[test]
fn the_audience_asked_for_must_be_the_callers_and_the_tokens() {
    let world = World::new();
    let both = vec![audience("a"), audience("b")];
    let token = world.token(&AccessClaims { audience: both, ..world.claims() });
    let (a, b, c) = (audience("a"), audience("b"), audience("c"));
    let ask = |resources: &[Audience], only: Option<&Audience>| {
        let verdict = world.checker.check(&token, AudienceRule { resources, only }).expect("can tell");
        matches!(verdict, Verdict::Active(_))
    };
    assert!(ask(std::slice::from_ref(&a), None));
    assert!(ask(&[a.clone(), c.clone()], Some(&a)));
    assert!(!ask(&[a.clone(), c.clone()], Some(&b)), "not the caller's");
    assert!(!ask(&[a.clone(), c.clone()], Some(&c)), "not the token's");
    assert!(!ask(std::slice::from_ref(&c), None));
    assert!(!ask(&[], None));
    assert!(!ask(&[], Some(&a)));
}

#[test]
fn a_legacy_token_is_meant_for_its_clients_audiences_as_they_are_now() {
    let world = World::new();
    let token = world.token(&world.persons_claims(ClaimsProfile::Legacy));
    assert!(world.is_active(&token));
    let by_id = world.answer_for(&token, "demo-service").expect("can tell");
    assert!(matches!(by_id.verdict, Verdict::Inactive), "its `aud` is no resource");
    let mut state = client_state(true);
    state.audiences = vec![audience("other-resource")];
    world.client_is(Some(state));
    assert!(!world.is_active(&token));
}

#[test]
fn a_legacy_token_for_one_audience_is_nothing_to_its_clients_others() {
    let world = World::new();
    let mut state = client_state(true);
    state.audiences = vec![audience("demo-resource"), audience("other-resource")];
    world.client_is(Some(state));
    let one = vec![audience("demo-resource")];
    let token = world.token(&AccessClaims { audience: one, ..world.persons_claims(ClaimsProfile::Legacy) });
    let is_active = |at| matches!(world.answer_for(&token, at).expect("can tell").verdict, Verdict::Active(_));
    assert!(is_active("demo-resource") && !is_active("other-resource"));
    let mut state = client_state(true);
    state.audiences = vec![audience("other-resource")];
    world.client_is(Some(state));
    assert!(!is_active("demo-resource") && !is_active("other-resource"), "taken from the client since");
}

#[test]
fn an_active_answer_names_the_revision_it_is_from() {
    let world = World::new();
    let token = world.token(&world.claims());
    let answer = world.answer(&token).expect("can tell");
    assert_eq!(answer.revision, Some(world.revision()));
    let Verdict::Active(verified) = answer.verdict else { panic!("active") };
    assert_eq!(verified.claims(), &world.claims());
    assert_eq!(verified.key(), world.key.key_id());
}

#[test]
fn a_credential_verified_once_is_looked_up_on_each_call() {
    let world = World::new();
    let Verdict::Active(verified) = world.answer(&world.token(&world.claims())).expect("can tell").verdict else {
        panic!("active")
    };
    let resources = [audience("demo-resource")];
    let rule = AudienceRule { resources: &resources, only: None };
    assert_eq!(world.checker.still_active(&verified, rule), Ok(true));
    world.client_is(Some(client_state(false)));
    assert_eq!(world.checker.still_active(&verified, rule), Ok(false));
}

#[test]
fn our_own_services_want_audience_scope_and_a_client_acting_for_itself() {
    let world = World::new();
    let own = audience("demo-resource");
    let token = world.token(&world.claims());
    assert!(world.checker.check_locally(&token, &own, &["tessera.admin", "orders:read"]).is_ok());
    let refused = |token: &str, audience: &Audience, any_of: &[&str]| {
        world.checker.check_locally(token, audience, any_of).map(|_| ()).expect_err("refused")
    };
    assert_eq!(refused(&token, &own, &["orders:write"]), Refused::Scope);
    assert_eq!(refused(&token, &own, &[]), Refused::Scope);
    assert_eq!(refused(&token, &audience("tessera-introspector"), &["orders:read"]), Refused::Inactive);
    assert_eq!(refused("nonsense", &own, &["orders:read"]), Refused::Inactive);
    let persons = world.token(&world.persons_claims(ClaimsProfile::Rfc9068));
    assert_eq!(refused(&persons, &own, &["orders:read"]), Refused::Person);
}

#[test]
fn advice_may_stand_in_an_error_description() {
    use tessera_types::error::is_description;
    let causes = [CannotTell::NotReady, CannotTell::Busy, CannotTell::Behind { needs: World::new().revision() }];
    for cause in causes {
        assert!(is_description(cause.advice()) && cause.retry_after().is_some());
    }
    for refused in [Refused::Inactive, Refused::Scope, Refused::Person, Refused::CannotTell(CannotTell::Busy)] {
        assert!(is_description(refused.advice()));
    }
}
