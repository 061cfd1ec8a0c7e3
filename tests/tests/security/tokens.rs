//! What passes as an access token (items 35 to 37).

use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tessera_keys::{SigningKey, jws};
use tessera_tests::World;
use tessera_tests::shared::shared;
use tessera_types::Algorithm;
use tokio::net::TcpListener;

use crate::forge::{Forge, text};

/// Fails unless everybody says inactive of every one of these, and nothing else.
async fn all_inactive(world: &World, tokens: impl IntoIterator<Item = (impl std::fmt::Display, String)>) -> Result<()> {
    for (name, token) in tokens {
        let said = world.everybody_says_active(&token).await.with_context(|| format!("{name}: {token}"))?;
        assert!(!said, "{name}: {token}");
    }
    Ok(())
}

/// Joins texts to what would be signed.
fn input(header: &Value, forge: &Forge) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(text(&forge.claims)))
}

/// Item 35: the algorithm comes from the key's own record; `none` is refused however it is written.
#[tokio::test]
async fn unsigned_tokens_are_inactive() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let kid = &forge.header["kid"];
    let good = forge.claims(|_| {});
    let signature = good.rsplit('.').next().context("a signature")?;
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        for header in [json!({ "typ": "at+jwt", "alg": alg, "kid": kid }), json!({ "typ": "at+jwt", "alg": alg })] {
            let input = input(&header, &forge);
            for signature in ["", signature, "AA"] {
                tokens.push((alg, format!("{input}.{signature}")));
            }
        }
    }
    tokens.push(("no alg", forge.header(|header| drop(header.remove("alg")))));
    tokens.push(("alg null", forge.header(|header| drop(header.insert("alg".into(), Value::Null)))));
    all_inactive(world, tokens).await
}

/// Item 35: HMAC keyed with the public key, in every form in which a verifier may hold it.
#[tokio::test]
async fn a_public_key_is_never_an_hmac_secret() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let jwk = forge.key.public_jwk();
    let members: Value = serde_json::from_str(&jwk)?;
    let modulus = URL_SAFE_NO_PAD.decode(members["n"].as_str().context("an RSA key")?)?;
    let spki = spki(&modulus);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", wrapped(&STANDARD.encode(&spki)));
    let secrets: [(&str, Vec<u8>); 7] = [
        ("JWK", jwk.into_bytes()),
        ("modulus", modulus),
        ("modulus as text", members["n"].as_str().unwrap_or_default().into()),
        ("DER", spki),
        ("PEM", pem.clone().into_bytes()),
        ("PEM without the last line break", pem.trim_end().into()),
        ("nothing", Vec::new()),
    ];
    let mut tokens = Vec::new();
    for (name, secret) in &secrets {
        for (alg, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let input = input(&json!({ "typ": "at+jwt", "alg": alg, "kid": forge.header["kid"] }), &forge);
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
            tokens.push((format!("{alg} with {name}"), format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))));
        }
    }
    all_inactive(world, tokens).await
}

/// `SubjectPublicKeyInfo` of an RSA key of 2048 bits with the exponent 65537 (RFC 8017 appendix A.1.1).
fn spki(modulus: &[u8]) -> Vec<u8> {
    let start = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA";
    let mut der = STANDARD.decode(start).expect("base64");
    der.extend_from_slice(modulus);
    der.extend_from_slice(&[2, 3, 1, 0, 1]);
    der
}

fn wrapped(base64: &str) -> String {
    base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n")
}

/// Item 35: an algorithm beside the key's, and a key beside the issuer's under the issuer's `kid`.
#[tokio::test]
async fn another_algorithm_and_another_key_under_the_same_id_are_inactive() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let mut tokens = Vec::new();
    // The signature is right, and the header lies about it.
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 "] {
        tokens.push((
            format!("claims to be {alg}"),
            forge.header(|header| drop(header.insert("alg".into(), alg.into()))),
        ));
    }
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let other = SigningKey::generate(algorithm)?;
        for alg in [algorithm.as_str(), "RS256"] {
            for kid in [forge.key.key_id(), other.key_id()] {
                let header = json!({ "typ": "at+jwt", "alg": alg, "kid": kid.as_str() });
                let token = jws::sign_compact(&header.to_string(), &text(&forge.claims), &other)?;
                tokens.push((format!("{algorithm} as {alg} of {kid}"), token));
            }
        }
    }
    all_inactive(world, tokens).await
}

/// Item 35: extensions that are demanded and unknown are refused (RFC 7515 section 4.1.11).
#[tokio::test]
async fn a_token_that_demands_extensions_is_inactive() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let crits = [json!(["exp"]), json!(["b64"]), json!(["urn:example:x"]), json!([]), json!("exp"), Value::Null];
    let tokens = crits.map(|crit| {
        let token = forge.header(|header| {
            header.insert("urn:example:x".into(), true.into());
            header.insert("b64".into(), true.into());
            header.insert("crit".into(), crit.clone());
        });
        (crit, token)
    });
    all_inactive(world, tokens).await
}

