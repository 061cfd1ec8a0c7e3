//! What an administrator takes away is gone at both services in the next call, and nothing brings it back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use serde_json::Value;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::admin::v1::{self as api};
use tessera_testkit::pair::Backend;
use tessera_tests::{
    Answer, Client, World, as_bearer, channel, check, create_client, eventually, post, reason, request, token, world,
};
use tonic::{Code, Status};

const FOR_ORDERS: &[&str] =
    &["--grant", "client_credentials", "--scope", "orders:read", "orders:write", "--audience", "orders-api"];

/// Runs a command of the administrator; what it prints.
fn tessera(world: &World, arguments: &[&str]) -> Result<Value> {
    world.pair.tessera_json(arguments)
}

/// Gives a client a further secret; the client with it.
fn rotate(world: &World, client: &Client, arguments: &[&str]) -> Result<Client> {
    let rotated = tessera(world, &[&["client", "secret", "rotate", &client.id], arguments].concat())?;
    assert_eq!(rotated["confirmed"], true, "{rotated}");
    let secret = rotated["client_secret"].as_str().context("a secret")?.to_owned();
    Ok(Client { secret, ..client.clone() })
}

/// Whether a client's secret is good at the token endpoint, over both doors.
async fn may_get_tokens(world: &World, client: &Client) -> Result<bool> {
    let over_http =
        post(world.pair.ports.issuer_http, "/oauth2/token", Some(client), &[("grant_type", "client_credentials")])
            .await?;
    let over_grpc = token(world.pair.ports.issuer_grpc, client).await;
    match (over_http.status, over_grpc) {
        (200, Ok(_)) => Ok(true),
        (401, Err(error)) => {
            let status = error.downcast::<Status>()?;
            ensure!(status.code() == Code::Unauthenticated, "{status:?}");
            ensure!(over_http.error() == "invalid_client", "{}", over_http.body);
            Ok(false)
        }
        (status, over_grpc) => anyhow::bail!("HTTP says {status}, gRPC {over_grpc:?}"),
    }
}

/// Whether a caller may ask, at both services and over every door; an error where they differ.
async fn may_introspect(world: &World, caller: &Client, token: &str) -> Result<bool> {
    let ports = world.pair.ports;
    let fields = [("token", token)];
    let over_grpc = check(ports.introspector_grpc, caller, token).await;
    let over_http = post(ports.introspector_http, "/oauth2/introspect", Some(caller), &fields).await?;
    let in_form = [("token", token), ("client_id", &caller.id), ("client_secret", &caller.secret)];
    let by_form = post(ports.introspector_http, "/oauth2/introspect", None, &in_form).await?;
    let at_issuer = post(ports.issuer_http, "/oauth2/introspect", Some(caller), &fields).await?;
    let statuses = [over_http.status, by_form.status, at_issuer.status];
    match over_grpc {
        Ok(answer) => {
            ensure!(statuses == [200; 3], "gRPC answers, HTTP says {statuses:?}");
            ensure!(answer.active, "an answer, but inactive");
            Ok(true)
        }
        Err(status) => {
            ensure!(status.code() == Code::Unauthenticated, "{status:?}");
            ensure!(statuses == [401; 3], "gRPC refuses, HTTP says {statuses:?}");
            Ok(false)
        }
    }
}

