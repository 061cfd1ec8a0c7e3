//! Which sites' scripts may call: those that are configured, at the endpoints of clients, without cookies (item 20; Casdoor
//! CVE-2024-41657).

use anyhow::{Context as _, Result};
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::shared::shared;
use tessera_tests::{Answer, FORM, World, request, world_with};

use tessera_tests::cast::{application, ask};

const CONFIGURED: &str = "https://app.example";

const OTHERS: &[&str] = &[
    "https://evil.example",
    "null",
    "",
    "*",
    "http://app.example",
    "https://app.example:443",
    "https://app.example:8443",
    "https://app.example.",
    "https://app.example/",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://evil.app.example",
    "https://app.example@evil.example",
    "https://App.example",
    "HTTPS://app.example",
    "https://app.examplé",
    "https://app.example https://evil.example",
    "https://app.example, https://evil.example",
    "file://",
    "app.example",
];

const FOR_SCRIPTS: &[(&str, &str)] = &[
    ("POST", "/oauth2/token"),
    ("POST", "/oauth2/revoke"),
    ("GET", "/oauth2/jwks"),
    ("GET", "/.well-known/oauth-authorization-server"),
];

const FOR_PEOPLE: &[(&str, &str)] = &[
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/consent"),
    ("POST", "/consent"),
    ("GET", "/account"),
    ("POST", "/account/apps/remove"),
    ("POST", "/account/sessions/end"),
    ("POST", "/account/sessions/end-others"),
    ("POST", "/logout"),
    ("POST", "/oauth2/introspect"),
];

/// The call itself, and the question a browser asks before it.
async fn both(world: &World, method: &str, path: &str, origin: &str) -> Result<[Answer; 2]> {
    let at = world.pair.ports.issuer_http;
    let call = request(at, method, path, &[FORM, ("origin", origin)], "").await?;
    let asks = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization, content-type"),
    ];
    Ok([call, request(at, "OPTIONS", path, &asks, "").await?])
}

fn assert_closed(answers: &[Answer], case: &str) {
    for answer in answers {
        assert_eq!(answer.header("access-control-allow-origin"), None, "{case}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{case}: {answer:?}");
    }
}

#[tokio::test]
async fn only_a_configured_origin_may_call_and_only_the_endpoints_of_clients() -> Result<()> {
    let options = Options { issuer: format!("[cors]\norigins = [\"{CONFIGURED}\"]\n"), ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    application(&world, "scripted")?;
    for (method, path) in FOR_SCRIPTS {
        let answers = both(&world, method, path, CONFIGURED).await?;
        for answer in &answers {
            assert_eq!(answer.header("access-control-allow-origin"), Some(CONFIGURED), "{path}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}: {answer:?}");
            let varies = answer.header("vary").unwrap_or_default().to_ascii_lowercase();
            assert!(varies.contains("origin"), "no cache may hand it to another: {path}: {answer:?}");
        }
        for origin in OTHERS {
            assert_closed(&both(&world, method, path, origin).await?, &format!("{origin}: {path}"));
        }
    }
    let authorize = ask("scripted", &[]);
    let closed = FOR_PEOPLE.iter().copied().chain([("GET", authorize.as_str()), ("GET", "/oauth2/authorize")]);
    for (method, path) in closed {
        for origin in [CONFIGURED, "https://evil.example", "null"] {
            assert_closed(&both(&world, method, path, origin).await?, &format!("{origin}: {path}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_configured_origins_no_script_may_call() -> Result<()> {
    let world = shared().await?;
    for (method, path) in FOR_SCRIPTS.iter().chain(FOR_PEOPLE) {
        for origin in [CONFIGURED, "null"] {
            assert_closed(&both(world, method, path, origin).await?, &format!("{origin}: {path}"));
        }
    }
    Ok(())
}