/// Item 35: `jwk`, `jku`, `x5u` and `x5c` are ignored: a token is neither better nor worse for them, and nothing is fetched.
#[tokio::test]
async fn a_key_that_a_token_brings_or_points_to_is_ignored() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let bait = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/keys", bait.local_addr()?);
    let other = SigningKey::generate(Algorithm::Rs256)?;
    let jwk: Value = serde_json::from_str(&other.public_jwk())?;
    let extra = [("jwk", jwk), ("jku", url.clone().into()), ("x5u", url.into()), ("x5c", json!(["MIIB"]))];
    for (name, value) in extra {
        let ours = forge.header(|header| drop(header.insert(name.into(), value.clone())));
        assert!(world.everybody_says_active(&ours).await?, "{name} beside a good signature");
        for kid in [forge.key.key_id(), other.key_id()] {
            let header = json!({ "typ": "at+jwt", "alg": "RS256", "kid": kid.as_str(), name: value });
            let theirs = jws::sign_compact(&header.to_string(), &text(&forge.claims), &other)?;
            assert!(!world.everybody_says_active(&theirs).await?, "{name} with its own signature");
        }
    }
    let fetched = tokio::select! {
        biased;
        _ = bait.accept() => true,
        () = std::future::ready(()) => false,
    };
    assert!(!fetched, "somebody fetched a key");
    Ok(())
}

/// Item 35: `kid` is an opaque map key, not a path, a query or a pattern.
#[tokio::test]
async fn a_key_id_is_only_looked_up() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let long = "k".repeat(10_000);
    let own = forge.key.key_id().as_str();
    let texts = [
        "",
        "*",
        "%",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "x' UNION SELECT 'AA==",
        "\0",
        "file:///dev/null",
        "é",
        long.as_str(),
    ];
    let mut kids: Vec<Value> = texts.map(Value::from).to_vec();
    kids.extend([format!("{own}/"), format!(" {own}"), format!("{own}\0"), own.to_lowercase()].map(Value::from));
    kids.extend([Value::Null, json!(1), json!([own]), json!({ "kid": own })]);
    let mut tokens: Vec<(String, String)> = kids
        .into_iter()
        .map(|kid| (kid.to_string(), forge.header(|header| drop(header.insert("kid".into(), kid)))))
        .collect();
    tokens.push(("no kid".into(), forge.header(|header| drop(header.remove("kid")))));
    all_inactive(world, tokens).await
}

/// Item 36: `typ` must be `at+jwt`; other signed things never pass as access tokens.
#[tokio::test]
async fn other_signed_things_never_pass_as_access_tokens() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    for good in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let token = forge.header(|header| drop(header.insert("typ".into(), good.into())));
        assert!(world.everybody_says_active(&token).await?, "{good} (RFC 9068 section 4)");
    }
    let texts = [
        "JWT",
        "jwt",
        "",
        "logout+jwt",
        "id_token",
        "dpop+jwt",
        "secevent+jwt",
        "application/jwt",
        "at+jwt ",
        "at jwt",
    ];
    let mut types: Vec<Value> = texts.map(Value::from).to_vec();
    types.extend([Value::Null, json!(["at+jwt"]), json!(1)]);
    let mut tokens: Vec<(String, String)> = types
        .into_iter()
        .map(|typ| (typ.to_string(), forge.header(|header| drop(header.insert("typ".into(), typ)))))
        .collect();
    tokens.push(("no typ".into(), forge.header(|header| drop(header.remove("typ")))));
    all_inactive(world, tokens).await
}

/// Item 37: `iss` is compared byte by byte.
#[tokio::test]
async fn another_issuers_token_is_inactive() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let own = world.pair.ports.issuer_url();
    let mut issuers: Vec<Value> = [
        format!("{own}/"),
        format!("{own} "),
        own.to_uppercase(),
        own.replace("127.0.0.1", "localhost"),
        own.replace("http:", "https:"),
        own[..own.len() - 1].to_owned(),
        format!("{own}@evil.example"),
        "https://evil.example".to_owned(),
        String::new(),
    ]
    .map(Value::from)
    .to_vec();
    issuers.extend([json!([own]), Value::Null, json!(1)]);
    let mut tokens: Vec<_> = issuers.into_iter().map(|iss| (iss.to_string(), forge.claim("iss", iss))).collect();
    tokens.push(("no iss".into(), forge.claims(|claims| drop(claims.remove("iss")))));
    all_inactive(world, tokens).await
}

