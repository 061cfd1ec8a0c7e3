//! Callers with a token (item 39, RFC 6750).

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde_json::json;
use tessera_api::introspection::v1::IntrospectRequest;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{Answer, FORM, World, channel, create_client, form, request, with_authorization};
use tonic::Code;

use crate::forge::{Forge, part};

/// Both HTTP endpoints of introspection.
fn doors(world: &World) -> [SocketAddr; 2] {
    [world.pair.ports.issuer_http, world.pair.ports.introspector_http]
}

async fn ask(at: SocketAddr, path: &str, authorization: &[&str], fields: &[(&str, &str)]) -> Result<Answer> {
    let mut headers = vec![FORM];
    headers.extend(authorization.iter().map(|value| ("authorization", *value)));
    request(at, "POST", path, &headers, form(fields)).await
}

/// Every challenge of an answer.
fn challenges(answer: &Answer) -> Vec<&str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate")).map(|(_, value)| value).collect()
}

const INTROSPECT: &str = "/oauth2/introspect";

/// A client whose tokens may introspect, or nearly, and such a token.
async fn caller(world: &World, id: &str, scope: &str, audience: &str, resources: &[&str]) -> Result<String> {
    let arguments = ["--grant", "client_credentials", "--scope", scope, "--audience", audience];
    let resources = if resources.is_empty() { vec![] } else { [&["--resource"], resources].concat() };
    let client = create_client(&world.pair, id, &[&arguments[..], &resources].concat())?;
    let answer = world.token_with(&client, scope, audience).await?;
    answer.json()?["access_token"].as_str().map(str::to_owned).with_context(|| answer.body)
}

/// Item 39: the scheme's case does not matter, and a token in the query or the form is ignored.
#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_a_token_elsewhere_is_ignored() -> Result<()> {
    let world = shared().await?;
    let gateway = caller(world, "gateway", "introspect", "tessera-introspector", &["orders-api"]).await?;
    let token = world.token().await?;
    let fields = [("token", token.as_str())];
    let (in_query, garbage) = (format!("{INTROSPECT}?access_token={gateway}"), format!("{INTROSPECT}?access_token=x"));
    for at in doors(world) {
        for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
            let answer = ask(at, INTROSPECT, &[&format!("{scheme} {gateway}")], &fields).await?;
            assert_eq!(answer.json()?["active"], true, "{scheme}: {answer:?}");
        }
        let answer = ask(at, &in_query, &[], &fields).await?;
        assert_refused(&answer, 401, "invalid_client", "a token in the query");
        let answer = ask(at, INTROSPECT, &[], &[fields[0], ("access_token", &gateway)]).await?;
        assert_refused(&answer, 401, "invalid_client", "a token in the form");
        let answer = ask(at, &garbage, &[&world.resource.basic()], &fields).await?;
        assert_eq!(answer.json()?["active"], true, "nor does it spoil another credential: {answer:?}");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let message = IntrospectRequest { token: token.clone(), ..IntrospectRequest::default() };
        let mut rpc = IntrospectionServiceClient::new(channel(world.pair.ports.introspector_grpc).await?);
        assert!(
            rpc.introspect(with_authorization(&format!("{scheme} {gateway}"), message)?).await?.into_inner().active
        );
    }
    Ok(())
}

/// Item 39: no credential gets a challenge without an error code, a bad one says which (RFC 6750 section 3.1).
#[tokio::test]
async fn no_credential_gets_a_bare_challenge() -> Result<()> {
    let world = shared().await?;
    for at in doors(world) {
        let answer = ask(at, INTROSPECT, &[], &[("token", "x")]).await?;
        assert_refused(&answer, 401, "invalid_client", "nothing");
        let said = challenges(&answer);
        assert!(said.contains(&"Bearer realm=\"tessera\""), "{said:?}");
        assert!(said.iter().all(|challenge| !challenge.contains("error")), "{said:?}");
        for bad in ["Bearer garbage", "Bearer a.b.c", "Bearer", "Bearer two words", "bearer \u{fe}"] {
            let answer = ask(at, INTROSPECT, &[bad], &[("token", "x")]).await?;
            assert_refused(&answer, 401, "invalid_token", bad);
            assert_eq!(challenges(&answer), ["Bearer realm=\"tessera\", error=\"invalid_token\""], "{bad}");
        }
    }
    Ok(())
}

/// Item 39 with 32: a token opens introspection with the scope and the audience for it, and only where it acts for no person.
#[tokio::test]
async fn a_token_without_scope_audience_or_a_machine_behind_it_opens_nothing() -> Result<()> {
    let world = shared().await?;
    let good = caller(world, "caller", "introspect", "tessera-introspector", &["orders-api"]).await?;
    let scopeless = caller(world, "caller-scopeless", "orders:read", "tessera-introspector", &["orders-api"]).await?;
    let elsewhere = caller(world, "caller-elsewhere", "introspect", "orders-api", &["orders-api"]).await?;
    let idle = caller(world, "caller-idle", "introspect", "tessera-introspector", &[]).await?;
    let forge = Forge { claims: part(&good, 1)?, ..Forge::of(world).await? };
    let person = forge.claim("sub", json!("ada"));
    let late = forge.claim("exp", json!(1));
    let token = world.token().await?;
    for at in doors(world) {
        let answer = ask(at, INTROSPECT, &[&format!("Bearer {good}")], &[("token", &token)]).await?;
        assert_eq!(answer.json()?["active"], true, "{answer:?}");
        for (name, bearer, status, error) in [
            ("without the scope", &scopeless, 403, "insufficient_scope"),
            ("a person's", &person, 403, "insufficient_scope"),
            ("for another audience", &elsewhere, 401, "invalid_token"),
            ("expired", &late, 401, "invalid_token"),
            ("of a client without resources", &idle, 400, "unauthorized_client"),
        ] {
            let answer = ask(at, INTROSPECT, &[&format!("Bearer {bearer}")], &[("token", &token)]).await?;
            assert_refused(&answer, status, error, &format!("{at}: {name}"));
            if status != 400 {
                let expected = format!("Bearer realm=\"tessera\", error=\"{error}\"");
                assert_eq!(challenges(&answer), [expected], "{at}: {name}");
            }
        }
    }
    for (bearer, code) in
        [(&scopeless, Code::PermissionDenied), (&person, Code::PermissionDenied), (&elsewhere, Code::Unauthenticated)]
    {
        let message = IntrospectRequest { token: token.clone(), ..IntrospectRequest::default() };
        let mut rpc = IntrospectionServiceClient::new(channel(world.pair.ports.introspector_grpc).await?);
        let status =
            rpc.introspect(with_authorization(&format!("Bearer {bearer}"), message)?).await.expect_err("refused");
        assert_eq!(status.code(), code, "{status:?}");
    }
    Ok(())
}
