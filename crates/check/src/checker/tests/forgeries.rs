//! Tokens that are none of ours.

use serde_json::{Map, Value, json};
use tessera_keys::{SigningKey, jws};
use tessera_types::{Algorithm, ClaimsProfile};

use super::world::{ISSUER, NOW, World};
use super::*;

/// A token with our key's signature over a header of the attacker's choice.
fn with_header(world: &World, header: &Value) -> String {
    jws::sign_compact(&header.to_string(), &world.claims().to_json(), &world.key).expect("signs")
}

/// A token with our key's signature over claims with one of them replaced.
fn with_claim(world: &World, name: &str, value: Value) -> String {
    let mut claims: Map<String, Value> = serde_json::from_str(&world.claims().to_json()).expect("an object");
    claims.insert(name.into(), value);
    let claims = Value::Object(claims).to_string();
    jws::sign_compact(&jws::header_json("at+jwt", &world.key), &claims, &world.key).expect("signs")
}

/// Inactive, and not worth a signature check.
fn refused_by_its_shape(world: &World, token: &str) -> bool {
    let before = world.checker.signature_checks();
    let answer = world.answer(token).expect("can tell");
    matches!(answer.verdict, Verdict::Inactive)
        && answer.source == Source::Shape
        && world.checker.signature_checks() == before
        && world.checker.remembered() == 0
}

#[test]
fn tokens_of_every_algorithm_are_active() {
    for algorithm in Algorithm::ALL {
        let world = World::with(*algorithm, CheckerOptions::default());
        assert!(world.is_active(&world.token(&world.claims())), "{algorithm}");
    }
}

#[test]
fn unsigned_and_hmac_signed_tokens_are_inactive() {
    let world = World::with(Algorithm::Rs256, CheckerOptions::default());
    for alg in ["none", "NONE", "HS256", "HS512", "ES256", "EdDSA", "RS384", "PS256", "rs256", ""] {
        let header = json!({ "typ": "at+jwt", "alg": alg, "kid": world.key.key_id().as_str() });
        let token = with_header(&world, &header);
        assert!(refused_by_its_shape(&world, &token), "{alg}");
        let (input, _) = token.rsplit_once('.').expect("three parts");
        assert!(refused_by_its_shape(&world, &format!("{input}.")), "{alg} without a signature");
    }
}

#[test]
fn a_key_id_is_looked_up_and_nothing_else() {
    let world = World::new();
    for kid in ["../../dev/null", "' OR '1'='1", "\u{0}", "http://evil.example/key", "", " "] {
        let token = with_header(&world, &json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid }));
        assert!(refused_by_its_shape(&world, &token), "{kid:?}");
    }
    assert!(refused_by_its_shape(&world, &with_header(&world, &json!({ "typ": "at+jwt", "alg": "EdDSA" }))));
    for kid in [json!(1), json!(null), json!(["a"])] {
        let token = with_header(&world, &json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": kid }));
        assert!(refused_by_its_shape(&world, &token));
    }
}

#[test]
fn a_key_that_the_token_brings_is_not_used() {
    let world = World::new();
    let theirs = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let jwk: Value = serde_json::from_str(&theirs.public_jwk()).expect("JSON");
    for kid in [world.key.key_id(), theirs.key_id()] {
        let header = json!({
            "typ": "at+jwt", "alg": "EdDSA", "kid": kid.as_str(), "jwk": jwk,
            "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x", "x5c": ["AA=="],
        });
        let token = jws::sign_compact(&header.to_string(), &world.claims().to_json(), &theirs).expect("signs");
        assert!(!world.is_active(&token));
    }
    assert_eq!(world.checker.remembered(), 0);
}

#[test]
fn extensions_that_are_demanded_are_refused() {
    let world = World::new();
    let header =
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": world.key.key_id().as_str(), "crit": ["b64"], "b64": true });
    assert!(refused_by_its_shape(&world, &with_header(&world, &header)));
}

#[test]
fn other_signed_things_are_not_access_tokens() {
    let world = World::new();
    let kid = world.key.key_id().as_str();
    for typ in ["JWT", "jwt", "id+jwt", "logout+jwt", "at+jwt+x", ""] {
        let token = with_header(&world, &json!({ "typ": typ, "alg": "EdDSA", "kid": kid }));
        assert!(refused_by_its_shape(&world, &token), "{typ}");
    }
    assert!(refused_by_its_shape(&world, &with_header(&world, &json!({ "alg": "EdDSA", "kid": kid }))));
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let token = with_header(&world, &json!({ "typ": typ, "alg": "EdDSA", "kid": kid }));
        assert!(world.is_active(&token), "{typ}");
    }
}

