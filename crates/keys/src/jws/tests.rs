use super::*;
use proptest::prelude::*;
use tessera_types::Algorithm;

use std::sync::OnceLock;

fn key(algorithm: Algorithm) -> &'static SigningKey {
    static KEYS: OnceLock<Vec<SigningKey>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        Algorithm::ALL.iter().map(|algorithm| SigningKey::generate(*algorithm).expect("a key")).collect()
    });
    keys.iter().find(|key| key.algorithm() == algorithm).expect("one of each")
}

const CLAIMS: &str = r#"{"sub":"demo-service"}"#;

fn token(algorithm: Algorithm) -> String {
    let key = key(algorithm);
    sign_compact(&header_json("at+jwt", key), CLAIMS, key).expect("signs")
}

/// A token with a header of the attacker's choice, signed with a key that verifies.
fn with_header(header: &str, algorithm: Algorithm) -> String {
    sign_compact(header, CLAIMS, key(algorithm)).expect("signs")
}

fn check(token: &str, key: &PublicKey) -> Result<(), Option<VerifyError>> {
    verify(&parse_unverified(token).map_err(|_| None)?, key).map_err(Some)
}

#[test]
fn a_token_verifies_with_its_key_and_no_other() {
    for algorithm in Algorithm::ALL {
        let token = token(*algorithm);
        let parsed = parse_unverified(&token).expect("well-formed");
        assert_eq!(parsed.claims, CLAIMS.as_bytes());
        assert_eq!(parsed.header.kid.as_ref(), Some(key(*algorithm).key_id()));
        assert_eq!(parsed.header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(verify(&parsed, key(*algorithm).public()), Ok(()));
        let other = SigningKey::generate(*algorithm).expect("another key");
        assert_eq!(verify(&parsed, other.public()), Err(VerifyError::Signature));
    }
}

#[test]
fn another_algorithm_than_the_keys_is_refused_before_its_signature() {
    for signer in Algorithm::ALL {
        for verifier in Algorithm::ALL.iter().filter(|verifier| *verifier != signer) {
            assert_eq!(check(&token(*signer), key(*verifier).public()), Err(Some(VerifyError::Algorithm)));
        }
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    for alg in ["none", "None", "NONE", ""] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"at+jwt","alg":"{alg}"}}"#));
        let unsigned = format!("{header}.{}.", URL_SAFE_NO_PAD.encode(CLAIMS));
        assert_eq!(check(&unsigned, key(Algorithm::Rs256).public()), Err(Some(VerifyError::Algorithm)), "{alg}");
    }
}

#[test]
fn an_empty_signature_is_refused() {
    for algorithm in Algorithm::ALL {
        let token = token(*algorithm);
        let (input, _) = token.rsplit_once('.').expect("three parts");
        assert_eq!(check(&format!("{input}."), key(*algorithm).public()), Err(Some(VerifyError::Signature)));
    }
}

#[test]
fn a_public_key_is_never_an_hmac_secret() {
    use aws_lc_rs::hmac;
    let public = key(Algorithm::Rs256).public();
    for (alg, hash) in [("HS256", hmac::HMAC_SHA256), ("RS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
        for secret in [public.to_jwk().into_bytes(), public.key_id().as_str().as_bytes().to_vec()] {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, public.key_id()));
            let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(CLAIMS));
            let tag = hmac::sign(&hmac::Key::new(hash, &secret), input.as_bytes());
            let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
            assert!(check(&forged, public).is_err(), "{alg}");
        }
    }
}

