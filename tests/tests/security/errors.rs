//! Requests, their errors, and caches (items 7 to 10).

use anyhow::Result;
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{Client, FORM, create_client, form, post, request};

/// The fields of a form.
type Fields<'a> = &'a [(&'a str, &'a str)];

const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

/// Item 7: a repeated parameter is refused, an unknown one ignored, an empty one absent (RFC 6749 section 3.2).
#[tokio::test]
async fn repeated_parameters_are_refused_unknown_ones_ignored_and_empty_ones_absent() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    let basic = world.service.basic();
    let send = async |body: &str| request(at, "POST", "/oauth2/token", &[FORM, ("authorization", &basic)], body).await;
    for repeated in [
        "scope=orders:read&scope=orders:write",
        "scope=orders:read&scope=orders:read",
        "scope=orders:read&sc%6fpe=orders:write",
        "audience=orders-api&audience=orders-api",
        "grant_type=client_credentials",
        "unknown=1&unknown=2",
        "client_id=service&client_id=other",
        "client_secret=&client_secret=",
    ] {
        let answer = send(&format!("grant_type=client_credentials&{repeated}")).await?;
        assert_refused(&answer, 400, "invalid_request", repeated);
    }
    let answer = send("grant_type=client_credentials&unknown=1&%F0%9F%94%91=2&=3&refresh_token=x").await?;
    assert_eq!(answer.status, 200, "unknown ones: {answer:?}");
    let answer =
        send("grant_type=client_credentials&scope=&audience=&resource=&client_secret=&client_id=&client_assertion=")
            .await?;
    assert_eq!((answer.status, &answer.json()?["scope"]), (200, &"".into()), "empty ones: {answer:?}");
    assert_refused(&send("grant_type=").await?, 400, "invalid_request", "an empty grant type");
    Ok(())
}

/// Item 8: the token endpoint takes POST alone, and its query is never merged into the body.
#[tokio::test]
async fn the_token_endpoint_takes_post_alone_and_never_its_query() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    let basic = world.service.basic();
    let headers = [FORM, ("authorization", &*basic)];
    let query = "/oauth2/token?grant_type=client_credentials&scope=orders:read";
    for method in ["GET", "PUT", "HEAD"] {
        let answer = request(at, method, query, &headers, form(&[CLIENT_CREDENTIALS])).await?;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}: {answer:?}");
    }
    let answer = request(at, "POST", query, &headers, "").await?;
    assert_refused(&answer, 400, "invalid_request", "all of it in the query");
    let answer = request(at, "POST", query, &headers, form(&[CLIENT_CREDENTIALS])).await?;
    assert_eq!((answer.status, &answer.json()?["scope"]), (200, &"".into()), "the scope in the query: {answer:?}");
    let answer = request(at, "POST", query, &headers, form(&[CLIENT_CREDENTIALS, ("scope", "orders:write")])).await?;
    assert_eq!(answer.json()?["scope"], "orders:write", "and no parameter is repeated by it: {answer:?}");
    Ok(())
}

