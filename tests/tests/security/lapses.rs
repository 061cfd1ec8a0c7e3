//! What a token must meet at each use (item 34), and what is said when nobody can tell (item 33).

use anyhow::{Context as _, Result};
use serde_json::json;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::refusal::assert_refused;
use tessera_tests::shared::shared;
use tessera_tests::{
    Client, FORM, World, check, create_client, eventually, post, reason, request, token, world, world_with,
};
use tessera_types::Revision;
use tonic::Code;

use crate::forge::Forge;

/// What the introspector says over HTTP.
async fn by_http(world: &World, token: &str) -> Result<tessera_tests::Answer> {
    post(world.pair.ports.introspector_http, "/oauth2/introspect", Some(&world.resource), &[("token", token)]).await
}

/// Item 33: an introspector that has never heard of its issuer says that it cannot tell, of every token and to everybody:
/// a revocation list that is missing is no empty one (Vault CVE-2022-41316).
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_introspector_says_neither_active_nor_inactive() -> Result<()> {
    let mut world = world(Backend::Sqlite).await?.context("SQLite is always there")?;
    let (good, revoked) = (world.token().await?, world.token().await?);
    world.revoke(&revoked).await?;
    world.pair.introspector.kill()?;
    world.pair.issuer.kill()?;
    world.pair.introspector.restart().await?;
    let bearer = format!("Bearer {good}");
    let wrong = Client { secret: "wrong".to_owned(), ..world.resource.clone() };
    for token in [good.as_str(), &revoked, "garbage"] {
        let answer = by_http(&world, token).await?;
        assert_refused(&answer, 503, "temporarily_unavailable", token);
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        let at = world.pair.ports.introspector_http;
        let headers = [FORM, ("authorization", &*bearer)];
        let answer = request(at, "POST", "/oauth2/introspect", &headers, format!("token={token}")).await?;
        assert_refused(&answer, 503, "temporarily_unavailable", "a caller with a token");
        let status = world.check(token).await.expect_err("nothing is known");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let status = check(world.pair.ports.introspector_grpc, &wrong, token).await.expect_err("nothing is known");
        assert_eq!(status.code(), Code::Unavailable, "nor whether a secret is wrong: {status:?}");
    }
    assert!(!world.pair.introspector.is_ready().await);
    world.pair.issuer.restart().await?;
    world.pair.introspector.ready().await?;
    assert!(world.everybody_says_active(&good).await?);
    assert!(!world.everybody_says_active(&revoked).await?);
    Ok(())
}

/// Item 33: out of touch for longer than `max_staleness`, an introspector says that it cannot tell; before that its answers
/// are the right ones, and after the issuer is back they are again.
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_out_of_touch_says_neither_active_nor_inactive() -> Result<()> {
    let options = Options { introspector_sync: "max_staleness = \"1s\"".to_owned(), ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let (good, revoked) = (world.token().await?, world.token().await?);
    world.revoke(&revoked).await?;
    assert!(world.everybody_says_active(&good).await?);
    world.pair.issuer.pause()?;
    for token in [&good, &revoked] {
        eventually("the introspector cannot tell", async || match world.check(token).await {
            Ok(response) => {
                assert_eq!(response.active, *token == good, "as long as it says anything, it is right");
                Ok(None)
            }
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                Ok(Some(()))
            }
        })
        .await?;
    }
    for token in [good.as_str(), &revoked, "garbage"] {
        assert_refused(&by_http(&world, token).await?, 503, "temporarily_unavailable", token);
        assert_eq!(world.check(token).await.expect_err("it cannot tell").code(), Code::Unavailable);
    }
    world.pair.issuer.resume()?;
    assert!(world.is_active_again(&good).await?);
    assert!(!world.is_active_again(&revoked).await?);
    Ok(())
}

/// Item 34: `exp` and `nbf` hold now, at each use.
#[tokio::test]
async fn a_token_is_active_between_nbf_and_exp_only() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let issued = forge.claims["iat"].as_i64().context("a number")?;
    for (name, value, active) in [
        ("exp", issued - 1, false),
        ("exp", issued - 3600, false),
        ("exp", issued + 600, true),
        ("nbf", issued + 600, false),
        ("nbf", issued + 86400, false),
        ("nbf", issued - 600, true),
    ] {
        let token = forge.claim(name, value);
        assert_eq!(world.everybody_says_active(&token).await?, active, "{name}: {value}, issued {issued}");
    }
    let arguments = ["--grant", "client_credentials", "--audience", "orders-api", "--lifetime", "2s"];
    let short = create_client(&world.pair, "two-seconds", &arguments)?;
    let short = token(world.pair.ports.issuer_grpc, &short).await?;
    assert!(world.check(&short).await?.active, "remembered, and then over all the same");
    eventually("it expires", async || Ok((!world.check(&short).await?.active).then_some(()))).await?;
    assert!(!world.everybody_says_active(&short).await?);
    Ok(())
}

