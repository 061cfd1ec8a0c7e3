//! SIGTERM under load: whoever honours GOAWAY, or `connection: close`, sees no failed call.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use rstest::rstest;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{Client, World, channel, check_on, eventually, form, revoke_on, token, world_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tonic::Status;
use tonic::transport::Channel;

/// So many call without pause, each on a connection of its own.
const CALLERS: usize = 4;

/// So many calls are answered before the stop, and after it, at least.
const ANSWERS: usize = 200;

/// Long enough for a client without pause to be told at its next answer.
fn announced() -> Options {
    Options { stop: Some("pause = \"1s\"\ngrace = \"30s\"".to_owned()), ..Options::default() }
}

/// What the callers share.
#[derive(Clone, Default)]
struct Load {
    answered: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Load {
    fn answered(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    async fn so_many_more(&self, callers: &mut JoinSet<Result<()>>) -> Result<()> {
        let until = self.answered.load(Ordering::SeqCst) + ANSWERS;
        eventually("the callers are answered", async || {
            if let Some(ended) = callers.try_join_next() {
                ended?.context("a call failed")?;
            }
            Ok((self.answered.load(Ordering::SeqCst) >= until).then_some(()))
        })
        .await
    }

    async fn end(&self, mut callers: JoinSet<Result<()>>) -> Result<()> {
        self.enough.store(true, Ordering::SeqCst);
        while let Some(ended) = callers.join_next().await {
            ended?.context("a call failed")?;
        }
        Ok(())
    }

    fn goes_on(&self) -> bool {
        !self.enough.load(Ordering::SeqCst)
    }
}

/// Whether nobody took a call: nobody listened, or the connection had been told to go before the call was put on it (hyper's
/// word for it is cancelled), or the GOAWAY says that its stream was not looked at (RFC 9113 section 6.8; h2's words are those of a
/// GOAWAY without an error, which no stream gets that was taken). Whoever honours GOAWAY sends such a call elsewhere; every other
/// error is the server's.
fn was_not_taken(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
            || error.to_string().starts_with("operation was canceled")
            || error.to_string() == "connection error received: not a result of an error"
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Makes a call at the first of these that takes it, again and again for as long as nobody does.
async fn sent<T>(channels: &[Channel], call: impl AsyncFn(Channel) -> Result<T, Status>) -> Result<T> {
    eventually("somebody takes the call", async || {
        for channel in channels {
            match call(channel.clone()).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(status) if was_not_taken(&status) => {}
                Err(status) => bail!("{status:?}: {:?}", status.source()),
            }
        }
        Ok(None)
    })
    .await
}

fn lazily(addresses: &[SocketAddr]) -> Result<Vec<Channel>> {
    let channel = |address| Ok(Channel::from_shared(format!("http://{address}"))?.connect_lazy());
    addresses.iter().map(channel).collect()
}

/// Asks by gRPC for as long as the load goes on.
async fn ask(load: Load, addresses: Vec<SocketAddr>, resource: Client, token: String) -> Result<()> {
    let channels = lazily(&addresses)?;
    while load.goes_on() {
        let answer = sent(&channels, async |channel| check_on(channel, &resource, &token).await).await?;
        ensure!(answer.active, "an active token");
        load.answered();
    }
    Ok(())
}

/// A client of HTTP/1 that keeps its connection until it is told to close it.
async fn ask_by_http(load: Load, addresses: Vec<SocketAddr>, resource: Client, token: String) -> Result<()> {
    let body = form(&[("token", token.as_str())]);
    let request = format!(
        "POST /oauth2/introspect HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{body}",
        resource.basic(),
        body.len()
    );
    let mut kept = None;
    while load.goes_on() {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => connected(&addresses).await?,
        };
        stream.write_all(request.as_bytes()).await?;
        let (head, body) = answer(&mut stream).await?;
        ensure!(head.starts_with("http/1.1 200") && body.contains("\"active\":true"), "{head} {body}");
        if !head.contains("\r\nconnection: close") {
            kept = Some(stream);
        }
        load.answered();
    }
    Ok(())
}

async fn connected(addresses: &[SocketAddr]) -> Result<TcpStream> {
    eventually("somebody listens", async || {
        for address in addresses {
            if let Ok(stream) = TcpStream::connect(address).await {
                return Ok(Some(stream));
            }
        }
        Ok(None)
    })
    .await
}

/// One answer: its head in lower case, and its body.
async fn answer(stream: &mut TcpStream) -> Result<(String, String)> {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await?;
        ensure!(read > 0, "the connection was closed in place of an answer; so far: {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read])?);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
        if body.len() == length.parse::<usize>()? {
            return Ok((head, body.to_owned()));
        }
    }
}

/// Gets tokens and revokes them: a revocation waits for the introspectors, which follow the process that stops.
async fn issue_and_revoke(load: Load, address: SocketAddr, service: Client) -> Result<()> {
    let channels = lazily(&[address])?;
    while load.goes_on() {
        let token = sent(&channels, async |channel| issue_on(channel, &service).await).await?;
        load.answered();
        sent(&channels, async |channel| revoke_on(channel, &service, &token).await).await?;
        load.answered();
    }
    Ok(())
}

async fn issue_on(channel: Channel, client: &Client) -> Result<String, Status> {
    use tessera_api::oauth::v1::issue_token_request::Grant;
    use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
    use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest};
    let grant = Some(Grant::ClientCredentials(ClientCredentialsGrant {}));
    let message = IssueTokenRequest { grant, ..IssueTokenRequest::default() };
    let request = tessera_tests::as_client(client, message).map_err(|error| Status::internal(error.to_string()))?;
    Ok(TokenServiceClient::new(channel).issue_token(request).await?.into_inner().access_token)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_that_stops_under_load_fails_no_call() -> Result<()> {
    LocalSet::new().run_until(stop_an_introspector()).await
}

async fn stop_an_introspector() -> Result<()> {
    let Some(mut world) = world_with(Backend::Sqlite, announced()).await? else { return Ok(()) };
    let (_second, grpc, http) = world.pair.another_introspector().await?;
    let token = world.token().await?;
    let (load, mut callers) = (Load::default(), JoinSet::new());
    for _ in 0..CALLERS {
        let addresses = vec![world.pair.ports.introspector_grpc, grpc];
        callers.spawn_local(ask(load.clone(), addresses, world.resource.clone(), token.clone()));
        let addresses = vec![world.pair.ports.introspector_http, http];
        callers.spawn_local(ask_by_http(load.clone(), addresses, world.resource.clone(), token.clone()));
    }
    load.so_many_more(&mut callers).await?;
    assert_eq!(world.pair.introspector.terminate().await?, Some(0), "{}", world.pair.introspector.said()?);
    load.so_many_more(&mut callers).await?;
    load.end(callers).await?;
    let said = world.pair.introspector.said()?;
    assert!(!said.contains("cut off"), "{said}");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_stops_under_load_fails_no_call(#[case] backend: Backend) -> Result<()> {
    LocalSet::new().run_until(stop_an_issuer(backend)).await
}

async fn stop_an_issuer(backend: Backend) -> Result<()> {
    let Some(mut world) = world_with(backend, announced()).await? else { return Ok(()) };
    let token = world.token().await?;
    let (load, mut callers) = (Load::default(), JoinSet::new());
    for _ in 0..CALLERS {
        callers.spawn_local(issue_and_revoke(load.clone(), world.pair.ports.issuer_grpc, world.service.clone()));
        let addresses = vec![world.pair.ports.issuer_http];
        callers.spawn_local(ask_by_http(load.clone(), addresses, world.resource.clone(), token.clone()));
    }
    load.so_many_more(&mut callers).await?;
    assert_eq!(world.pair.issuer.terminate().await?, Some(0), "{}", world.pair.issuer.said()?);
    let said = world.pair.issuer.said()?;
    assert!(!said.contains("cut off"), "{said}");
    world.pair.issuer.restart().await?;
    load.so_many_more(&mut callers).await?;
    load.end(callers).await
}

/// The feed outlives the calls that depend on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_in_flight_is_still_confirmed_by_an_introspector() -> Result<()> {
    let options = Options { introspector_sync: "max_staleness = \"60s\"".to_owned(), ..hanging("30s") };
    let Some(mut world) = world_with(Backend::Sqlite, options).await? else { return Ok(()) };
    let revocation = hanging_revocation(&world).await?;
    world.pair.issuer.ask_to_stop()?;
    closed(world.pair.ports.issuer_grpc).await?;
    world.pair.introspector.resume()?;
    revocation.await?.context("it was confirmed")?;
    assert_eq!(world.pair.issuer.ended().await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_is_cut_off_when_the_grace_is_over_and_told_so() -> Result<()> {
    let Some(mut world) = world_with(Backend::Sqlite, hanging("1s")).await? else { return Ok(()) };
    let revocation = hanging_revocation(&world).await?;
    assert_eq!(world.pair.issuer.terminate().await?, Some(0));
    let status = revocation.await?.expect_err("nobody confirmed it");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    assert!(status.message().contains("The server stops"), "{status:?}");
    let said = world.pair.issuer.said()?;
    assert!(said.contains("calls were cut off") && said.contains("the grace is over"), "{said}");
    world.pair.introspector.resume()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_waiting() -> Result<()> {
    let Some(mut world) = world_with(Backend::Sqlite, hanging("10m")).await? else { return Ok(()) };
    let revocation = hanging_revocation(&world).await?;
    world.pair.issuer.ask_to_stop()?;
    closed(world.pair.ports.issuer_grpc).await?;
    assert_eq!(world.pair.issuer.terminate().await?, Some(0));
    revocation.await?.expect_err("nobody confirmed it");
    let said = world.pair.issuer.said()?;
    assert!(said.contains("a second signal"), "{said}");
    world.pair.introspector.resume()?;
    Ok(())
}

/// A pair whose revocations wait for a silent introspector longer than any of these tests.
fn hanging(grace: &str) -> Options {
    Options {
        stop: Some(format!("pause = 0\ngrace = \"{grace}\"")),
        issuer: "[sync]\nconfirm_within = \"5m\"".to_owned(),
        introspector_sync: "max_staleness = \"60s\"".to_owned(),
        ..Options::default()
    }
}

/// A revocation that is written and waits for an introspector that does not answer.
async fn hanging_revocation(world: &World) -> Result<tokio::task::JoinHandle<Result<String, Status>>> {
    let token = token(world.pair.ports.issuer_grpc, &world.service).await?;
    let issuer = channel(world.pair.ports.issuer_grpc).await?;
    world.pair.introspector.pause()?;
    let (service, revoked) = (world.service.clone(), token.clone());
    let revocation = tokio::spawn(async move { revoke_on(issuer, &service, &revoked).await });
    eventually("the revocation is written", async || {
        let answer = world.check_at_issuer(&token).await?.json()?;
        Ok((answer["active"] == false).then_some(()))
    })
    .await?;
    Ok(revocation)
}

async fn closed(address: SocketAddr) -> Result<()> {
    let refused = async || Ok(TcpStream::connect(address).await.is_err().then_some(()));
    eventually("the listener is closed", refused).await
}
