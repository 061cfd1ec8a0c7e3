//! Who may ask, and what is said (items 32 and 33).

use anyhow::{Context as _, Result};
use serde_json::Value;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{
    BatchIntrospectRequest, IntrospectRequest, IntrospectResponse, ScopeRequirement, batch_introspect_result,
};
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{FORM, World, as_client, channel, check, create_client, form, post, reason, request};
use tonic::Code;

/// A token of the world's service, from an answer of the token endpoint.
async fn token(world: &World, client: &tessera_tests::Client, scope: &str, audience: &str) -> Result<String> {
    let answer = world.token_with(client, scope, audience).await?;
    answer.json()?["access_token"].as_str().map(str::to_owned).with_context(|| answer.body)
}

/// Both HTTP endpoints of introspection.
fn doors(world: &World) -> [std::net::SocketAddr; 2] {
    [world.pair.ports.issuer_http, world.pair.ports.introspector_http]
}

/// Item 32: the caller is authenticated, and authorized by having resources; a public client's identifier proves nothing.
#[tokio::test]
async fn only_a_resource_server_that_proves_who_it_is_may_introspect() -> Result<()> {
    let world = shared().await?;
    let pair = &world.pair;
    let public = create_client(pair, "public-resource", &["--public", "--resource", "orders-api"])?;
    let disabled = create_client(pair, "disabled-resource", &["--resource", "orders-api"])?;
    pair.tessera_json(&["client", "disable", "disabled-resource", "--yes"])?;
    let token = world.token().await?;
    let fields = [("token", token.as_str())];
    for at in doors(world) {
        let nobody = post(at, "/oauth2/introspect", None, &fields).await?;
        assert_refused(&nobody, 401, "invalid_client", "nobody");
        let by_name = post(at, "/oauth2/introspect", None, &[("client_id", &public.id), fields[0]]).await?;
        assert_refused(&by_name, 401, "invalid_client", "a public client by its name");
        let by_name = post(at, "/oauth2/introspect", None, &[("client_id", &world.resource.id), fields[0]]).await?;
        assert_refused(&by_name, 401, "invalid_client", "a confidential client by its name");
        let refused = post(at, "/oauth2/introspect", Some(&disabled), &fields).await?;
        assert_refused(&refused, 401, "invalid_client", "a disabled client");
        let no_resources = post(at, "/oauth2/introspect", Some(&world.service), &fields).await?;
        assert_refused(&no_resources, 400, "unauthorized_client", "a client without resources");
        let in_body = [("client_id", &*world.resource.id), ("client_secret", &world.resource.secret), fields[0]];
        assert_eq!(post(at, "/oauth2/introspect", None, &in_body).await?.json()?["active"], true, "by the form");
    }
    let rpc = pair.ports.introspector_grpc;
    for (client, code) in
        [(&disabled, Code::Unauthenticated), (&public, Code::Unauthenticated), (&world.service, Code::PermissionDenied)]
    {
        let status = check(rpc, client, &token).await.expect_err("refused");
        assert_eq!(status.code(), code, "{}: {status:?}", client.id);
    }
    let message = IntrospectRequest { token, ..IntrospectRequest::default() };
    let status = IntrospectionServiceClient::new(channel(rpc).await?).introspect(message).await.expect_err("nobody");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "CLIENT_AUTHENTICATION_MISSING"));
    Ok(())
}

/// Item 32: a token that is not meant for the caller is inactive to it, and says nothing.
#[tokio::test]
async fn a_token_for_another_resource_server_is_inactive() -> Result<()> {
    let world = shared().await?;
    let stranger = create_client(&world.pair, "stranger", &["--resource", "elsewhere-api"])?;
    let token = world.token().await?;
    assert!(world.ask(&world.resource, &token).await?.active()?);
    assert!(!world.ask(&stranger, &token).await?.active()?);
    assert!(world.ask(&world.resource, &token).await?.active()?, "and it changes nothing for whom it is meant");
    Ok(())
}

