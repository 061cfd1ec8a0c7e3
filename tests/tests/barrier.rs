//! Once a revocation has returned OK, no introspector says active; where that cannot be confirmed, it does not return OK.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_api::introspection::v1::consistency::Requirement;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{
    BatchIntrospectRequest, Consistency, IntrospectRequest, IntrospectResponse, StreamIntrospectRequest,
    batch_introspect_result, stream_introspect_response,
};
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{
    World, as_client, channel, check, check_on, eventually, post, reason, revoke_on, world, world_with,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// An issuer that soon says that a revocation is not confirmed.
fn hasty() -> Options {
    Options { issuer: "[sync]\nconfirm_within = \"1s\"".to_owned(), ..Options::default() }
}

fn request(token: &str, requirement: Option<Requirement>) -> IntrospectRequest {
    IntrospectRequest {
        token: token.to_owned(),
        consistency: requirement.map(|requirement| Consistency { requirement: Some(requirement) }),
        ..IntrospectRequest::default()
    }
}

/// Asks with a consistency.
async fn check_with(world: &World, token: &str, requirement: Requirement) -> Result<IntrospectResponse, Status> {
    let channel = channel(world.pair.ports.introspector_grpc).await.map_err(|e| Status::internal(e.to_string()))?;
    let request = as_client(&world.resource, request(token, Some(requirement)));
    let request = request.map_err(|error| Status::internal(error.to_string()))?;
    IntrospectionServiceClient::new(channel).introspect(request).await.map(tonic::Response::into_inner)
}

fn assert_unconfirmed(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "REVOCATION_UNCONFIRMED"), "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "when to try again");
}

