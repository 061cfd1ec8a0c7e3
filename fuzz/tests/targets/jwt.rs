//! Tokens and their claims. Base64 hides from mutation what is in a token, so an input is tried as a token, as its three parts
//! (a line each), and as claims. Two tokens are signed in this run: no change of them verifies.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tessera_check::claims::{AccessClaims, profile_of};
use tessera_fuzz::Seeds;
use tessera_keys::{SigningKey, jws};
use tessera_types::{Algorithm, ClaimsProfile};

const WORDS: &[&[u8]] = &[
    br#""alg":"none","#,
    br#""alg":"HS256","#,
    br#""crit":["exp"],"#,
    br#""kid":"#,
    br#""sub":"","#,
    br#""aud":["a","b"],"#,
    br#""exp":-1,"#,
    br#""exp":1e3,"#,
    br#""gid":"AAAAAAAAAAAAAAAAAAAAAA","#,
    br#""username":"","#,
    br#""rev":"0000000000000001.1","#,
    b"null",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"{}",
    b"[",
    b".",
    b"=",
    b"\n",
];

const CLAIMS: &str = r#"{"sub":"demo-service"}"#;

struct Signed {
    key: SigningKey,
    token: String,
}

fn signed() -> &'static [Signed] {
    static SIGNED: OnceLock<Vec<Signed>> = OnceLock::new();
    SIGNED.get_or_init(|| {
        let sign = |algorithm| {
            let key = SigningKey::generate(algorithm).expect("a key");
            let token = jws::sign_compact(&jws::header_json("at+jwt", &key), CLAIMS, &key).expect("signs");
            Signed { key, token }
        };
        [Algorithm::EdDsa, Algorithm::Es256].map(sign).into()
    })
}

fn seeds() -> Seeds {
    let seeds = Seeds::load("jwt", WORDS).expect("seeds");
    let tokens = signed().iter().map(|signed| signed.token.clone().into_bytes());
    tokens.fold(seeds, |seeds, token| seeds.with("a token signed in this run", token))
}

fn property(input: &[u8]) -> bool {
    let lines: Vec<String> = input.split(|b| *b == b'\n').map(|line| URL_SAFE_NO_PAD.encode(line)).collect();
    let as_claims = [ClaimsProfile::Rfc9068, ClaimsProfile::Legacy].map(|profile| claims(profile, input));
    let as_token = str::from_utf8(input).is_ok_and(token);
    let as_parts = token(&lines.join("."));
    as_token || as_parts || as_claims.contains(&true)
}

/// A text that parses is the one form of its parts; it verifies only as it was signed.
fn token(text: &str) -> bool {
    let Ok(parsed) = jws::parse_unverified(text) else {
        return false;
    };
    let signature = URL_SAFE_NO_PAD.encode(&parsed.signature);
    assert_eq!(format!("{}.{signature}", parsed.signing_input), text);
    let (_, claims_part) = parsed.signing_input.split_once('.').expect("two parts");
    assert_eq!(URL_SAFE_NO_PAD.encode(&parsed.claims), claims_part);
    for Signed { key, token } in signed() {
        assert_eq!(jws::verify(&parsed, key.public()).is_ok(), token == text, "a forged token");
    }
    if let Some(profile) = profile_of(parsed.header.typ.as_deref()) {
        claims(profile, &parsed.claims);
    }
    true
}

/// Claims that parse are written and parse equal.
fn claims(profile: ClaimsProfile, bytes: &[u8]) -> bool {
    let Ok(claims) = AccessClaims::parse(profile, bytes) else {
        return false;
    };
    let json = claims.to_json();
    assert_eq!(AccessClaims::parse(profile, json.as_bytes()).as_ref(), Ok(&claims), "{json}");
    assert!(claims.aud().next().is_some(), "a token for nobody");
    true
}

tessera_fuzz::target!(accepted_claims_read_back_and_no_changed_token_verifies, seeds(), property);