#[test]
fn a_legacy_token_does_not_pass_with_the_other_type() {
    let world = World::new();
    let claims = world.persons_claims(ClaimsProfile::Legacy);
    let token = jws::sign_compact(&jws::header_json("at+jwt", &world.key), &claims.to_json(), &world.key);
    // `aud` is the client's id there: as RFC 9068 reads it, a token for a resource of that name.
    assert!(!world.is_active(&token.expect("signs")));
}

#[test]
fn the_issuer_is_compared_byte_by_byte() {
    let world = World::new();
    for iss in ["http://127.0.0.1:6400/", "HTTP://127.0.0.1:6400", "http://127.0.0.1:640", "https://127.0.0.1:6400", ""]
    {
        assert!(refused_by_its_shape(&world, &with_claim(&world, "iss", json!(iss))), "{iss}");
    }
    assert!(refused_by_its_shape(&world, &with_claim(&world, "iss", json!([ISSUER]))));
}

#[test]
fn an_expiry_that_is_no_whole_number_is_refused() {
    let world = World::new();
    for exp in [
        json!("1000900"),
        json!(1_000_900.0),
        json!(1_000_900.5),
        json!(null),
        json!([1_000_900]),
        json!(-1),
        json!(NOW),
    ] {
        assert!(refused_by_its_shape(&world, &with_claim(&world, "exp", exp.clone())), "{exp}");
    }
}

#[test]
fn a_changed_byte_makes_a_token_inactive() {
    for algorithm in Algorithm::ALL {
        let world = World::with(*algorithm, CheckerOptions { signature_percent: 100, ..CheckerOptions::default() });
        let good = world.token(&world.claims());
        assert!(world.is_active(&good));
        for index in 0..good.len() {
            for bit in [1, 2, 4, 32] {
                let mut bytes = good.clone().into_bytes();
                bytes[index] ^= bit;
                let other = String::from_utf8(bytes).expect("ascii");
                assert!(!world.is_active(&other), "{algorithm} byte {index} bit {bit}");
            }
        }
        assert_eq!(world.checker.remembered(), 1);
    }
}

#[test]
fn a_truncated_or_extended_token_is_inactive() {
    let world = World::new();
    let good = world.token(&world.claims());
    for len in 0..good.len() {
        assert!(!world.is_active(&good[..len]), "{len}");
    }
    for more in [".", "=", " ", "\n", "\0", "A", "AA", "AAAA", ".A", "é", &good] {
        assert!(!world.is_active(&format!("{good}{more}")), "{more:?} after");
        assert!(!world.is_active(&format!("{more}{good}")), "{more:?} before");
    }
    assert!(world.is_active(&good));
}

#[test]
fn parts_of_two_good_tokens_do_not_make_a_third() {
    let world = World::new();
    let one = world.token(&world.claims());
    let other = world.token(&world.persons_claims(ClaimsProfile::Rfc9068));
    let (one, other): (Vec<_>, Vec<_>) = (one.split('.').collect(), other.split('.').collect());
    assert!(!world.is_active(&[one[0], other[1], one[2]].join(".")));
    assert!(!world.is_active(&[one[0], one[1], other[2]].join(".")));
}

#[test]
fn a_huge_or_deeply_nested_token_is_refused_cheaply() {
    let world = World::new();
    let huge = with_claim(&world, "note", json!("a".repeat(16_384)));
    assert!(refused_by_its_shape(&world, &huge));
    let mut deep = world.claims().to_json();
    deep.truncate(deep.len() - 1);
    deep = format!("{deep},\"note\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
    let deep = jws::sign_compact(&jws::header_json("at+jwt", &world.key), &deep, &world.key).expect("signs");
    assert!(refused_by_its_shape(&world, &deep));
}

#[test]
fn an_unknown_token_is_told_apart_from_ours_before_its_signature() {
    let world = World::new();
    let other = World::new();
    assert!(refused_by_its_shape(&world, &other.token(&other.claims())), "another issuer's key");
    world.key_is(tessera_types::KeyState::Retired);
    assert!(refused_by_its_shape(&world, &world.token(&world.claims())), "a retired key");
}

proptest::proptest! {
    #[test]
    fn any_text_is_inactive(text in "\\PC{0,300}") {
        proptest::prop_assert!(!World::new().is_active(&text));
    }
}