/// Revokes all at once, each checked at every introspector as soon as its revocation has returned.
async fn revoke_all(world: &World, tokens: Vec<String>, introspectors: &[SocketAddr]) -> Result<()> {
    let issuer = channel(world.pair.ports.issuer_grpc).await?;
    let mut channels = Vec::new();
    for address in introspectors {
        channels.push(channel(*address).await?);
    }
    let mut revocations = JoinSet::new();
    for token in tokens {
        let (issuer, service, resource, channels) =
            (issuer.clone(), world.service.clone(), world.resource.clone(), channels.clone());
        revocations.spawn(async move {
            revoke_on(issuer, &service, &token).await?;
            for introspector in channels {
                ensure!(!check_on(introspector, &resource, &token).await?.active, "active after its revocation");
            }
            Ok(())
        });
    }
    while let Some(revoked) = revocations.join_next().await {
        revoked??;
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn no_introspector_says_active_after_a_revocation_has_returned(#[case] backend: Backend) -> Result<()> {
    const AT_ONCE: usize = 200;
    let Some(world) = world(backend).await? else { return Ok(()) };
    let (_second, second, _) = world.pair.another_introspector().await?;
    let both = [world.pair.ports.introspector_grpc, second];
    for _ in 0..10 {
        let token = world.token().await?;
        for introspector in both {
            assert!(check(introspector, &world.resource, &token).await?.active);
        }
        revoke_all(&world, vec![token], &both).await?;
    }
    let mut tokens = Vec::new();
    for _ in 0..AT_ONCE {
        let token = world.token().await?;
        ensure!(check(second, &world.resource, &token).await?.active, "remembered as verified");
        tokens.push(token);
    }
    revoke_all(&world, tokens, &both).await
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_revocation_says_so_and_is_confirmed_by_repeating_it(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world_with(backend, hasty()).await? else { return Ok(()) };
    let ports = world.pair.ports;
    let (one, two) = (world.token().await?, world.token().await?);
    assert!(world.is_active(&one).await?);
    world.pair.introspector.pause()?;

    let began = Instant::now();
    assert_unconfirmed(&world.revoke(&one).await.expect_err("nobody confirms"));
    assert!(began.elapsed() >= Duration::from_secs(1), "it waited for as long as it was told to");
    let over_http = post(ports.issuer_http, "/oauth2/revoke", Some(&world.service), &[("token", &two)]).await?;
    assert_eq!((over_http.status, over_http.error().as_str()), (503, "temporarily_unavailable"), "{}", over_http.body);
    assert!(over_http.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|s| s >= 1)));
    for token in [&one, &two] {
        assert_eq!(world.check_at_issuer(token).await?.body, r#"{"active":false}"#, "it is durable");
    }
    // No answer is ever OK before the last holder has confirmed, however often it is asked for.
    assert_unconfirmed(&world.revoke(&one).await.expect_err("still nobody confirms"));

    world.pair.introspector.resume()?;
    world.revoke_until_confirmed(&one).await?;
    assert!(!world.check(&one).await?.active, "in the next call after OK");
    let again = post(ports.issuer_http, "/oauth2/revoke", Some(&world.service), &[("token", &two)]).await?;
    assert_eq!(again.status, 200, "{}", again.body);
    assert!(!world.is_active(&two).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_unconfirmed_change_of_a_client_waits_again_when_it_is_repeated(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world_with(backend, hasty()).await? else { return Ok(()) };
    let token = world.token().await?;
    assert!(world.is_active(&token).await?);
    let disable = ["client", "disable", "service", "--yes", "-o", "json"];
    world.pair.introspector.pause()?;
    for attempt in ["the first", "the second, which has nothing left to write"] {
        let output = world.pair.tessera(&disable)?;
        let problem: serde_json::Value = serde_json::from_slice(&output.stderr).context("an error in JSON")?;
        assert_eq!(
            (output.status.code(), problem["reason"].as_str()),
            (Some(6), Some("REVOCATION_UNCONFIRMED")),
            "{attempt}"
        );
    }
    assert_eq!(world.check_at_issuer(&token).await?.body, r#"{"active":false}"#);
    // A new secret is not lost with its confirmation.
    let rotated = world.pair.tessera_json(&["client", "secret", "rotate", "resource"])?;
    assert_eq!(rotated["confirmed"], false, "{rotated}");
    world.pair.introspector.resume()?;
    eventually("the change is confirmed", async || {
        let output = world.pair.tessera(&disable)?;
        ensure!(matches!(output.status.code(), Some(0 | 6)), "{output:?}");
        Ok(output.status.success().then_some(()))
    })
    .await?;
    assert!(!world.check(&token).await?.active, "in the next call after OK");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn one_silent_introspector_of_two_is_enough_to_be_unconfirmed(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world_with(backend, hasty()).await? else { return Ok(()) };
    let (second, second_grpc, _) = world.pair.another_introspector().await?;
    let token = world.token().await?;
    assert!(check(second_grpc, &world.resource, &token).await?.active);
    second.pause()?;
    assert_unconfirmed(&world.revoke(&token).await.expect_err("one has not confirmed"));
    assert!(!world.is_active(&token).await?, "the other has heard of it");
    second.resume()?;
    world.revoke_until_confirmed(&token).await?;
    assert!(!check(second_grpc, &world.resource, &token).await?.active);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_introspector_holds_back_revocations_for_as_long_as_it_could_have_answered(
    #[case] backend: Backend,
) -> Result<()> {
    const MAX_STALENESS: Duration = Duration::from_secs(2);
    let options = Options { introspector_sync: "max_staleness = \"2s\"".to_owned(), ..Options::default() };
    let Some(mut world) = world_with(backend, options).await? else { return Ok(()) };
    let (one, two) = (world.token().await?, world.token().await?);
    let killed_at = Instant::now();
    world.pair.introspector.kill()?;
    world.revoke(&one).await?;
    assert!(killed_at.elapsed() >= MAX_STALENESS, "nobody knows that it is dead and not merely cut off");
    // Whether the rest is instant is a matter of the machine; that nobody is waited for any more is not.
    let began = Instant::now();
    world.revoke(&two).await?;
    assert!(began.elapsed() < MAX_STALENESS, "and no longer than that");
    world.pair.introspector.restart().await?;
    world.pair.introspector.ready().await?;
    for dead in [&one, &two] {
        assert!(!world.is_active(dead).await?);
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_that_took_its_leave_holds_nothing_back(#[case] backend: Backend) -> Result<()> {
    let options = Options { introspector_sync: "max_staleness = \"60s\"".to_owned(), ..hasty() };
    let Some(mut world) = world_with(backend, options).await? else { return Ok(()) };
    let token = world.token().await?;
    assert_eq!(world.pair.introspector.terminate().await?, Some(0));
    world.revoke(&token).await?;
    assert_eq!(world.check_at_issuer(&token).await?.body, r#"{"active":false}"#);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_that_joins_while_tokens_are_revoked_never_says_active(#[case] backend: Backend) -> Result<()> {
    const JOINS: usize = 3;
    let Some(world) = world(backend).await? else { return Ok(()) };
    for _ in 0..JOINS {
        // It joins while a revocation follows the other; from its first breath it is asked for each that has returned.
        let (mut joining, grpc, _) = world.pair.joining_introspector().await?;
        let mut inactive = 0;
        while inactive < 5 {
            let token = world.token().await?;
            world.revoke(&token).await?;
            match check(grpc, &world.resource, &token).await {
                Ok(answer) => {
                    assert!(!answer.active, "active after its revocation");
                    inactive += 1;
                }
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            }
        }
        joining.ready().await?;
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn at_least_answers_no_older_than_the_revision_or_not_at_all(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let ports = world.pair.ports;
    let (live, dead) = (world.token().await?, world.token().await?);
    let revision = world.revoke(&dead).await?;
    let at_least = || Requirement::AtLeast(revision.clone());
    assert!(!check_with(&world, &dead, at_least()).await?.active);
    let answer = check_with(&world, &live, at_least()).await?;
    assert!(answer.active);
    let (epoch, number) = revision.split_once('.').context("a revision is an epoch and a number")?;
    let (answered_epoch, answered) = answer.revision.split_once('.').context("a revision")?;
    assert_eq!(answered_epoch, epoch);
    assert!(answered.parse::<u64>()? >= number.parse::<u64>()?, "{} is older than {revision}", answer.revision);

    let ahead = format!("{epoch}.{}", number.parse::<u64>()? + 1000);
    let elsewhere = format!("{}.1", "0".repeat(16));
    for unreachable in [&ahead, &elsewhere] {
        let refused =
            check_with(&world, &live, Requirement::AtLeast(unreachable.clone())).await.expect_err("not reached");
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "REPLICA_BEHIND"), "{unreachable}");
    }
    for malformed in ["", "x", "7", "0.0", "0000000000000000.-1"] {
        let refused =
            check_with(&world, &live, Requirement::AtLeast(malformed.to_owned())).await.expect_err("malformed");
        assert_eq!(refused.code(), Code::InvalidArgument, "{malformed}");
    }
    // Over HTTP the revision comes with the revocation's answer, and goes into the form.
    let revoked = post(ports.issuer_http, "/oauth2/revoke", Some(&world.service), &[("token", &live)]).await?;
    let revision = revoked.header("tessera-revision").context("the revision of the revocation")?;
    let fields = [("token", live.as_str()), ("at_least", revision)];
    let answer = post(ports.introspector_http, "/oauth2/introspect", Some(&world.resource), &fields).await?;
    assert_eq!(answer.body, r#"{"active":false}"#);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn fully_consistent_asks_the_issuer_and_never_answers_from_memory_alone(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let fully = || Requirement::FullyConsistent(true);
    let (live, dead) = (world.token().await?, world.token().await?);
    assert!(check_with(&world, &live, fully()).await?.active);
    world.revoke(&dead).await?;
    assert!(!check_with(&world, &dead, fully()).await?.active);
    // The issuer goes silent: from memory there are answers for a while, the durable head nobody knows.
    world.pair.issuer.pause()?;
    assert!(world.check(&live).await?.active);
    for token in [&live, &dead] {
        let refused = check_with(&world, token, fully()).await.expect_err("the head cannot be read");
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "HEAD_UNKNOWN"));
    }
    world.pair.issuer.resume()?;
    eventually("it reads the head again", async || match check_with(&world, &live, fully()).await {
        Ok(answer) => {
            ensure!(answer.active, "a live token");
            Ok(Some(()))
        }
        Err(status) if status.code() == Code::Unavailable => Ok(None),
        Err(status) => Err(status.into()),
    })
    .await
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_and_an_open_stream_hear_of_a_revocation_in_their_next_answer(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let mut service = IntrospectionServiceClient::new(channel(world.pair.ports.introspector_grpc).await?);
    let (asking, questions) = mpsc::unbounded_channel();
    let questions = as_client(&world.resource, UnboundedReceiverStream::new(questions))?;
    let mut answers = service.stream_introspect(questions).await?.into_inner();
    for _ in 0..5 {
        let token = world.token().await?;
        for active in [true, false] {
            asking.send(StreamIntrospectRequest { request: Some(request(&token, None)) })?;
            let answer = answers.message().await?.context("the stream goes on")?.result;
            let Some(stream_introspect_response::Result::Response(answer)) = answer else {
                anyhow::bail!("an error: {answer:?}")
            };
            assert_eq!(answer.active, active);
            let requests = vec![request(&token, None); 3];
            let batch = as_client(&world.resource, BatchIntrospectRequest { requests })?;
            for answer in service.batch_introspect(batch).await?.into_inner().results {
                let Some(batch_introspect_result::Result::Response(answer)) = answer.result else {
                    anyhow::bail!("an error: {answer:?}")
                };
                assert_eq!(answer.active, active);
            }
            if active {
                world.revoke(&token).await?;
            }
        }
    }
    // A caller that is disabled meanwhile learns nothing more on a stream it has open.
    world.pair.tessera_json(&["client", "disable", "resource", "--yes"])?;
    let token = world.token().await?;
    asking.send(StreamIntrospectRequest { request: Some(request(&token, None)) })?;
    let refused = answers.message().await.expect_err("its caller may ask no more");
    assert_eq!(refused.code(), Code::Unauthenticated);
    Ok(())
}
