//! What is seen of a stop from outside, in order.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{IntrospectRequest, StreamIntrospectRequest};
use tessera_testkit::pair::Ports;
use tessera_testkit::pair::{Backend, Options};
use tessera_testkit::process::{binary, clean_command, get, status};
use tessera_tests::{EVENTUALLY, as_client, channel, eventually, reason, token, world, world_with};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// With a pause that is never over by itself: what is seen is seen in it, until a second signal ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_is_unready_first_and_still_answers() -> Result<()> {
    let options = Options { stop: Some("pause = \"5m\"".to_owned()), ..Options::default() };
    let Some(mut world) = world_with(Backend::Sqlite, options).await? else { return Ok(()) };
    let ports = world.pair.ports;
    let answered = world.token().await?;
    for (grpc, ops) in [(ports.introspector_grpc, ports.introspector_ops), (ports.issuer_grpc, ports.issuer_ops)] {
        let mut health = HealthClient::new(channel(grpc).await?);
        let mut changes = health.watch(HealthCheckRequest::default()).await?.into_inner();
        assert_eq!(changes.message().await?.context("a first state")?.status(), ServingStatus::Serving);
        let stopping = if ops == ports.issuer_ops { &world.pair.issuer } else { &world.pair.introspector };
        stopping.ask_to_stop()?;
        assert_eq!(changes.message().await?.context("a change")?.status(), ServingStatus::NotServing);
        let (unready, body) = get(ops, "/readyz").await?;
        assert_eq!((unready, body.as_str()), (503, "not ready:\ndraining\n"));
        assert_eq!((status(ops, "/livez").await?, status(ops, "/startupz").await?), (200, 200));
        let asked = HealthClient::new(channel(grpc).await?).check(HealthCheckRequest::default()).await?;
        assert_eq!(asked.into_inner().status(), ServingStatus::NotServing);
        if ops == ports.introspector_ops {
            assert!(world.check(&answered).await?.active, "on a new connection, while it is not ready");
        } else {
            token(grpc, &world.service).await?;
        }
        let stopping = if ops == ports.issuer_ops { &mut world.pair.issuer } else { &mut world.pair.introspector };
        assert_eq!(stopping.terminate().await?, Some(0), "a second signal");
        assert!(changes.message().await?.is_none(), "and the watch ended by itself");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_an_end_is_ended_with_unavailable() -> Result<()> {
    let Some(mut world) = world(Backend::Sqlite).await? else { return Ok(()) };
    let token = world.token().await?;
    let (ask, asked) = mpsc::unbounded_channel();
    let request = as_client(&world.resource, UnboundedReceiverStream::new(asked))?;
    let mut service = IntrospectionServiceClient::new(channel(world.pair.ports.introspector_grpc).await?);
    let question = IntrospectRequest { token, ..IntrospectRequest::default() };
    ask.send(StreamIntrospectRequest { request: Some(question) })?;
    let mut answers = service.stream_introspect(request).await?.into_inner();
    assert!(answers.message().await?.is_some());
    world.pair.introspector.ask_to_stop()?;
    let end = answers.message().await.expect_err("not an end as if everything had been answered");
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "STOPPING"), "{end:?}");
    assert_eq!(world.pair.introspector.ended().await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_is_ready_again_when_its_issuer_is_back() -> Result<()> {
    let Some(mut world) = world(Backend::Sqlite).await? else { return Ok(()) };
    assert_eq!(world.pair.issuer.terminate().await?, Some(0));
    let introspector = &world.pair.introspector;
    eventually("the introspector is not ready", async || Ok((!introspector.is_ready().await).then_some(()))).await?;
    let (_, body) = get(world.pair.ports.introspector_ops, "/readyz").await?;
    assert_eq!(body, "not ready:\nin touch with the issuer\n");
    world.pair.issuer.restart().await?;
    world.pair.issuer.ready().await?;
    world.pair.introspector.ready().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_waits_for_its_database_to_say_something_is_stopped_all_the_same() -> Result<()> {
    let (folder, ports) = (TempDir::new()?, Ports::free()?);
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let file = folder.path().join("issuer.toml");
    let listen = format!(
        "[listen]\nhttp = \"{}\"\ngrpc = \"{}\"\nops = \"{}\"\n",
        ports.issuer_http, ports.issuer_grpc, ports.issuer_ops
    );
    let database = format!("[database]\nurl = \"postgres://tessera@{}/tessera\"\n", silent.local_addr()?);
    let data = format!("data_dir = \"{}\"\n", folder.path().display());
    std::fs::write(&file, [data, listen, database].concat())?;
    let mut child = clean_command(&binary("tessera-issuer")?).arg("--config").arg(&file).spawn()?;
    // It is connected, and hears nothing.
    let _connection = tokio::time::timeout(EVENTUALLY, silent.accept()).await.context("it does not connect")??;
    kill_process(i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process")?, Signal::TERM)?;
    let ended = tokio::task::spawn_blocking(move || child.wait()).await??;
    assert_eq!(ended.code(), Some(0), "{ended}");
    Ok(())
}
