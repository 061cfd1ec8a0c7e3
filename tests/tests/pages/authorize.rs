//! `/oauth2/authorize`: what is told the person, what the client, and how.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::person::{Person, parameter};
use tessera_tests::refusal::CANARY;
use tessera_tests::shared::shared;
use tessera_tests::{Answer, World, create_client, request, world_with};

use tessera_tests::cast::{
    CHALLENGE, Changes, REDIRECT_URI, allowed, application, ask, assert_error_page, client, redeem, signed_in, text,
    user,
};

/// One request, by nobody in particular.
async fn open(world: &World, path: &str) -> Result<Answer> {
    request(world.pair.ports.issuer_http, "GET", path, &[], "").await
}

/// Item 12: where client or redirect URI are not known, the person is told, and the browser is sent nowhere.
#[tokio::test]
async fn an_unknown_client_or_redirect_uri_gets_a_page_and_no_redirect() -> Result<()> {
    let world = shared().await?;
    application(world, "authorize-known")?;
    client(world, "authorize-two", &["--public", "--redirect-uri", "https://app.example/second"])?;
    application(world, "authorize-disabled")?;
    world.pair.tessera_json(&["client", "disable", "authorize-disabled", "--yes"])?;
    let good = ask("authorize-known", &[]);
    let repeated = |pair: &str| format!("{good}&{pair}");
    let cases = [
        ("no query", "/oauth2/authorize".to_owned()),
        ("an empty query", "/oauth2/authorize?".to_owned()),
        ("no client", ask("", &[])),
        ("an unknown client", ask(CANARY, &[])),
        ("a client id that is none", ask("a\u{0}b", &[])),
        ("the client twice", repeated("client_id=authorize-known")),
        ("the client twice, empty", repeated("client_id=")),
        ("the client twice, escaped", repeated("client%5Fid=authorize-known")),
        ("a disabled client", ask("authorize-disabled", &[])),
        ("another redirect URI", ask("authorize-known", &[("redirect_uri", "https://cAnArY-7f3a91.example/")])),
        ("the redirect URI twice", repeated("redirect_uri=https%3A%2F%2Fapp.example%2Fcallback%3Fkept%3D1")),
        ("no redirect URI of two", ask("authorize-two", &[("redirect_uri", "")])),
        ("bytes that are no text", repeated("x=%FF")),
        ("a broken escape", repeated("x=%zz")),
        ("a secret in the query", repeated("client_secret=cAnArY-7f3a91")),
        ("a password in the query", repeated("password=cAnArY-7f3a91")),
    ];
    for (case, path) in cases {
        let answer = open(world, &path).await?;
        assert_error_page(&answer, 400, case);
        assert!(!answer.body.contains(CANARY) && !answer.head.contains(CANARY), "{case}: {answer:?}");
    }
    world.is_unharmed().await
}

