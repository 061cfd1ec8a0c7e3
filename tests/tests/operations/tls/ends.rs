//! What ends while it is connected: an authority is withdrawn, or a reload takes an identity away.

use anyhow::{Context as _, Result, ensure};
use tessera_api::admin::v1::ListClientsRequest;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{IntrospectRequest, StreamIntrospectRequest, StreamIntrospectResponse};
use tessera_testkit::pair::Backend;
use tessera_testkit::process::Service;
use tessera_tests::{EVENTUALLY, eventually, reason};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::authority::{Authority, replace};
use super::setting::{AUDITOR, INTROSPECTOR, ORDERS, STRANGER, Setting, identity, introspect};

/// A `StreamIntrospect` that has answered once.
struct Asking {
    ask: mpsc::UnboundedSender<StreamIntrospectRequest>,
    answers: Streaming<StreamIntrospectResponse>,
    token: String,
}

impl Asking {
    async fn begin(channel: Channel, token: &str) -> Result<Self> {
        let (ask, asked) = mpsc::unbounded_channel();
        let mut service = IntrospectionServiceClient::new(channel);
        let answers = service.stream_introspect(UnboundedReceiverStream::new(asked));
        let question = || {
            let request = IntrospectRequest { token: token.to_owned(), ..IntrospectRequest::default() };
            StreamIntrospectRequest { request: Some(request) }
        };
        ask.send(question())?;
        let mut asking = Self { ask, answers: answers.await?.into_inner(), token: token.to_owned() };
        ensure!(asking.next().await?.is_ok_and(|answer| answer.is_some()), "no first answer");
        Ok(asking)
    }

    /// The next answer; an error of the test where none comes.
    async fn next(&mut self) -> Result<Result<Option<StreamIntrospectResponse>, Status>> {
        tokio::time::timeout(EVENTUALLY, self.answers.message()).await.context("the stream goes on, and says nothing")
    }

    async fn again(&mut self) -> Result<Result<Option<StreamIntrospectResponse>, Status>> {
        let request = IntrospectRequest { token: self.token.clone(), ..IntrospectRequest::default() };
        self.ask.send(StreamIntrospectRequest { request: Some(request) })?;
        self.next().await
    }
}

async fn is_unready(service: &Service) -> Result<()> {
    eventually("the introspector is out of touch", async || Ok((!service.is_ready().await).then_some(()))).await
}

#[tokio::test]
async fn what_is_open_ends_when_nobody_vouches_for_its_certificate_any_more() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let token = setting.token().await?;
    let mut asking = Asking::begin(setting.as_holder(setting.ports.introspector_grpc, ORDERS).await?, &token).await?;
    let mut administration = ClientServiceClient::new(setting.as_holder(setting.ports.issuer_grpc, AUDITOR).await?);
    administration.list_clients(ListClientsRequest::default()).await?;

    replace(&setting.folder().join("clients.crt"), &Authority::new("other clients")?.pem())?;
    // A stream that waits for its next question, and knows of no end by itself.
    let end = asking.next().await?;
    ensure!(!matches!(end, Ok(Some(_))), "{end:?}");
    eventually("the administrator is refused", async || {
        Ok(administration.list_clients(ListClientsRequest::default()).await.err())
    })
    .await?;
    // The introspector's own certificate is of the former authority: its feed has ended, and it finds no way back.
    is_unready(&setting.introspector).await?;
    for service in [&setting.issuer, &setting.introspector] {
        let said = service.said()?;
        ensure!(said.contains("nobody vouches for a client's certificate any more"), "{said}");
    }
    Ok(())
}

/// Writes other identities into a service's configuration, and has it read again.
fn reload(setting: &Setting, service: &Service, file: &str, edit: impl FnOnce(String) -> String) -> Result<()> {
    let path = setting.folder().join(file);
    replace(&path, &edit(std::fs::read_to_string(&path)?))?;
    service.hangup()
}

#[tokio::test]
async fn an_identity_is_given_and_taken_by_a_reload() -> Result<()> {
    const FILE: &str = "introspector-service.toml";
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let token = setting.token().await?;
    let channel = setting.as_holder(setting.ports.introspector_grpc, STRANGER).await?;
    let refused = introspect(channel.clone(), &token).await.expect_err("nobody yet");
    ensure!(reason(&refused) == "CLIENT_CERTIFICATE_UNKNOWN", "{refused:?}");

    let entry = identity(STRANGER, "client_id = \"resource\"");
    reload(&setting, &setting.introspector, FILE, |text| format!("{text}{entry}"))?;
    eventually("the stranger is somebody", async || {
        Ok(introspect(channel.clone(), &token).await.is_ok_and(|answer| answer.active).then_some(()))
    })
    .await?;
    let said = setting.introspector.said()?;
    ensure!(!said.contains("need a restart"), "{said}");
    let mut asking = Asking::begin(channel.clone(), &token).await?;

    // One that cannot be read changes nothing: the same name twice.
    reload(&setting, &setting.introspector, FILE, |text| format!("{text}{entry}"))?;
    eventually("the mistake is told", async || {
        Ok(setting.introspector.said()?.contains("stands there twice").then_some(()))
    })
    .await?;
    ensure!(asking.again().await?.is_ok_and(|answer| answer.is_some()));

    reload(&setting, &setting.introspector, FILE, |text| text.replace(&entry, ""))?;
    eventually("the stranger is nobody again", async || Ok(introspect(channel.clone(), &token).await.err())).await?;
    let end = asking.again().await?.expect_err("on a stream that is open, too");
    ensure!(reason(&end) == "CLIENT_AUTHENTICATION_FAILED", "{end:?}");
    Ok(())
}

#[tokio::test]
async fn at_the_issuer_a_reload_ends_an_administrator_and_a_feed() -> Result<()> {
    let setting = Setting::start(Backend::Sqlite).await?.expect("SQLite is always there");
    let mut administration = ClientServiceClient::new(setting.as_holder(setting.ports.issuer_grpc, AUDITOR).await?);
    administration.list_clients(ListClientsRequest::default()).await?;
    reload(&setting, &setting.issuer, "issuer.toml", |text| {
        let auditor = identity(AUDITOR, "scopes = [\"tessera.admin.read\"]");
        text.replace(&auditor, "").replace(&identity(INTROSPECTOR, "scopes = [\"tessera.sync\"]"), "")
    })?;
    let refused = eventually("the auditor is refused", async || {
        Ok(administration.list_clients(ListClientsRequest::default()).await.err())
    })
    .await?;
    ensure!(reason(&refused) == "CLIENT_CERTIFICATE_UNKNOWN", "{refused:?}");
    is_unready(&setting.introspector).await
}
