use super::*;
use crate::signing::SigningKey;

/// The key of RFC 7638 section 3.1.
const RFC_7638_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
/// The key of RFC 8037 appendix A.2.
const RFC_8037_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn rsa(n: &str, e: &str) -> String {
    serde_json::json!({ "kty": "RSA", "n": n, "e": e }).to_string()
}

#[test]
fn the_thumbprint_is_rfc_7638s() {
    let key = PublicKey::from_jwk(Algorithm::Rs256, &rsa(RFC_7638_N, "AQAB")).expect("the RFC's key");
    assert_eq!(key.key_id().as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let okp = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": RFC_8037_X }).to_string();
    let key = PublicKey::from_jwk(Algorithm::EdDsa, &okp).expect("the RFC's key");
    assert_eq!(key.key_id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_signature_of_rfc_8037_verifies() {
    let okp = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": RFC_8037_X }).to_string();
    let key = PublicKey::from_jwk(Algorithm::EdDsa, &okp).expect("the RFC's key");
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let parsed = crate::jws::parse_unverified(token).expect("well-formed");
    assert_eq!(crate::jws::verify(&parsed, &key), Ok(()));
}

#[test]
fn a_key_reads_back_as_published() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(*algorithm).expect("a key");
        let jwk = key.public().to_jwk();
        let read = PublicKey::from_jwk(*algorithm, &jwk).expect("its own JWK");
        assert_eq!((read.key_id(), read.to_jwk()), (key.key_id(), jwk));
        let signature = key.sign(b"message").expect("signs");
        assert_eq!(read.verify(b"message", &signature), Ok(()));
        assert_eq!(read.verify(b"massage", &signature), Err(BadSignature));
    }
}

#[test]
fn a_key_of_another_type_or_curve_is_refused() {
    let keys: Vec<SigningKey> =
        Algorithm::ALL.iter().map(|algorithm| SigningKey::generate(*algorithm).expect("a key")).collect();
    for key in &keys {
        for algorithm in Algorithm::ALL.iter().filter(|algorithm| **algorithm != key.algorithm()) {
            assert_eq!(PublicKey::from_jwk(*algorithm, &key.public().to_jwk()), Err(InvalidPublicKey::Mismatch));
        }
    }
    for (jwk, algorithm) in [
        (r#"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#, Algorithm::Es256),
        (r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#, Algorithm::EdDsa),
        (r#"{"kty":"oct","x":"AA"}"#, Algorithm::EdDsa),
    ] {
        assert_eq!(PublicKey::from_jwk(algorithm, jwk), Err(InvalidPublicKey::Mismatch), "{jwk}");
    }
}

#[test]
fn an_algorithm_or_use_that_disagrees_is_refused() {
    for (member, value) in [("alg", "PS256"), ("alg", "HS256"), ("use", "enc")] {
        let jwk = serde_json::json!({ "kty": "RSA", "n": RFC_7638_N, "e": "AQAB", member: value }).to_string();
        assert_eq!(PublicKey::from_jwk(Algorithm::Rs256, &jwk), Err(InvalidPublicKey::Mismatch), "{member} {value}");
    }
}

#[test]
fn a_private_key_is_no_public_key() {
    let okp = serde_json::json!({ "kty": "OKP", "crv": "Ed25519", "x": RFC_8037_X, "d": "AA" }).to_string();
    assert_eq!(PublicKey::from_jwk(Algorithm::EdDsa, &okp), Err(InvalidPublicKey::Private));
}

#[test]
fn weak_keys_are_refused() {
    for e in ["AQ", "Ag", "AA", ""] {
        assert_eq!(PublicKey::from_jwk(Algorithm::Rs256, &rsa(RFC_7638_N, e)), Err(InvalidPublicKey::Unsound), "{e}");
    }
    let short = URL_SAFE_NO_PAD.encode([0xff; 128]);
    assert_eq!(PublicKey::from_jwk(Algorithm::Rs256, &rsa(&short, "AQAB")), Err(InvalidPublicKey::Unsound));
    let off_curve = URL_SAFE_NO_PAD.encode([1; 32]);
    let ec = serde_json::json!({ "kty": "EC", "crv": "P-256", "x": off_curve, "y": off_curve }).to_string();
    assert_eq!(PublicKey::from_jwk(Algorithm::Es256, &ec), Err(InvalidPublicKey::Unsound));
}

#[test]
fn a_malformed_jwk_is_refused() {
    for jwk in [
        "",
        "[]",
        r#"{"kty":"OKP","crv":"Ed25519"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":1}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"!"}"#,
        r#"{"kty":"OKP","kty":"OKP","crv":"Ed25519","x":"AAAA"}"#,
    ] {
        assert_eq!(PublicKey::from_jwk(Algorithm::EdDsa, jwk), Err(InvalidPublicKey::Malformed), "{jwk}");
    }
}

#[test]
fn the_key_set_lists_public_members_only() {
    let keys: Vec<SigningKey> =
        Algorithm::ALL.iter().map(|algorithm| SigningKey::generate(*algorithm).expect("a key")).collect();
    let mut jwks_of: Vec<String> = keys.iter().map(SigningKey::public_jwk).collect();
    jwks_of.push("nonsense".into());
    jwks_of[0].insert_str(1, "\"d\":\"private\",");
    let set: Value = serde_json::from_str(&jwks(jwks_of.iter().map(String::as_str))).expect("JSON");
    let listed = set["keys"].as_array().expect("a list");
    assert_eq!(listed.len(), keys.len());
    for (jwk, key) in listed.iter().zip(&keys) {
        assert_eq!(jwk["use"], "sig");
        assert_eq!(jwk["alg"], key.algorithm().as_str());
        assert_eq!(jwk["kid"], key.key_id().as_str());
        for name in jwk.as_object().expect("an object").keys() {
            assert!(["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y", "x5c"].contains(&name.as_str()), "{name}");
        }
    }
    assert_eq!(jwks([]), r#"{"keys":[]}"#);
}