/// Item 12: everything else is told the client, with its state as it came and with who answers.
#[tokio::test]
async fn every_other_mistake_is_told_the_client_with_its_state_and_the_issuer() -> Result<()> {
    let world = shared().await?;
    application(world, "mistaken")?;
    let machine = ["--grant", "client_credentials", "--scope", "orders:read", "--redirect-uri", REDIRECT_URI];
    create_client(&world.pair, "mistaken-machine", &machine)?;
    let states =
        ["s", "a b&c=d#e\"<é%", "\r\nSet-Cookie: x=y", "\"><script>alert(1)</script>", "+%2B%00", "日本", "&&==?#"];
    let cases: [(&str, &Changes<'_>, &str); 14] = [
        ("mistaken", &[("response_type", "")], "invalid_request"),
        ("mistaken", &[("response_type", "token")], "unsupported_response_type"),
        ("mistaken", &[("response_type", "id_token")], "unsupported_response_type"),
        ("mistaken", &[("response_type", "code token")], "unsupported_response_type"),
        ("mistaken", &[("response_type", "code id_token token")], "unsupported_response_type"),
        ("mistaken", &[("response_mode", "fragment")], "invalid_request"),
        ("mistaken", &[("response_mode", "form_post")], "invalid_request"),
        ("mistaken", &[("scope", "unheard-of")], "invalid_scope"),
        ("mistaken", &[("scope", "two  spaces\"")], "invalid_scope"),
        ("mistaken", &[("scope", "tessera.admin")], "invalid_scope"),
        ("mistaken", &[("resource", "https://elsewhere.example")], "invalid_target"),
        ("mistaken", &[("request", "eyJhbGciOiJub25lIn0.e30.")], "invalid_request"),
        ("mistaken", &[("request_uri", "https://evil.example/r")], "invalid_request"),
        ("mistaken-machine", &[], "unauthorized_client"),
    ];
    for (id, changes, error) in cases {
        for state in states {
            let answer = open(world, &ask(id, &[changes, &[("state", state)]].concat())).await?;
            assert_told(world, &answer, error, Some(state), &format!("{changes:?} {state:?}"));
        }
        let answer = open(world, &ask(id, &[changes, &[("state", "")]].concat())).await?;
        assert_told(world, &answer, error, None, &format!("{changes:?} without a state"));
    }
    let twice = format!("{}&scope=orders:write", ask("mistaken", &[]));
    assert_told(world, &open(world, &twice).await?, "invalid_request", Some("s1"), "a scope twice");
    Ok(())
}

fn assert_told(world: &World, answer: &Answer, error: &str, state: Option<&str>, case: &str) {
    assert_eq!(answer.status, 303, "{case}: {answer:?}");
    let location = answer.header("location").unwrap_or_default();
    assert!(location.starts_with(&format!("{REDIRECT_URI}&error=")), "{case}: {location}");
    assert!(location.ends_with('#'), "no fragment is inherited: {case}: {location}");
    assert_eq!(parameter(location, "error").as_deref(), Some(error), "{case}: {location}");
    assert_eq!(parameter(location, "state").as_deref(), state, "{case}: {location}");
    assert_eq!(parameter(location, "iss"), Some(world.pair.ports.issuer_url()), "{case}: {location}");
    assert_eq!(parameter(location, "code"), None, "{case}: {location}");
    assert_eq!(answer.header("set-cookie"), None, "{case}");
    let described = parameter(location, "error_description").unwrap_or_default();
    assert!(!described.is_empty() && !described.contains(['"', '\\']), "{case}: {described}");
}

/// Items 15 and 16: what the redirect URI has in its query stays, and the issuer is one text everywhere.
#[tokio::test]
async fn the_issuer_is_the_same_in_the_answer_the_metadata_and_the_token() -> Result<()> {
    let world = shared().await?;
    let app = application(world, "same-issuer")?;
    user(world, "issuer-reader")?;
    let metadata = open(world, "/.well-known/oauth-authorization-server").await?.json()?;
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    let mut person = signed_in(world, "issuer-reader").await?;
    let state = "a b&c=d#e\"<é%\r\n";
    for allow in [false, true] {
        person.open(&ask("same-issuer", &[("state", state)])).await?;
        let location = if allow { person.allow().await? } else { person.deny().await? };
        assert!(location.starts_with(&format!("{REDIRECT_URI}&")), "{location}");
        // After a form there is no fragment to inherit, and some clients take an empty one for the implicit grant.
        assert!(!location.contains('#'), "{location}");
        assert_eq!(parameter(&location, "iss").as_deref(), metadata["issuer"].as_str());
        assert_eq!(parameter(&location, "state").as_deref(), Some(state));
        assert_eq!(parameter(&location, "error").is_none(), allow, "{location}");
        let Some(code) = parameter(&location, "code") else { continue };
        let token = text(&redeem(world, &app, &code).await?, "access_token")?;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).context("claims")?)?;
        let claims: serde_json::Value = serde_json::from_slice(&claims)?;
        assert_eq!(claims["iss"], metadata["issuer"]);
    }
    let again = person.open(&ask("same-issuer", &[])).await?.away()?;
    assert!(again.ends_with('#'), "what was allowed before is answered without a form: {again}");
    Ok(())
}

/// Item 25, at the authorization endpoint.
#[tokio::test]
async fn a_public_client_must_send_a_challenge_and_never_a_plain_one() -> Result<()> {
    let world = shared().await?;
    application(world, "challenged")?;
    for changes in [
        &[("code_challenge", ""), ("code_challenge_method", "")][..],
        &[("code_challenge", "")],
        &[("code_challenge_method", "")],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "s256")],
        &[("code_challenge", "short")],
        &[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")],
    ] {
        let answer = open(world, &ask("challenged", changes)).await?;
        assert_told(world, &answer, "invalid_request", Some("s1"), &format!("{changes:?}"));
    }
    Ok(())
}

