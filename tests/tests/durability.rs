//! What was acknowledged outlives every crash, and a service that cannot tell says so.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_testkit::pair::{Backend, Options};
use tessera_testkit::process;
use tessera_tests::{
    Client, World, channel, check, check_on, create_client, eventually, post, reason, revoke_on, token, world,
    world_with,
};
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// An introspector that soon notices that it hears nothing.
fn impatient() -> Options {
    Options { introspector_sync: "max_staleness = \"1s\"".to_owned(), ..Options::default() }
}

const FOR_ORDERS: &[&str] = &["--grant", "client_credentials", "--scope", "orders:read", "--audience", "orders-api"];

/// The key ids of the issuer's JWKS.
async fn key_ids(world: &World) -> Result<Vec<String>> {
    let (_, body) = process::get(world.pair.ports.issuer_http, "/oauth2/jwks").await?;
    let set: serde_json::Value = serde_json::from_str(&body)?;
    let keys = set["keys"].as_array().context("no keys")?;
    Ok(keys.iter().map(|key| key["kid"].as_str().unwrap_or_default().to_owned()).collect())
}

async fn restart_issuer(world: &mut World) -> Result<()> {
    world.pair.issuer.restart().await?;
    world.pair.issuer.ready().await
}

/// That it cannot tell, in the form every client can read.
fn assert_cannot_tell(status: &Status) {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((status.code(), info.domain.as_str()), (Code::Unavailable, "tessera"), "{status:?}");
    assert!(
        ["OUT_OF_TOUCH", "ISSUER_UNREACHABLE", "NOT_READY", "REPLICA_BEHIND"].contains(&info.reason.as_str()),
        "{info:?}"
    );
    assert!(status.get_details_retry_info().is_some(), "when to try again");
}

