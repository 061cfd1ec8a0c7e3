//! Revoking (items 29 and 30).

use anyhow::{Context as _, Result};
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{Client, create_client, eventually, post, reason, revoke};
use tonic::Code;

/// Item 29: a token that is unknown, garbage or long over is revoked already (RFC 7009 section 2.2).
#[tokio::test]
async fn revoking_what_is_no_token_of_ours_succeeds() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let short = create_client(
        &world.pair,
        "short-lived",
        &["--grant", "client_credentials", "--audience", "orders-api", "--lifetime", "1s"],
    )?;
    let expired = tessera_tests::token(ports.issuer_grpc, &short).await?;
    // One door first: between two of them a second may pass.
    eventually("the token expires", async || Ok((!world.check(&expired).await?.active).then_some(()))).await?;
    assert!(!world.everybody_says_active(&expired).await?);
    let answer = post(ports.issuer_http, "/oauth2/revoke", Some(&short), &[("token", &expired)]).await?;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""), "expired: {answer:?}");
    for token in ["garbage", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\u{1f511}"] {
        for hint in ["", "access_token", "refresh_token", "urn:example:unheard-of"] {
            let fields = [("token", token), ("token_type_hint", hint)];
            let answer = post(ports.issuer_http, "/oauth2/revoke", Some(&world.service), &fields).await?;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{token} {hint}: {answer:?}");
        }
        revoke(ports.issuer_grpc, &world.service, token).await?;
    }
    Ok(())
}

/// Item 29: another client's token is refused and stays active.
#[tokio::test]
async fn another_clients_token_cannot_be_revoked() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let thief = create_client(&world.pair, "thief", &["--grant", "client_credentials", "--audience", "orders-api"])?;
    let token = world.token().await?;
    let answer = post(ports.issuer_http, "/oauth2/revoke", Some(&thief), &[("token", &token)]).await?;
    assert_refused(&answer, 400, "invalid_grant", "by HTTP");
    let status = revoke(ports.issuer_grpc, &thief, &token).await.expect_err("refused");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "TOKEN_OF_ANOTHER_CLIENT"));
    let answer = post(ports.issuer_http, "/oauth2/revoke", Some(&world.resource), &[("token", &token)]).await?;
    assert_refused(&answer, 400, "invalid_grant", "a resource server is no owner either");
    assert!(world.everybody_says_active(&token).await?);
    world.revoke(&token).await?;
    assert!(!world.everybody_says_active(&token).await?);
    Ok(())
}

/// Item 29: the client is authenticated before anything is said or done about the token.
#[tokio::test]
async fn the_client_is_authenticated_before_the_token_is_looked_at() -> Result<()> {
    let world = shared().await?;
    let ports = world.pair.ports;
    let token = world.token().await?;
    let wrong = Client { id: "unauthenticated".to_owned(), secret: "wrong".to_owned() };
    let mut bodies = Vec::new();
    for token in [token.as_str(), "garbage"] {
        for client in [None, Some(&wrong)] {
            let answer = post(ports.issuer_http, "/oauth2/revoke", client, &[("token", token)]).await?;
            assert_refused(&answer, 401, "invalid_client", token);
            bodies.push((client.is_some(), answer.body));
        }
        let by_name = [("token", token), ("client_id", &*world.service.id)];
        let answer = post(ports.issuer_http, "/oauth2/revoke", None, &by_name).await?;
        assert_refused(&answer, 401, "invalid_client", "its owner's name alone");
        let status = revoke(ports.issuer_grpc, &wrong, token).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 2, "the answer depends on the token: {bodies:?}");
    assert!(world.everybody_says_active(&token).await?);
    Ok(())
}

/// Item 30: the hint is only a hint.
#[tokio::test]
async fn a_wrong_hint_revokes_all_the_same() -> Result<()> {
    let world = shared().await?;
    for hint in ["refresh_token", "urn:example:unheard-of"] {
        let token = world.token().await?;
        let fields = [("token", token.as_str()), ("token_type_hint", hint)];
        let answer = post(world.pair.ports.issuer_http, "/oauth2/revoke", Some(&world.service), &fields).await?;
        assert_eq!(answer.status, 200, "{hint}: {answer:?}");
        answer.header("tessera-revision").context("where the revocation stands in the log")?;
        assert!(!world.everybody_says_active(&token).await?, "{hint}");
    }
    Ok(())
}