/// Item 37: `aud` contains the caller.
#[tokio::test]
async fn a_token_whose_audience_is_not_the_callers_is_inactive() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    for good in [json!("orders-api"), json!(["orders-api"]), json!(["other", "orders-api"])] {
        assert!(world.everybody_says_active(&forge.claim("aud", good.clone())).await?, "{good}");
    }
    let audiences = [
        json!("other"),
        json!("ORDERS-API"),
        json!("orders-api2"),
        json!("orders-ap"),
        json!("orders-api other"),
        json!(["other"]),
        json!([]),
        json!(""),
        json!(["orders-api", 1]),
        json!(["orders-api", ["orders-api"]]),
        json!({ "orders-api": true }),
        json!(true),
        Value::Null,
    ];
    let mut tokens: Vec<_> = audiences.into_iter().map(|aud| (aud.to_string(), forge.claim("aud", aud))).collect();
    tokens.push(("no aud".into(), forge.claims(|claims| drop(claims.remove("aud")))));
    all_inactive(world, tokens).await
}

/// Item 37: a numeric `exp` is mandatory. A text was once skipped by a library, and the token lived for ever.
#[tokio::test]
async fn a_token_without_a_numeric_expiry_is_inactive() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let exp = forge.claims["exp"].as_i64().context("a number")?;
    let mut tokens: Vec<_> = [
        json!(exp.to_string()),
        json!(format!("{exp}.0")),
        json!("never"),
        json!(""),
        json!([exp]),
        json!({ "exp": exp }),
        json!(true),
        Value::Null,
        json!(-1),
        json!(0),
        json!(u64::MAX),
    ]
    .into_iter()
    .map(|exp| (exp.to_string(), forge.claim("exp", exp)))
    .collect();
    tokens.push(("no exp".into(), forge.claims(|claims| drop(claims.remove("exp")))));
    let (header, claims) = (text(&forge.header), text(&forge.claims));
    let number = format!("\"exp\":{exp}");
    assert!(claims.contains(&number), "{claims}");
    for other in ["1e99", "1e400", &format!("{exp}.0"), &format!("{exp}.5"), "99999999999999999999999999", "NaN", "+1"]
    {
        let claims = claims.replace(&number, &format!("\"exp\":{other}"));
        tokens.push((other.to_owned(), forge.sign(&header, &claims)));
    }
    all_inactive(world, tokens).await
}

/// Item 37: a claim of the wrong type refuses the token rather than being skipped.
#[tokio::test]
async fn a_claim_of_the_wrong_type_refuses_the_token() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let mut tokens = Vec::new();
    for name in ["iss", "sub", "client_id", "scope", "iat", "nbf", "jti", "rev", "gid", "username"] {
        let number = matches!(name, "iat" | "nbf");
        let other = if number { json!("1") } else { json!(1) };
        for value in [other, Value::Null, json!([]), json!({}), json!(true), json!([forge.claims.get(name)])] {
            tokens.push((format!("{name}: {value}"), forge.claim(name, value)));
        }
    }
    for name in ["sub", "client_id", "iat", "nbf", "jti", "rev"] {
        tokens.push((format!("no {name}"), forge.claims(|claims| drop(claims.remove(name)))));
    }
    for (name, value) in [
        ("jti", "short"),
        ("jti", "not base64url at all"),
        ("rev", "1"),
        ("rev", "0000000000000001"),
        ("client_id", ""),
        ("client_id", "two words"),
        ("scope", "\"quoted\""),
        ("sub", ""),
    ] {
        tokens.push((format!("{name}: {value}"), forge.claim(name, value)));
    }
    all_inactive(world, tokens).await
}

/// Item 37: which of two members of one name counts is for the reader to choose, so none does.
#[tokio::test]
async fn a_member_that_stands_twice_refuses_the_token() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let (header, claims) = (text(&forge.header), text(&forge.claims));
    let twice = |text: &str, name: &str, value: &Value| format!("{{\"{name}\":{value},{}", &text[1..]);
    let mut tokens = Vec::new();
    for (name, value) in &forge.claims {
        tokens.push((format!("claim {name}"), forge.sign(&header, &twice(&claims, name, value))));
    }
    for (name, value) in &forge.header {
        tokens.push((format!("header {name}"), forge.sign(&twice(&header, name, value), &claims)));
    }
    let escaped = format!("{{\"\\u0065xp\":9999999999,{}", &claims[1..]);
    tokens.push(("claim exp, escaped".to_owned(), forge.sign(&header, &escaped)));
    let nested = format!("{{\"x\":{{\"a\":1,\"a\":2}},{}", &claims[1..]);
    tokens.push(("a member of a member".to_owned(), forge.sign(&header, &nested)));
    for (name, claims) in [
        ("no object", "[]".to_owned()),
        ("nothing", String::new()),
        ("a text", "\"x\"".to_owned()),
        ("more than an object", format!("{claims}{{}}")),
        ("half of it", claims[..claims.len() / 2].to_owned()),
    ] {
        tokens.push((name.to_owned(), forge.sign(&header, &claims)));
    }
    all_inactive(world, tokens).await
}