/// Item 25: a confidential client may do without, unless the operator says otherwise; a plain challenge is refused all the same.
#[tokio::test]
async fn a_confidential_client_may_omit_the_challenge_unless_all_must_have_one() -> Result<()> {
    let strict = Options { issuer: "[tokens]\nrequire_pkce = true\n".to_owned(), ..Options::default() };
    let strict = world_with(Backend::Sqlite, strict).await?.context("SQLite is always there")?;
    let none = [("code_challenge", ""), ("code_challenge_method", "")];
    for (world, refused) in [(shared().await?, false), (&strict, true)] {
        client(world, "confidential", &[])?;
        let answer = open(world, &ask("confidential", &none)).await?;
        if refused {
            assert_told(world, &answer, "invalid_request", Some("s1"), "all must");
        } else {
            let location = answer.header("location").unwrap_or_default();
            assert!(location.starts_with("/consent?request="), "{location}");
        }
        for (challenge, method) in [(CHALLENGE, "plain"), (CHALLENGE, ""), ("", "S256")] {
            let changes = [("code_challenge", challenge), ("code_challenge_method", method)];
            let answer = open(world, &ask("confidential", &changes)).await?;
            assert_told(world, &answer, "invalid_request", Some("s1"), method);
        }
    }
    Ok(())
}

/// Item 41: no header changes where a browser is sent or what a page links to (Zitadel CVE-2025-64101).
#[tokio::test]
async fn no_request_header_changes_where_a_page_leads() -> Result<()> {
    let world = shared().await?;
    application(world, "spoofed")?;
    user(world, "spoofed-user")?;
    let spoofed = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil.example"),
        ("x-original-url", "/evil.example"),
        ("x-rewrite-url", "/evil.example"),
        ("x-http-method-override", "DELETE"),
        ("forwarded", "for=192.0.2.1;host=evil.example;proto=https"),
        ("referer", "https://evil.example/"),
        ("origin", "https://evil.example"),
    ];
    let at = world.pair.ports.issuer_http;
    let answer = request(at, "GET", &ask("spoofed", &[]), &spoofed, "").await?;
    let consent = answer.header("location").unwrap_or_default().to_owned();
    assert!(consent.starts_with("/consent?request="), "{consent}");
    for path in [consent.as_str(), &consent.replace("consent", "login"), "/login", "/account", "/consent"] {
        let answer = request(at, "GET", path, &spoofed, "").await?;
        assert!(!answer.head.contains("evil") && !answer.body.contains("evil"), "{path}: {answer:?}");
        let cookie = answer.header("set-cookie").unwrap_or_default();
        assert!(!cookie.contains("Secure") && !cookie.contains("__Host-"), "the issuer's URL alone says: {cookie}");
    }
    let start = format!("GET {} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", ask("spoofed", &[]));
    let (_, head, body) = tessera_testkit::process::exchange_all(at, start).await?;
    assert!(!head.contains("evil.example") && !body.contains("evil.example"), "{head}");
    let mut person = Person::new(at);
    let location = person.authorize(&ask("spoofed", &[]), "spoofed-user", tessera_tests::cast::PASSWORD, true).await?;
    assert_eq!(parameter(&location, "iss"), Some(world.pair.ports.issuer_url()));
    Ok(())
}

/// A request is asked anew at every turn: nothing is taken from the one before.
#[tokio::test]
async fn the_scopes_that_are_allowed_are_those_that_were_asked() -> Result<()> {
    let world = shared().await?;
    let app = application(world, "scoped")?;
    user(world, "scoped-user")?;
    let mut person = signed_in(world, "scoped-user").await?;
    for scope in ["orders:read", "orders:read orders:write", "orders:write"] {
        let code = allowed(&mut person, &ask("scoped", &[("scope", scope)])).await?;
        assert_eq!(redeem(world, &app, &code).await?["scope"], scope);
    }
    Ok(())
}
