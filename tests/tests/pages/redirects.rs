//! Which redirect URIs are a client's: those it registered, byte by byte, and of a loopback address any port (item 13; Keycloak
//! CVE-2024-8883).

use anyhow::Result;
use tessera_tests::shared::shared;
use tessera_tests::{create_client, request};

use tessera_tests::cast::{ask, assert_error_page};

const REGISTERED: &str = "https://app.example/cb";

/// As strangers write it, who hope for a lenient comparison.
const ALMOST: &[&str] = &[
    "https://app.example/cb/",
    "https://app.example/cb?",
    "https://app.example/cb#",
    "https://app.example/cb#f",
    "https://app.example/cb?x=1",
    "https://app.example/cb;x",
    "https://app.example/c",
    "https://app.example/cbx",
    "https://app.example/CB",
    "https://app.example//cb",
    "https://app.example/./cb",
    "https://app.example/cb/../cb",
    "https://app.example/cb/..",
    "https://app.example/%63b",
    "https://app.example/cb%00",
    "https://app.example/cb%20",
    "https://app.example/cb\n",
    " https://app.example/cb",
    "https://app.example/cb ",
    "https://app.example\t/cb",
    "https://app.example:443/cb",
    "https://app.example:/cb",
    "https://app.example:8443/cb",
    "https://app.example./cb",
    "https://App.example/cb",
    "HTTPS://app.example/cb",
    "http://app.example/cb",
    "//app.example/cb",
    "/cb",
    "cb",
    "https:app.example/cb",
    "https:/app.example/cb",
    "https:///app.example/cb",
    "https:\\\\app.example\\cb",
    "https://ok@app.example/cb",
    "https://ok@evil.example/cb",
    "https://app.example@evil.example/cb",
    "https://app.example%40evil.example/cb",
    "https://app.example%2f@evil.example/cb",
    "https://app.example\\@evil.example/cb",
    "https://app.example#@evil.example/cb",
    "https://app.example?@evil.example/cb",
    "https://app.example:x@evil.example/cb",
    "https://app.example.evil.example/cb",
    "https://evil-app.example/cb",
    "https://evil.example/app.example/cb",
    "https://evil.example/?https://app.example/cb",
    "https://www.app.example/cb",
    "https://xn--app-.example/cb",
    "https://аpp.example/cb",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "urn:ietf:wg:oauth:2.0:oob",
    "*",
    "null",
];

const LOOPBACK_ALMOST: &[&str] = &[
    "http://127.0.0.1/callback2",
    "http://127.0.0.1:/callback",
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:080/callback",
    "http://127.0.0.1:65536/callback",
    "http://127.0.0.1:80:80/callback",
    "http://127.0.0.1:80@evil.example/callback",
    "http://127.0.0.1@evil.example/callback",
    "http://127.0.0.1.evil.example/callback",
    "http://127.0.0.1./callback",
    "http://127.0.0.2/callback",
    "http://127.1/callback",
    "http://2130706433/callback",
    "http://0x7f.0.0.1/callback",
    "http://0.0.0.0/callback",
    "http://localhost/callback",
    "http://localhost:8080/callback",
    "https://127.0.0.1/callback",
    "http://[::]/callback",
    "http://[0:0:0:0:0:0:0:1]/callback",
    "http://[::01]/callback",
    "http://[::1%25lo]/callback",
    "http://[::ffff:127.0.0.1]/callback",
    "http://[::1]x/callback",
    "http://[::1]:8o/callback",
    "http://::1/callback",
];

#[tokio::test]
async fn a_redirect_uri_that_is_almost_a_registered_one_gets_a_page_and_no_redirect() -> Result<()> {
    let world = shared().await?;
    let grant = ["--public", "--grant", "authorization_code", "--scope", "orders:read"];
    create_client(&world.pair, "exact", &[&grant[..], &["--redirect-uri", REGISTERED]].concat())?;
    let loopback = ["--redirect-uri", "http://127.0.0.1/callback", "http://[::1]/callback"];
    create_client(&world.pair, "loopback", &[&grant[..], &loopback].concat())?;
    let at = world.pair.ports.issuer_http;
    let cases = ALMOST.iter().map(|uri| ("exact", uri)).chain(LOOPBACK_ALMOST.iter().map(|uri| ("loopback", uri)));
    for (client, uri) in cases {
        let answer = request(at, "GET", &ask(client, &[("redirect_uri", uri)]), &[], "").await?;
        assert_error_page(&answer, 400, uri);
        assert!(!answer.body.contains("evil"), "{uri}: {}", answer.body);
    }
    let good = ["http://127.0.0.1/callback", "http://127.0.0.1:49152/callback", "http://[::1]:8080/callback"];
    for (client, uri) in [("exact", REGISTERED)].into_iter().chain(good.map(|uri| ("loopback", uri))) {
        let answer = request(at, "GET", &ask(client, &[("redirect_uri", uri), ("scope", "no-such")]), &[], "").await?;
        let location = answer.header("location").unwrap_or_default();
        assert!(location.starts_with(&format!("{uri}?error=invalid_scope")), "{uri}: {answer:?}");
    }
    Ok(())
}