/// What one resource server was told is not what another is told (Oathkeeper CVE-2026-33496): neither whether the token is
/// active nor whether it allows what is asked is remembered across callers.
#[tokio::test]
async fn a_decision_is_not_cached_across_resource_servers() -> Result<()> {
    let world = shared().await?;
    let pair = &world.pair;
    let arguments = ["--grant", "client_credentials", "--scope", "orders:read", "--audience", "one-api", "other-api"];
    let service = create_client(pair, "two-audiences", &arguments)?;
    let one = create_client(pair, "one-resource", &["--resource", "one-api"])?;
    let other = create_client(pair, "other-resource", &["--resource", "other-api"])?;
    let both = create_client(pair, "both-resources", &["--resource", "one-api", "other-api"])?;
    let for_one = token(world, &service, "orders:read", "one-api").await?;
    let for_other = token(world, &service, "orders:read", "other-api").await?;
    let mut rpc = IntrospectionServiceClient::new(channel(pair.ports.introspector_grpc).await?);
    // Each question after every other one, on one connection too, so that whatever is remembered would show.
    for _ in 0..3 {
        for (caller, token, active) in [
            (&one, &for_one, true),
            (&other, &for_one, false),
            (&one, &for_other, false),
            (&other, &for_other, true),
            (&both, &for_one, true),
            (&both, &for_other, true),
        ] {
            assert_eq!(world.ask(caller, token).await?.active()?, active, "{}", caller.id);
            for (scope, has) in [("orders:read", true), ("orders:write", false)] {
                let required = ScopeRequirement { all_of: vec![scope.to_owned()], any_of: Vec::new() };
                let question =
                    IntrospectRequest { token: token.clone(), required_scopes: Some(required), ..Default::default() };
                let answer = rpc.introspect(as_client(caller, question)?).await?.into_inner();
                assert_eq!((answer.active, answer.allowed), (active, active && has), "{} {scope}", caller.id);
                let fields = [("token", token.as_str()), ("scope", scope)];
                let answer = post(pair.ports.introspector_http, "/oauth2/introspect", Some(caller), &fields).await?;
                let allowed = answer.json()?["allowed"].as_bool();
                assert_eq!(allowed, active.then_some(has), "{} {scope}: {answer:?}", caller.id);
            }
        }
        for (audience, token, active) in [("one-api", &for_one, true), ("other-api", &for_one, false)] {
            let question =
                IntrospectRequest { token: token.clone(), audience: audience.to_owned(), ..Default::default() };
            assert_eq!(rpc.introspect(as_client(&both, question)?).await?.into_inner().active, active, "{audience}");
        }
    }
    Ok(())
}

/// Item 33: inactive is exactly `{"active":false}`, whatever the cause, and the headers tell nothing either.
#[tokio::test]
async fn inactive_is_one_answer_whatever_the_cause() -> Result<()> {
    let world = shared().await?;
    let pair = &world.pair;
    let arguments = ["--grant", "client_credentials", "--scope", "orders:read", "--audience", "orders-api"];
    let gone = create_client(pair, "gone", &arguments)?;
    let off = create_client(pair, "off", &arguments)?;
    let elsewhere =
        create_client(pair, "elsewhere", &["--grant", "client_credentials", "--audience", "elsewhere-api"])?;
    let revoked = world.token().await?;
    world.revoke(&revoked).await?;
    let deleted = token(world, &gone, "orders:read", "orders-api").await?;
    pair.tessera_json(&["client", "delete", "gone", "--yes"])?;
    let disabled = token(world, &off, "orders:read", "orders-api").await?;
    pair.tessera_json(&["client", "disable", "off", "--yes"])?;
    let foreign = token(world, &elsewhere, "", "elsewhere-api").await?;
    let good = world.token().await?;
    let broken = format!("{good}A");
    let tokens = [&revoked, &deleted, &disabled, &foreign, &broken, "garbage", "a.b.c"];
    for at in doors(world) {
        let mut heads = Vec::new();
        for token in tokens {
            let answer = post(at, "/oauth2/introspect", Some(&world.resource), &[("token", token)]).await?;
            assert_eq!((answer.status, answer.body.as_str()), (200, tessera_tests::asking::INACTIVE), "{token}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            heads.push(without_date(&answer.head));
        }
        heads.dedup();
        assert_eq!(heads.len(), 1, "{heads:?}");
    }
    let mut rpc = IntrospectionServiceClient::new(channel(pair.ports.introspector_grpc).await?);
    let requests = tokens.iter().map(|token| IntrospectRequest { token: (*token).to_owned(), ..Default::default() });
    let batch = BatchIntrospectRequest { requests: requests.collect() };
    for result in rpc.batch_introspect(as_client(&world.resource, batch)?).await?.into_inner().results {
        assert_eq!(result.result, Some(batch_introspect_result::Result::Response(IntrospectResponse::default())));
    }
    Ok(())
}

fn without_date(head: &str) -> String {
    let same = |line: &&str| !["date:", "x-request-id:"].iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    head.lines().filter(same).collect::<Vec<_>>().join("\n")
}

/// Both services say of an active token the same members of RFC 7662 section 2.2, and both only to whom it is meant for.
#[tokio::test]
async fn both_services_answer_alike() -> Result<()> {
    let world = shared().await?;
    let token = token(world, &world.service, "orders:read orders:write", "orders-api").await?;
    let basic = world.resource.basic();
    let mut answers: Vec<Value> = Vec::new();
    for at in doors(world) {
        let body = form(&[("token", &token), ("token_type_hint", "refresh_token")]);
        let answer = request(at, "POST", "/oauth2/introspect", &[FORM, ("authorization", &basic)], body).await?;
        answers.push(answer.json()?);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0]["active"], true, "the hint is only a hint");
    Ok(())
}
