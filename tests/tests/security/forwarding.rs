//! What the server says of itself (item 38), and who cannot make it say something else (item 41).

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tessera_tests::shared::shared;
use tessera_tests::{FORM, World, form, post, request};

use crate::forge::part;

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// Gets a document of the issuer.
async fn document(world: &World, path: &str, headers: &[(&str, &str)]) -> Result<Value> {
    let answer = request(world.pair.ports.issuer_http, "GET", path, headers, "").await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// Item 38: the metadata is at its well-known place and lists what is enabled, all of which is there, and nothing else.
#[tokio::test]
async fn the_metadata_lists_what_is_enabled_and_nothing_else() -> Result<()> {
    let world = shared().await?;
    let issuer = world.pair.ports.issuer_url();
    let metadata = document(world, METADATA, &[]).await?;
    let all = ["client_secret_basic", "client_secret_post", "none"];
    let expected = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
        "introspection_endpoint": format!("{issuer}/oauth2/introspect"),
        "jwks_uri": format!("{issuer}/oauth2/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["client_credentials", "authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": all,
        "revocation_endpoint_auth_methods_supported": all,
        "introspection_endpoint_auth_methods_supported": all[..2],
        "authorization_response_iss_parameter_supported": true,
        "ui_locales_supported": ["en", "fr"],
    });
    assert_eq!(metadata, expected);
    let at = world.pair.ports.issuer_http;
    for name in ["token_endpoint", "revocation_endpoint", "introspection_endpoint"] {
        let path = metadata[name].as_str().and_then(|url| url.strip_prefix(&issuer)).context("an endpoint of ours")?;
        let status = request(at, "POST", path, &[FORM], "").await?.status;
        assert!(matches!(status, 400 | 401), "{name}: {status}");
    }
    let authorize = request(at, "GET", "/oauth2/authorize", &[], "").await?.status;
    assert_eq!(authorize, 400, "a page that says what is missing");
    for absent in ["/oauth2/par", "/oauth2/device_authorization", "/oauth2/register", "/oauth2/userinfo"] {
        for method in ["GET", "POST"] {
            assert_eq!(request(at, method, absent, &[FORM], "").await?.status, 404, "{method} {absent}");
        }
    }
    let grant = |name| [("grant_type", name)];
    for absent in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"] {
        let answer = post(at, "/oauth2/token", Some(&world.service), &grant(absent)).await?;
        assert_eq!(answer.error(), "unsupported_grant_type", "{absent}");
    }
    Ok(())
}

/// Item 38: the key set verifies what is issued, and holds no private part.
#[tokio::test]
async fn the_key_set_has_the_signing_key_and_nothing_private() -> Result<()> {
    let world = shared().await?;
    let set = document(world, "/oauth2/jwks", &[]).await?;
    let keys = set["keys"].as_array().context("keys")?;
    let header = part(&world.token().await?, 0)?;
    assert!(keys.iter().any(|key| key["kid"] == header["kid"] && key["alg"] == header["alg"]), "{set}");
    for key in keys {
        let members: Vec<&String> = key.as_object().into_iter().flat_map(|key| key.keys()).collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use", "x5c"], "{key}");
    }
    Ok(())
}

/// Item 41: no header of a request changes what the server calls itself or links to (Zitadel CVE-2025-64101).
#[tokio::test]
async fn no_request_header_changes_the_issuer_or_an_endpoint() -> Result<()> {
    let world = shared().await?;
    let issuer = world.pair.ports.issuer_url();
    let honest = document(world, METADATA, &[]).await?;
    let spoofed = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "444"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-server", "evil.example"),
        ("x-original-host", "evil.example"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("forwarded", "for=192.0.2.1;host=evil.example;proto=https"),
        ("via", "1.1 evil.example"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ];
    for header in spoofed {
        assert_eq!(document(world, METADATA, &[header]).await?, honest, "{header:?}");
    }
    assert_eq!(document(world, METADATA, &spoofed).await?, honest);
    // A Host of one's own, and a whole URI in the request line, need a request of one's own.
    let at = world.pair.ports.issuer_http;
    for start in [
        format!("GET {METADATA} HTTP/1.1\r\nhost: evil.example"),
        format!("GET {METADATA} HTTP/1.1\r\nhost: {at}@evil.example"),
        format!("GET http://evil.example{METADATA} HTTP/1.1\r\nhost: {at}"),
        format!("GET {METADATA} HTTP/1.0"),
    ] {
        let (status, body) =
            tessera_testkit::process::exchange(at, format!("{start}\r\nconnection: close\r\n\r\n")).await?;
        assert!(status == 400 || status == 200, "{start}: {status}");
        if status == 200 {
            assert_eq!(serde_json::from_str::<Value>(&body)?, honest, "{start}");
        }
    }
    let basic = world.service.basic();
    let headers = [&spoofed[..], &[FORM, ("authorization", &*basic)]].concat();
    let answer = request(at, "POST", "/oauth2/token", &headers, form(&[("grant_type", "client_credentials")])).await?;
    let token = answer.json()?["access_token"].as_str().context("a token")?.to_owned();
    assert_eq!(part(&token, 1)?["iss"], issuer.as_str());
    assert!(world.everybody_says_active(&token).await?);
    Ok(())
}
