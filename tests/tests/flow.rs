//! The main job: issue, check, revoke, check again; over gRPC and HTTP; on both databases.

use anyhow::Result;
use rstest::rstest;
use tessera_testkit::pair::Backend;
use tessera_tests::{post, world};

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_inactive_in_the_next_call(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    for _ in 0..20 {
        let token = world.token().await?;
        assert!(world.is_active(&token).await?, "active at once, everywhere");
        world.revoke(&token).await?;
        assert!(!world.check(&token).await?.active, "at the introspector, in the next call");
        assert!(!world.is_active(&token).await?);
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn http_and_grpc_are_two_doors_to_the_same_operations(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let ports = world.pair.ports;
    let fields = [("grant_type", "client_credentials"), ("scope", "orders:read")];
    let issued = post(ports.issuer_http, "/oauth2/token", Some(&world.service), &fields).await?;
    assert_eq!((issued.status, issued.header("cache-control")), (200, Some("no-store")));
    let issued = issued.json()?;
    assert_eq!(
        (&issued["token_type"], &issued["expires_in"], &issued["scope"]),
        (&"Bearer".into(), &3600.into(), &"orders:read".into())
    );
    let token = issued["access_token"].as_str().expect("a token");

    let response = world.check(token).await?;
    assert!(response.active && response.allowed);
    assert_eq!((response.scope.as_str(), response.client_id.as_str()), ("orders:read", "service"));
    assert_eq!((response.aud, response.iss), (vec!["orders-api".to_owned()], ports.issuer_url()));
    let over_http =
        post(ports.introspector_http, "/oauth2/introspect", Some(&world.resource), &[("token", token)]).await?;
    let at_issuer = world.check_at_issuer(token).await?;
    assert_eq!(over_http.json()?, at_issuer.json()?, "both services answer alike");
    assert_eq!(over_http.json()?["active"], true);

    let revoked = post(ports.issuer_http, "/oauth2/revoke", Some(&world.service), &[("token", token)]).await?;
    assert_eq!((revoked.status, revoked.body.as_str()), (200, ""));
    let inactive =
        post(ports.introspector_http, "/oauth2/introspect", Some(&world.resource), &[("token", token)]).await?;
    assert_eq!(inactive.body, r#"{"active":false}"#);
    assert_eq!(world.check_at_issuer(token).await?.body, r#"{"active":false}"#);
    Ok(())
}