async fn introspect_with_bearer(world: &World, bearer: &str, token: &str) -> Result<[Answer; 2]> {
    let authorization = format!("Bearer {bearer}");
    let headers = [tessera_tests::FORM, ("authorization", authorization.as_str())];
    let body = tessera_tests::form(&[("token", token)]);
    let ports = world.pair.ports;
    Ok([
        request(ports.introspector_http, "POST", "/oauth2/introspect", &headers, &body).await?,
        request(ports.issuer_http, "POST", "/oauth2/introspect", &headers, &body).await?,
    ])
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn disabling_a_client_ends_its_tokens_for_good(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let old = world.token().await?;
    assert!(world.is_active(&old).await?);
    let disabled = tessera(&world, &["client", "disable", "service", "--yes"])?;
    assert_eq!(disabled["enabled"], false);
    assert!(!world.check(&old).await?.active, "at the introspector, in the next call");
    assert!(!world.is_active(&old).await?);
    assert!(!may_get_tokens(&world, &world.service).await?);
    // Saying it twice is no error, and no way back.
    tessera(&world, &["client", "disable", "service", "--yes"])?;
    tessera(&world, &["client", "enable", "service"])?;
    assert!(!world.is_active(&old).await?, "enabling revives nothing");
    let new = world.token().await?;
    assert!(world.is_active(&new).await?, "what comes after is good");
    assert!(!world.is_active(&old).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_made_anew_under_the_same_id_inherits_nothing(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let before = create_client(&world.pair, "phoenix", FOR_ORDERS)?;
    let old = token(world.pair.ports.issuer_grpc, &before).await?;
    assert!(world.is_active(&old).await?);
    tessera(&world, &["client", "delete", "phoenix", "--yes"])?;
    assert!(!world.check(&old).await?.active, "at the introspector, in the next call");
    assert!(!world.is_active(&old).await?);
    assert!(!may_get_tokens(&world, &before).await?);

    let after = create_client(&world.pair, "phoenix", FOR_ORDERS)?;
    assert!(!world.is_active(&old).await?, "a new client is not the old one");
    assert!(!may_get_tokens(&world, &before).await?, "nor is its secret");
    let new = token(world.pair.ports.issuer_grpc, &after).await?;
    assert!(world.is_active(&new).await?);
    assert!(!world.is_active(&old).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn narrowing_a_client_ends_its_older_tokens_and_widening_revives_none(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let wide: &[&str] = &[
        "--grant",
        "client_credentials",
        "refresh_token",
        "--scope",
        "orders:read",
        "orders:write",
        "--audience",
        "orders-api",
        "billing-api",
    ];
    let client = create_client(&world.pair, "wide", wide)?;
    let narrowings: [&[&str]; 3] =
        [&["--remove-scope", "orders:write"], &["--audience", "orders-api"], &["--grant", "client_credentials"]];
    for narrowing in narrowings {
        let old = token(world.pair.ports.issuer_grpc, &client).await?;
        assert!(world.is_active(&old).await?);
        tessera(&world, &["client", "update", "wide", "--description", "Only words."])?;
        assert!(world.is_active(&old).await?, "what takes nothing away ends nothing");
        tessera(&world, &[&["client", "update", "wide", "--yes"], narrowing].concat())?;
        assert!(!world.check(&old).await?.active, "in the next call after {narrowing:?}");
        assert!(!world.is_active(&old).await?, "{narrowing:?}");
        let between = token(world.pair.ports.issuer_grpc, &client).await?;
        tessera(&world, &[&["client", "update", "wide"], wide].concat())?;
        assert!(!world.is_active(&old).await?, "widening revives nothing after {narrowing:?}");
        assert!(world.is_active(&between).await?, "and ends nothing");
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_clients_tokens_ends_those_so_far_and_no_other_clients(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let other = create_client(&world.pair, "other", FOR_ORDERS)?;
    let of_other = token(world.pair.ports.issuer_grpc, &other).await?;
    let mut old = Vec::new();
    for _ in 0..5 {
        old.push(world.token().await?);
        assert!(world.is_active(old.last().context("one")?).await?);
    }
    tessera(&world, &["client", "revoke-tokens", "service", "--yes"])?;
    for token in &old {
        assert!(!world.check(token).await?.active, "at the introspector, in the next call");
        assert!(!world.is_active(token).await?);
    }
    let new = world.token().await?;
    assert!(world.is_active(&new).await?, "the client goes on");
    assert!(world.is_active(&of_other).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_token_issued_right_after_its_client_was_made_is_active_at_once(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let mut service = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let admin = world.admin_token().await?;
    for number in 0..15 {
        let wanted = api::Client {
            client_id: format!("new-{number}"),
            name: format!("New {number}"),
            grant_types: vec!["client_credentials".to_owned()],
            audiences: vec!["orders-api".to_owned()],
            ..api::Client::default()
        };
        let message = api::CreateClientRequest { client: Some(wanted), client_secret: String::new(), disabled: false };
        let created = service.create_client(as_bearer(&admin, message)?).await?.into_inner();
        let client = Client { id: format!("new-{number}"), secret: created.client_secret };
        let token = token(world.pair.ports.issuer_grpc, &client).await?;
        assert!(world.check(&token).await?.active, "at the introspector");
        assert!(world.is_active(&token).await?, "and at the issuer");
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_with_an_overlap_leaves_two_secrets_alive_and_never_three(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let first = world.service.clone();
    let second = rotate(&world, &first, &["--overlap", "1h"])?;
    for secret in [&first, &second] {
        assert!(may_get_tokens(&world, secret).await?);
    }
    let third = rotate(&world, &first, &["--overlap", "1h"])?;
    assert!(!may_get_tokens(&world, &first).await?, "the oldest ends");
    for secret in [&second, &third] {
        assert!(may_get_tokens(&world, secret).await?);
    }
    // Rotating a secret ends no token.
    let token = world.token_with(&third, "orders:read", "orders-api").await?.json()?;
    let token = token["access_token"].as_str().context("a token")?.to_owned();
    let fourth = rotate(&world, &first, &["--overlap", "0", "--yes"])?;
    assert!(world.is_active(&token).await?);
    for ended in [&first, &second, &third] {
        assert!(!may_get_tokens(&world, ended).await?);
    }
    assert!(may_get_tokens(&world, &fourth).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_overlap_never_lengthens_the_life_of_a_secret(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let second = rotate(&world, &world.service, &["--expires-in", "1h"])?;
    assert!(may_get_tokens(&world, &second).await?, "it is in use, and so it stays");
    let expiry = |secrets: &Value| secrets[0]["expire_time"].as_str().map(str::to_owned);
    let before = expiry(&tessera(&world, &["client", "secret", "list", "service"])?).context("an end")?;
    rotate(&world, &world.service, &["--overlap", "24h"])?;
    let secrets = tessera(&world, &["client", "secret", "list", "service"])?;
    let ends: Vec<_> = secrets.as_array().context("a list")?.iter().map(|s| s["expire_time"].as_str()).collect();
    assert_eq!(ends.len(), 2, "{secrets}");
    assert!(ends.contains(&Some(before.as_str())), "it was to end at {before}: {secrets}");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn without_an_overlap_the_old_secret_ends_at_once_also_where_it_was_remembered(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let token = world.token().await?;
    let mut current = world.resource.clone();
    for _ in 0..3 {
        // Twice, so that the second is answered from the introspector's memory of its caller.
        assert!(may_introspect(&world, &current, &token).await?);
        assert!(may_introspect(&world, &current, &token).await?);
        let next = rotate(&world, &current, &["--overlap", "0", "--yes"])?;
        let refused = check(world.pair.ports.introspector_grpc, &current, &token).await.expect_err("an ended secret");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unauthenticated, "CLIENT_AUTHENTICATION_FAILED")
        );
        assert!(!may_introspect(&world, &current, &token).await?);
        assert!(may_introspect(&world, &next, &token).await?);
        current = next;
    }
    let gone = world.service.clone();
    let next = rotate(&world, &gone, &["--overlap", "0", "--yes"])?;
    assert!(!may_get_tokens(&world, &gone).await?);
    assert!(may_get_tokens(&world, &next).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_imported_secret_that_was_remembered_ends_with_its_rotation(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let token = world.token().await?;
    let mut service = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let wanted = api::Client {
        client_id: "imported".to_owned(),
        name: "Imported".to_owned(),
        resources: vec!["orders-api".to_owned()],
        ..api::Client::default()
    };
    // Percent, plus and colon: what a careless decoder gets wrong.
    let imported = Client { id: "imported".to_owned(), secret: "correct+horse:battery %25 staple".to_owned() };
    let message =
        api::CreateClientRequest { client: Some(wanted), client_secret: imported.secret.clone(), disabled: false };
    let created = service.create_client(as_bearer(&world.admin_token().await?, message)?).await?.into_inner();
    assert_eq!(created.client_secret, "", "an imported secret is not shown");
    for _ in 0..2 {
        assert!(may_introspect(&world, &imported, &token).await?);
    }
    let next = rotate(&world, &imported, &["--overlap", "0", "--yes"])?;
    assert!(!may_introspect(&world, &imported, &token).await?);
    assert!(may_introspect(&world, &next, &token).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_ends_at_once_and_the_other_goes_on(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let token = world.token().await?;
    let (first, second) = (world.resource.clone(), rotate(&world, &world.resource, &[])?);
    for secret in [&first, &second] {
        assert!(may_introspect(&world, secret, &token).await?);
    }
    let secrets = tessera(&world, &["client", "secret", "list", "resource"])?;
    let oldest = secrets[1]["secret_id"].as_str().with_context(|| format!("two secrets: {secrets}"))?.to_owned();
    tessera(&world, &["client", "secret", "delete", "resource", &oldest, "--yes"])?;
    assert!(!may_introspect(&world, &first, &token).await?);
    assert!(may_introspect(&world, &second, &token).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_ends_with_its_own_expiry_also_where_it_was_remembered(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let token = world.token().await?;
    let brief = rotate(&world, &world.resource, &["--expires-in", "3s"])?;
    let introspector = world.pair.ports.introspector_grpc;
    assert!(check(introspector, &brief, &token).await?.active, "remembered from here on");
    let ended = eventually("the secret ends", async || match check(introspector, &brief, &token).await {
        Ok(answer) => {
            ensure!(answer.active, "an answer, but inactive");
            Ok(None)
        }
        Err(status) => Ok(Some(status)),
    });
    let refused = tokio::time::timeout(Duration::from_secs(20), ended).await??;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(!may_introspect(&world, &brief, &token).await?);
    assert!(may_introspect(&world, &world.resource, &token).await?, "the other secret goes on");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn disabling_or_deleting_a_resource_server_ends_its_introspection(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let token = world.token().await?;
    assert!(may_introspect(&world, &world.resource, &token).await?);
    tessera(&world, &["client", "disable", "resource", "--yes"])?;
    let refused = world.check(&token).await.expect_err("a disabled caller, in the next call");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(!may_introspect(&world, &world.resource, &token).await?);
    let other = create_client(&world.pair, "other", &["--resource", "orders-api"])?;
    assert!(may_introspect(&world, &other, &token).await?);
    tessera(&world, &["client", "delete", "other", "--yes"])?;
    assert!(!may_introspect(&world, &other, &token).await?);
    let anew = create_client(&world.pair, "other", &["--resource", "orders-api"])?;
    assert!(!may_introspect(&world, &other, &token).await?, "the old secret is not the new client's");
    assert!(may_introspect(&world, &anew, &token).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_resource_server_that_is_enabled_again_may_ask_in_the_next_call(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let token = world.token().await?;
    for _ in 0..3 {
        assert!(may_introspect(&world, &world.resource, &token).await?);
        tessera(&world, &["client", "disable", "resource", "--yes"])?;
        // Its refusal may be remembered, but for no longer than the client stays as it is.
        assert!(!may_introspect(&world, &world.resource, &token).await?);
        tessera(&world, &["client", "enable", "resource"])?;
    }
    assert!(may_introspect(&world, &world.resource, &token).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn narrowing_a_resource_servers_resources_hides_their_tokens_from_it(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let ports = world.pair.ports;
    let both = create_client(&world.pair, "both", &["--resource", "orders-api", "billing-api"])?;
    let caller = World { resource: both.clone(), ..world };
    let token = caller.token().await?;
    assert!(caller.is_active(&token).await?);
    tessera(&caller, &["client", "update", "both", "--resource", "billing-api", "--yes"])?;
    assert!(!caller.check(&token).await?.active, "in the next call");
    assert!(!caller.is_active(&token).await?, "the token is meant for another resource server now");
    tessera(&caller, &["client", "update", "both", "--resource", "orders-api", "--yes"])?;
    assert!(caller.is_active(&token).await?, "the token itself lives on");

    // Nothing left to ask about: refused, rather than told that everything is inactive.
    tessera(&caller, &["client", "update", "both", "--grant", "client_credentials", "--clear", "resources", "--yes"])?;
    let refused = caller.check(&token).await.expect_err("a caller without resources");
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    for address in [ports.introspector_http, ports.issuer_http] {
        let refused = post(address, "/oauth2/introspect", Some(&both), &[("token", &token)]).await?;
        assert_eq!((refused.status, refused.error().as_str()), (400, "unauthorized_client"), "{}", refused.body);
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_callers_bearer_token_dies_with_its_revocation_and_with_its_client(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let gateway = create_client(
        &world.pair,
        "gateway",
        &[
            "--grant",
            "client_credentials",
            "--scope",
            "introspect",
            "--default-scope",
            "introspect",
            "--audience",
            "tessera-introspector",
            "--resource",
            "orders-api",
        ],
    )?;
    let issuer = world.pair.ports.issuer_grpc;
    let (token, bearer, spare) =
        (world.token().await?, token(issuer, &gateway).await?, tessera_tests::token(issuer, &gateway).await?);
    for good in [&bearer, &spare] {
        for answer in introspect_with_bearer(&world, good, &token).await? {
            assert_eq!((answer.status, &answer.json()?["active"]), (200, &Value::Bool(true)), "{}", answer.body);
        }
    }
    tessera_tests::revoke(issuer, &gateway, &bearer).await?;
    for refused in introspect_with_bearer(&world, &bearer, &token).await? {
        assert_eq!((refused.status, refused.error().as_str()), (401, "invalid_token"), "{}", refused.body);
        assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
    }
    for answer in introspect_with_bearer(&world, &spare, &token).await? {
        assert_eq!(answer.status, 200);
    }
    tessera(&world, &["client", "disable", "gateway", "--yes"])?;
    tessera(&world, &["client", "enable", "gateway"])?;
    for refused in introspect_with_bearer(&world, &spare, &token).await? {
        assert_eq!(refused.status, 401, "enabling the caller revives none of its tokens");
    }
    Ok(())
}