#[test]
fn an_algorithm_of_the_same_family_is_refused() {
    for (alg, algorithm) in [
        ("RS384", Algorithm::Rs256),
        ("PS256", Algorithm::Rs256),
        ("rs256", Algorithm::Rs256),
        ("ES384", Algorithm::Es256),
        ("Ed25519", Algorithm::EdDsa),
    ] {
        let token = with_header(&format!(r#"{{"alg":"{alg}"}}"#), algorithm);
        assert_eq!(check(&token, key(algorithm).public()), Err(Some(VerifyError::Algorithm)), "{alg}");
    }
}

#[test]
fn an_extension_that_is_demanded_is_refused() {
    for crit in [r#"["b64"]"#, r#"["exp"]"#, "[]", "null", r#""exp""#] {
        let token = with_header(&format!(r#"{{"alg":"EdDSA","crit":{crit},"b64":true}}"#), Algorithm::EdDsa);
        assert_eq!(parse_unverified(&token).map(|_| ()), Err(ParseError::Critical), "{crit}");
    }
}

#[test]
fn keys_that_a_token_brings_or_points_to_are_ignored() {
    let (ours, theirs) = (key(Algorithm::EdDsa), SigningKey::generate(Algorithm::EdDsa).expect("a key"));
    let header = format!(
        r#"{{"alg":"EdDSA","kid":"{}","jwk":{},"jku":"https://evil.example/keys","x5u":"https://evil.example/x","x5c":["AA"]}}"#,
        ours.key_id(),
        theirs.public().to_jwk(),
    );
    let forged = sign_compact(&header, CLAIMS, &theirs).expect("signs");
    assert_eq!(check(&forged, ours.public()), Err(Some(VerifyError::Signature)));
    let honest = sign_compact(&header, CLAIMS, ours).expect("signs");
    assert_eq!(check(&honest, ours.public()), Ok(()));
}

#[test]
fn a_key_id_is_an_opaque_text() {
    for kid in ["../../etc/passwd", "' OR 1=1 --", "/dev/null", "http://evil.example", "é"] {
        let token = with_header(&serde_json::json!({ "alg": "EdDSA", "kid": kid }).to_string(), Algorithm::EdDsa);
        let parsed = parse_unverified(&token).expect("well-formed");
        assert_eq!(parsed.header.kid.expect("a kid").as_str(), kid);
    }
}

#[test]
fn a_malformed_header_is_refused() {
    for header in [
        "{}",
        "[]",
        "",
        "nonsense",
        r#"{"alg":1}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"EdDSA","kid":1}"#,
        r#"{"alg":"EdDSA","kid":""}"#,
        r#"{"alg":"EdDSA","typ":["at+jwt"]}"#,
        r#"{"alg":"none","alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","kid":"a","kid":"b"}"#,
        r#"{"alg":"EdDSA","x":{"y":1,"y":2}}"#,
    ] {
        let token = with_header(header, Algorithm::EdDsa);
        assert_eq!(parse_unverified(&token).map(|_| ()), Err(ParseError::Header), "{header}");
    }
}

#[test]
fn only_three_parts_of_canonical_base64url_are_a_token() {
    let good = token(Algorithm::EdDsa);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        header.into(),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!(".{good}"),
        format!("{good}="),
        format!("{good} "),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{header}.{claims}.{signature}A"),
        format!("{header}.{claims}==.{signature}"),
        format!("{header}.{claims}.+{}", &signature[1..]),
        format!("{header}.{claims}./{}", &signature[1..]),
        format!("{header}.{claims}.é{}", &signature[2..]),
    ] {
        assert!(check(&bad, key(Algorithm::EdDsa).public()).is_err(), "{bad:?}");
    }
}

#[test]
fn stray_trailing_bits_are_not_another_form_of_the_same_token() {
    // 64 bytes leave four unused bits in the last of 86 characters.
    let good = token(Algorithm::EdDsa);
    let last = good.chars().last().expect("not empty");
    assert!("AQgw".contains(last), "the canonical last character has its unused bits zero");
    for stray in "BCDEFGHIJKLMNOPRSTUVWXYZabcdefhijklmnopqrstuvxyz0123456789-_".chars() {
        let other = format!("{}{stray}", &good[..good.len() - 1]);
        assert_eq!(parse_unverified(&other).map(|_| ()), Err(ParseError::Form), "{stray}");
    }
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let claims = format!(r#"{{"sub":"{}"}}"#, "a".repeat(MAX_LEN));
    let key = key(Algorithm::EdDsa);
    let token = sign_compact(&header_json("at+jwt", key), &claims, key).expect("signs");
    assert_eq!(parse_unverified(&token).map(|_| ()), Err(ParseError::TooLong));
}

#[test]
fn deep_nesting_in_a_header_is_refused_without_harm() {
    let header = format!(r#"{{"alg":"EdDSA","x":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let token = with_header(&header, Algorithm::EdDsa);
    assert_eq!(parse_unverified(&token).map(|_| ()), Err(ParseError::Header));
}

#[test]
fn no_token_verifies_after_any_change_of_a_byte() {
    for algorithm in Algorithm::ALL {
        let good = token(*algorithm);
        for index in 0..good.len() {
            for bit in 0..7 {
                let mut bytes = good.clone().into_bytes();
                bytes[index] ^= 1 << bit;
                let other = String::from_utf8(bytes).expect("ascii");
                assert!(check(&other, key(*algorithm).public()).is_err(), "{algorithm} byte {index} bit {bit}");
            }
        }
    }
}

#[test]
fn no_token_verifies_truncated() {
    for algorithm in Algorithm::ALL {
        let good = token(*algorithm);
        for len in 0..good.len() {
            assert!(check(&good[..len], key(*algorithm).public()).is_err(), "{algorithm} {len}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_taken_apart_or_refused(text in "\\PC{0,200}") {
        let _ = parse_unverified(&text);
    }

    #[test]
    fn any_header_and_claims_are_read_or_refused(header in proptest::collection::vec(any::<u8>(), 0..100), claims in proptest::collection::vec(any::<u8>(), 0..100)) {
        let text = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
        if let Ok(parsed) = parse_unverified(&text) {
            prop_assert_eq!(parsed.claims, claims);
        }
    }

    #[test]
    fn what_is_signed_is_what_is_read(claims in "\\{\"[a-z]{1,9}\":[0-9]{1,9}\\}") {
        let key = key(Algorithm::EdDsa);
        let token = sign_compact(&header_json("JWT", key), &claims, key).expect("signs");
        let parsed = parse_unverified(&token).expect("well-formed");
        prop_assert_eq!(&parsed.claims, claims.as_bytes());
        prop_assert_eq!(verify(&parsed, key.public()), Ok(()));
    }
}