/// Items 9 and 28: each mistake has its code (RFC 6749 section 5.2); client credentials are for confidential clients, and come
/// without a refresh token.
#[tokio::test]
async fn each_mistake_of_a_token_request_has_its_code() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    let without_grant = &world.resource;
    let narrow = create_client(
        &world.pair,
        "narrow",
        &["--grant", "client_credentials", "--scope", "orders:read", "--audience", "orders-api"],
    )?;
    create_client(
        &world.pair,
        "public-asker",
        &[
            "--public",
            "--grant",
            "authorization_code",
            "--scope",
            "orders:read",
            "--redirect-uri",
            "http://127.0.0.1/callback",
        ],
    )?;
    let ask = async |client: Option<&Client>, fields: &[(&str, &str)]| post(at, "/oauth2/token", client, fields).await;
    let cases: &[(Option<&Client>, Fields<'_>, &str)] = &[
        (Some(without_grant), &[CLIENT_CREDENTIALS], "unauthorized_client"),
        (None, &[CLIENT_CREDENTIALS, ("client_id", "public-asker")], "unauthorized_client"),
        (Some(&narrow), &[("grant_type", "urn:example:unheard-of")], "unsupported_grant_type"),
        (Some(&narrow), &[("grant_type", "CLIENT_CREDENTIALS")], "unsupported_grant_type"),
        (
            Some(&narrow),
            &[("grant_type", "password"), ("username", "ada"), ("password", "x")],
            "unsupported_grant_type",
        ),
        (Some(&narrow), &[("grant_type", "implicit")], "unsupported_grant_type"),
        (Some(&narrow), &[("scope", "orders:read")], "invalid_request"),
        (Some(&narrow), &[CLIENT_CREDENTIALS, ("scope", "orders:write")], "invalid_scope"),
        (Some(&narrow), &[CLIENT_CREDENTIALS, ("scope", "orders:read orders:write")], "invalid_scope"),
        (Some(&narrow), &[CLIENT_CREDENTIALS, ("scope", "tessera.admin")], "invalid_scope"),
        (Some(&narrow), &[CLIENT_CREDENTIALS, ("scope", "ORDERS:READ")], "invalid_scope"),
        (Some(&narrow), &[CLIENT_CREDENTIALS, ("audience", "other-api")], "invalid_target"),
        (Some(&narrow), &[CLIENT_CREDENTIALS, ("resource", "https://other.example")], "invalid_target"),
    ];
    for (client, fields, error) in cases {
        assert_refused(&ask(*client, fields).await?, 400, error, &format!("{fields:?}"));
    }
    let good = ask(Some(&narrow), &[CLIENT_CREDENTIALS, ("scope", "orders:read")]).await?.json()?;
    let members: Vec<&String> = good.as_object().into_iter().flat_map(|object| object.keys()).collect();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"], "and no refresh token");
    Ok(())
}

/// Item 10: no cache may keep an answer with tokens or credentials, of introspection, or an error.
#[tokio::test]
async fn no_answer_about_tokens_or_credentials_may_be_cached() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let token = world.token().await?;
    let (service, resource) = (Some(&world.service), Some(&world.resource));
    let fields = [("token", token.as_str())];
    let scopeless = create_client(&world.pair, "cache", &["--grant", "client_credentials"])?;
    let answers = [
        post(ports.issuer_http, "/oauth2/token", service, &[CLIENT_CREDENTIALS]).await?,
        post(ports.issuer_http, "/oauth2/token", service, &[]).await?,
        post(ports.issuer_http, "/oauth2/token", None, &[CLIENT_CREDENTIALS]).await?,
        post(ports.issuer_http, "/oauth2/token", Some(&scopeless), &[CLIENT_CREDENTIALS, ("scope", "x")]).await?,
        post(ports.issuer_http, "/oauth2/introspect", resource, &fields).await?,
        post(ports.issuer_http, "/oauth2/introspect", resource, &[("token", "garbage")]).await?,
        post(ports.issuer_http, "/oauth2/introspect", None, &fields).await?,
        post(ports.introspector_http, "/oauth2/introspect", resource, &fields).await?,
        post(ports.introspector_http, "/oauth2/introspect", resource, &[("token", "garbage")]).await?,
        post(ports.introspector_http, "/oauth2/introspect", None, &fields).await?,
        post(ports.issuer_http, "/oauth2/revoke", service, &fields).await?,
        post(ports.issuer_http, "/oauth2/revoke", None, &fields).await?,
        request(ports.issuer_http, "GET", "/oauth2/token", &[], "").await?,
        request(ports.issuer_http, "GET", "/nothing", &[], "").await?,
        request(ports.introspector_http, "GET", "/nothing", &[], "").await?,
    ];
    for answer in answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("pragma"), Some("no-cache"), "{answer:?}");
        assert!(answer.status < 500, "{answer:?}");
    }
    Ok(())
}
