//! What an introspection endpoint answers.

use serde_json::json;
use tessera_ledger::event::ClientState;
use tessera_types::ClaimsProfile;

use super::world::{NOW, World, audience, client_state};
use super::*;
use crate::Introspection;

fn answer(world: &World, claims: &AccessClaims) -> serde_json::Value {
    let Verdict::Active(verified) = world.answer(&world.token(claims)).expect("can tell").verdict else {
        panic!("active")
    };
    serde_json::to_value(Introspection::Active(verified)).expect("serializes")
}

#[test]
fn inactive_is_exactly_that() {
    assert_eq!(serde_json::to_string(&Introspection::Inactive).expect("serializes"), r#"{"active":false}"#);
}

#[test]
fn an_active_token_is_described_by_its_claims() {
    let world = World::new();
    let claims = AccessClaims { audience: vec![audience("demo-resource"), audience("b")], ..world.claims() };
    assert_eq!(
        answer(&world, &claims),
        json!({
            "active": true, "scope": "orders:read", "client_id": "demo-service", "token_type": "Bearer",
            "exp": NOW + 900, "iat": NOW, "nbf": NOW, "sub": "demo-service", "aud": ["demo-resource", "b"],
            "iss": "http://127.0.0.1:6400", "jti": claims.token.to_string(),
        })
    );
}

#[test]
fn a_legacy_tokens_audience_is_its_clients_id() {
    let world = World::new();
    let answer = answer(&world, &world.persons_claims(ClaimsProfile::Legacy));
    assert_eq!((&answer["aud"], &answer["sub"]), (&json!("demo-service"), &json!("u-1")));
    assert_eq!(answer["username"], "ada");
}

#[test]
fn a_token_of_a_client_with_an_owner_acts_for_the_owner_and_a_persons_for_the_person() {
    let world = World::new();
    let owner = tessera_types::UserId([5; 16]);
    world.client_is(Some(ClientState { owner: Some(owner), ..client_state(true) }));
    for claims in [world.claims(), AccessClaims { profile: ClaimsProfile::Legacy, ..world.claims() }] {
        assert_eq!(answer(&world, &claims)["sub"], json!(owner.to_string()));
    }
    assert_eq!(answer(&world, &world.persons_claims(ClaimsProfile::Rfc9068))["sub"], "u-1");
}