/// Item 34: the client is there, enabled, and has had nothing taken away since; nothing revives what died.
#[tokio::test]
async fn nothing_revives_a_token_that_its_clients_state_has_killed() -> Result<()> {
    let world = shared().await?;
    let pair = &world.pair;
    let issuer = pair.ports.issuer_grpc;
    let arguments = [
        "--grant",
        "client_credentials",
        "--scope",
        "orders:read",
        "orders:write",
        "--default-scope",
        "orders:read",
        "--audience",
        "orders-api",
        "spare-api",
    ];
    let mut client = create_client(pair, "mortal", &arguments)?;
    let steps: [(&str, &[&[&str]]); 5] = [
        ("disabled and enabled", &[&["client", "disable", "mortal", "--yes"], &["client", "enable", "mortal"]]),
        ("revoked all at once", &[&["client", "revoke-tokens", "mortal", "--yes"]]),
        ("fewer scopes", &[&["client", "update", "mortal", "--remove-scope", "orders:write", "--yes"]]),
        ("fewer audiences", &[&["client", "update", "mortal", "--audience", "orders-api", "--yes"]]),
        ("deleted", &[&["client", "delete", "mortal", "--yes"]]),
    ];
    let mut dead = Vec::new();
    for (what, commands) in steps {
        let last = token(issuer, &client).await?;
        assert!(world.everybody_says_active(&last).await?, "before: {what}");
        dead.push((what, last));
        for command in commands {
            pair.tessera_json(command)?;
            for (why, token) in &dead {
                assert!(!world.everybody_says_active(token).await?, "{why}, after {command:?}");
            }
        }
    }
    client = create_client(pair, "mortal", &arguments)?;
    for (why, token) in &dead {
        assert!(!world.everybody_says_active(token).await?, "{why}, after a client was made under the same id");
    }
    assert!(world.everybody_says_active(&token(issuer, &client).await?).await?, "its own are active");
    Ok(())
}

/// Item 34: `rev` is at or above every watermark; one that nobody has reached is no answer at all.
#[tokio::test]
async fn a_token_below_a_watermark_is_inactive_and_one_from_the_future_cannot_be_told() -> Result<()> {
    let world = shared().await?;
    let arguments = ["--grant", "client_credentials", "--audience", "orders-api"];
    let client = create_client(&world.pair, "watermarked", &arguments)?;
    let before = crate::forge::part(&token(world.pair.ports.issuer_grpc, &client).await?, 1)?;
    world.pair.tessera_json(&["client", "revoke-tokens", "watermarked", "--yes"])?;
    let after = crate::forge::part(&token(world.pair.ports.issuer_grpc, &client).await?, 1)?;
    let forge = Forge { claims: after.clone(), ..Forge::of(world).await? };
    let revision = |claims: &crate::forge::Members| -> Result<Revision> {
        Ok(claims["rev"].as_str().context("a revision")?.parse()?)
    };
    let (old, new) = (revision(&before)?, revision(&after)?);
    assert!(old.number < new.number);
    assert!(world.everybody_says_active(&forge.claim("rev", new.to_string())).await?);
    assert!(!world.everybody_says_active(&forge.claim("rev", old.to_string())).await?, "from before the watermark");
    let zero = Revision { number: 0, ..new };
    assert!(!world.everybody_says_active(&forge.claim("rev", zero.to_string())).await?);

    let beyond = Revision { number: new.number + 1_000_000, ..new };
    let elsewhere = Revision { epoch: tessera_types::Epoch(!new.epoch.0), ..new };
    let (beyond, elsewhere) = (forge.claim("rev", beyond.to_string()), forge.claim("rev", elsewhere.to_string()));
    let cannot_tell = async |token: &str| -> Result<()> {
        let (issuer, introspector, rpc) =
            tokio::join!(world.check_at_issuer(token), by_http(world, token), world.check(token));
        assert_refused(&issuer?, 503, "temporarily_unavailable", "the issuer");
        assert_refused(&introspector?, 503, "temporarily_unavailable", "the introspector");
        let status = rpc.expect_err("it cannot tell");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "REPLICA_BEHIND"), "{status:?}");
        Ok(())
    };
    let (beyond, elsewhere) = tokio::join!(cannot_tell(&beyond), cannot_tell(&elsewhere));
    beyond?;
    elsewhere
}

/// Item 34: a client that never was has no tokens, however well they are signed.
#[tokio::test]
async fn a_token_of_a_client_that_never_was_is_inactive() -> Result<()> {
    let world = shared().await?;
    let forge = Forge::of(world).await?;
    let token = forge.claims(|claims| {
        claims.insert("client_id".to_owned(), json!("never-was"));
        claims.insert("sub".to_owned(), json!("never-was"));
    });
    assert!(!world.everybody_says_active(&token).await?);
    Ok(())
}