/// The same over HTTP.
async fn assert_cannot_tell_over_http(world: &World, token: &str) -> Result<()> {
    let answer =
        post(world.pair.ports.introspector_http, "/oauth2/introspect", Some(&world.resource), &[("token", token)])
            .await?;
    assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"), "{}", answer.body);
    let retry_after: u64 = answer.header("retry-after").context("no Retry-After")?.parse()?;
    assert!(retry_after >= 1);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.json()?.get("active").is_none(), "neither active nor inactive: {}", answer.body);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_issuer_loses_nothing_it_acknowledged(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let keys = key_ids(&world).await?;
    assert_eq!(keys.len(), 1);
    let (live, revoked) = (world.token().await?, world.token().await?);
    world.revoke(&revoked).await?;
    let (late, gone) =
        (create_client(&world.pair, "late", FOR_ORDERS)?, create_client(&world.pair, "gone", FOR_ORDERS)?);
    let of_gone = token(world.pair.ports.issuer_grpc, &gone).await?;
    let rotated = world.pair.tessera_json(&["client", "secret", "rotate", "late"])?;
    let second = Client { secret: rotated["client_secret"].as_str().context("a secret")?.to_owned(), ..late.clone() };
    world.pair.tessera_json(&["client", "delete", "gone", "--yes"])?;

    // The last acknowledgement comes right before the end.
    let last = world.token().await?;
    world.revoke(&last).await?;
    world.pair.issuer.kill()?;
    restart_issuer(&mut world).await?;

    assert_eq!(key_ids(&world).await?, keys, "the keys");
    assert!(world.is_active_again(&live).await?, "a token from before");
    for dead in [&last, &revoked, &of_gone] {
        assert!(!world.is_active(dead).await?, "a revocation");
    }
    for secret in [&late, &second] {
        let new = token(world.pair.ports.issuer_grpc, secret).await?;
        assert!(world.is_active(&new).await?, "clients and their secrets");
    }
    let refused = token(world.pair.ports.issuer_grpc, &gone).await.expect_err("a deleted client");
    assert_eq!(refused.downcast_ref::<Status>().map(Status::code), Some(Code::Unauthenticated));
    let scopes = world.pair.tessera_json(&["scope", "get", "orders:write"])?;
    assert_eq!(scopes["name"], "orders:write");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_in_the_midst_of_a_crash_holds_after_it(#[case] backend: Backend) -> Result<()> {
    const REVOCATIONS: usize = 80;
    const UNTIL_THE_CRASH: usize = 25;
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let issuer = channel(world.pair.ports.issuer_grpc).await?;
    let mut tokens = Vec::new();
    for _ in 0..REVOCATIONS {
        tokens.push(world.token().await?);
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    for token in tokens.clone() {
        let (issuer, service, tell) = (issuer.clone(), world.service.clone(), tell.clone());
        tokio::spawn(async move {
            let outcome = revoke_on(issuer, &service, &token).await;
            tell.send((token, outcome.is_ok()))
        });
    }
    drop(tell);
    let mut acknowledged = Vec::new();
    while let Some((token, is_ok)) = told.recv().await {
        acknowledged.extend(is_ok.then_some(token));
        if acknowledged.len() == UNTIL_THE_CRASH {
            world.pair.issuer.kill()?;
        }
    }
    assert!(acknowledged.len() >= UNTIL_THE_CRASH, "only {} were acknowledged", acknowledged.len());
    restart_issuer(&mut world).await?;
    for token in &acknowledged {
        assert!(!world.is_active_again(token).await?, "an acknowledged revocation");
    }
    // Of the others nobody was told anything; but both services must say the same.
    for token in tokens.iter().filter(|token| !acknowledged.contains(token)) {
        world.is_active_again(token).await?;
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_introspector_comes_back_with_every_revocation(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world_with(backend, impatient()).await? else { return Ok(()) };
    let other = create_client(&world.pair, "other", FOR_ORDERS)?;
    let (live, before, meanwhile) = (world.token().await?, world.token().await?, world.token().await?);
    let of_other = token(world.pair.ports.issuer_grpc, &other).await?;
    assert!(world.is_active(&of_other).await?);
    world.revoke(&before).await?;
    world.pair.introspector.kill()?;
    world.revoke(&meanwhile).await?;
    world.pair.tessera_json(&["client", "disable", "other", "--yes"])?;
    world.pair.introspector.restart().await?;
    world.pair.introspector.ready().await?;
    assert!(world.is_active(&live).await?);
    for dead in [&before, &meanwhile, &of_other] {
        assert!(!world.is_active(dead).await?);
    }
    world.revoke(&live).await?;
    assert!(!world.is_active(&live).await?, "and what comes after");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_answers_all_through_a_restart_of_its_issuer(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let (live, dead) = (world.token().await?, world.token().await?);
    world.revoke(&dead).await?;
    // From here on it knows its caller.
    assert!(world.is_active(&live).await?);
    let introspector = channel(world.pair.ports.introspector_grpc).await?;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let asking = tokio::spawn({
        let (introspector, resource, live, dead) =
            (introspector.clone(), world.resource.clone(), live.clone(), dead.clone());
        async move {
            let mut answers = 0_u64;
            while stopped.try_recv().is_err() {
                // It goes on for its `max_staleness`, which is far longer than a restart.
                ensure!(check_on(introspector.clone(), &resource, &live).await?.active, "a live token");
                ensure!(!check_on(introspector.clone(), &resource, &dead).await?.active, "a revoked one");
                answers += 1;
            }
            Ok(answers)
        }
    });
    world.pair.issuer.kill()?;
    restart_issuer(&mut world).await?;
    assert_eq!(world.pair.issuer.terminate().await?, Some(0));
    restart_issuer(&mut world).await?;
    let _ = stop.send(());
    assert!(asking.await?? > 0);

    // Reconnected, it confirms revocations as before.
    let new = world.token().await?;
    assert!(world.is_active_again(&new).await?);
    world.revoke(&new).await?;
    assert!(!world.is_active(&new).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_issuer_waits_for_introspectors_that_have_not_found_back(#[case] backend: Backend) -> Result<()> {
    let options = Options { issuer: "[sync]\nconfirm_within = \"1s\"".to_owned(), ..Options::default() };
    let Some(mut world) = world_with(backend, options).await? else { return Ok(()) };
    let token = world.token().await?;
    assert!(world.is_active(&token).await?);
    // Stopped, it cannot find back; continued, it would answer from what it had.
    world.pair.introspector.pause()?;
    world.pair.issuer.kill()?;
    restart_issuer(&mut world).await?;
    let refused = world.revoke(&token).await.expect_err("an introspector that it knew has not confirmed");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "REVOCATION_UNCONFIRMED"));
    world.pair.introspector.resume()?;
    world.revoke_until_confirmed(&token).await?;
    assert!(!world.check(&token).await?.active, "in the next call after OK");

    // The same without a pause, where it is a race.
    for _ in 0..3 {
        let token = world.token().await?;
        assert!(world.is_active_again(&token).await?);
        world.pair.issuer.kill()?;
        restart_issuer(&mut world).await?;
        world.revoke_until_confirmed(&token).await?;
        assert!(!world.check(&token).await.is_ok_and(|answer| answer.active), "in the next call after OK");
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_that_died_with_its_issuer_holds_nothing_back_for_long(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world_with(backend, impatient()).await? else { return Ok(()) };
    let (one, two) = (world.token().await?, world.token().await?);
    world.pair.introspector.kill()?;
    world.pair.issuer.kill()?;
    restart_issuer(&mut world).await?;
    world.revoke(&one).await?;
    assert_eq!(world.check_at_issuer(&one).await?.body, r#"{"active":false}"#);
    // Nor after the next start, when it is long forgotten or waited for once more.
    world.pair.issuer.kill()?;
    restart_issuer(&mut world).await?;
    world.revoke(&two).await?;
    assert_eq!(world.check_at_issuer(&two).await?.body, r#"{"active":false}"#);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_started_before_its_issuer_waits_for_it(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let (live, dead) = (world.token().await?, world.token().await?);
    world.revoke(&dead).await?;
    world.pair.introspector.kill()?;
    world.pair.issuer.kill()?;
    world.pair.introspector.restart().await?;
    assert!(!world.pair.introspector.is_ready().await, "live, not ready");
    for token in [&live, &dead] {
        assert_cannot_tell(&world.check(token).await.expect_err("a cold introspector cannot tell"));
        assert_cannot_tell_over_http(&world, token).await?;
    }
    restart_issuer(&mut world).await?;
    world.pair.introspector.ready().await?;
    assert!(world.is_active(&live).await?);
    assert!(!world.is_active(&dead).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_cold_introspector_never_says_active(#[case] backend: Backend) -> Result<()> {
    const REVOCATIONS: usize = 40;
    let Some(mut world) = world_with(backend, impatient()).await? else { return Ok(()) };
    let (live, issuer) = (world.token().await?, world.pair.ports.issuer_grpc);
    let mut dead = Vec::new();
    for _ in 0..REVOCATIONS {
        let token = world.token().await?;
        world.revoke(&token).await?;
        dead.push(token);
    }
    for _ in 0..3 {
        world.pair.introspector.kill()?;
        // Live as soon as it listens; asked from then on, all the way until it is ready.
        world.pair.introspector.restart().await?;
        let mut asked = dead.iter().cycle();
        eventually("it can tell", async || {
            let revoked = asked.next().context("there are some")?;
            match world.check(revoked).await {
                Ok(answer) => ensure!(!answer.active, "a revoked token"),
                Err(status) => assert_cannot_tell(&status),
            }
            match world.check(&live).await {
                Ok(answer) if answer.active => Ok(Some(())),
                Ok(_) => anyhow::bail!("a live token is not inactive because nobody knows it yet"),
                Err(status) => {
                    assert_cannot_tell(&status);
                    Ok(None)
                }
            }
        })
        .await?;
        for token in &dead {
            assert!(!world.check(token).await?.active);
        }
    }
    assert!(world.check(&token(issuer, &world.service).await?).await?.active);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_cut_off_too_long_says_unavailable_and_never_guesses(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world_with(backend, impatient()).await? else { return Ok(()) };
    let stranger = create_client(&world.pair, "stranger", &["--resource", "orders-api"])?;
    let introspector = world.pair.ports.introspector_grpc;
    let (live, dead) = (world.token().await?, world.token().await?);
    world.revoke(&dead).await?;
    assert!(world.is_active(&live).await?);

    // Stopped, the issuer holds its connections and says nothing: no error tells the introspector.
    world.pair.issuer.pause()?;
    let refused = eventually("it cannot tell any more", async || {
        // Asked first: whoever can tell of this one can tell of the other.
        let of_dead = world.check(&dead).await;
        ensure!(!of_dead.is_ok_and(|answer| answer.active), "a revoked token");
        match world.check(&live).await {
            Ok(answer) => {
                ensure!(answer.active, "nothing was revoked");
                Ok(None)
            }
            Err(status) => Ok(Some(status)),
        }
    })
    .await?;
    assert_cannot_tell(&refused);
    assert_eq!(reason(&refused), "OUT_OF_TOUCH");
    for token in [&live, &dead, &"rubbish".to_owned()] {
        assert_cannot_tell(&world.check(token).await.expect_err("nobody can tell"));
        assert_cannot_tell_over_http(&world, token).await?;
    }
    // Nor does it refuse callers for what it may not have heard of.
    assert_cannot_tell(&check(introspector, &stranger, &live).await.expect_err("an unknown caller"));
    eventually("it is not ready", async || Ok((!world.pair.introspector.is_ready().await).then_some(()))).await?;

    world.pair.issuer.resume()?;
    assert!(world.is_active_again(&live).await?);
    assert!(!world.is_active(&dead).await?);
    assert!(check(introspector, &stranger, &live).await?.active);
    world.pair.introspector.ready().await?;
    world.revoke(&live).await?;
    assert!(!world.is_active(&live).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn each_service_ends_with_0_when_told_to_also_while_clients_are_connected(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let (live, dead) = (world.token().await?, world.token().await?);
    world.revoke(&dead).await?;
    let (introspector, issuer) =
        (channel(world.pair.ports.introspector_grpc).await?, channel(world.pair.ports.issuer_grpc).await?);
    assert!(check_on(introspector, &world.resource, &live).await?.active);
    revoke_on(issuer, &world.service, "rubbish").await?;
    let _idle = tokio::net::TcpStream::connect(world.pair.ports.issuer_http).await?;
    let _idle_too = tokio::net::TcpStream::connect(world.pair.ports.introspector_http).await?;
    assert_eq!(world.pair.introspector.terminate().await?, Some(0));
    assert_eq!(world.pair.issuer.terminate().await?, Some(0));
    restart_issuer(&mut world).await?;
    world.pair.introspector.restart().await?;
    world.pair.introspector.ready().await?;
    assert!(world.is_active(&live).await?);
    assert!(!world.is_active(&dead).await?);
    Ok(())
}
