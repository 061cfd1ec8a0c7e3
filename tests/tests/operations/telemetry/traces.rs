//! One trace through both services, sampled, and nothing that depends on a collector.

use anyhow::{Context as _, Result, ensure};
use http::HeaderMap;
use tessera_api::admin::v1::DisableClientRequest;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::oauth::v1::RevokeTokenRequest;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_store::{Database, DatabaseOptions};
use tessera_testkit::pair::{Backend, Options};
use tessera_testkit::process::free_ports;
use tessera_tests::receiver::Receiver;
use tessera_tests::{FORM, World, as_bearer, as_client, channel, eventually, form, request, world_with};
use tonic::metadata::MetadataMap;

const ISSUER: &str = "tessera-issuer";
const INTROSPECTOR: &str = "tessera-introspector";

/// The caller's own span.
const CALLER: &str = "b7ad6b7169203331";

/// A trace of a caller's, told apart by a digit.
fn trace(digit: char) -> String {
    digit.to_string().repeat(32)
}

fn traceparent(digit: char, flags: &str) -> String {
    format!("00-{}-{CALLER}-{flags}", trace(digit))
}

async fn traced_world(receiver: &Receiver, more: &str) -> Result<World> {
    let telemetry = receiver.configured(more);
    let options = Options { issuer: telemetry.clone(), introspector: telemetry, ..Options::default() };
    world_with(Backend::Sqlite, options).await?.context("SQLite is always there")
}

async fn introspect(world: &World, token: &str, traceparent: &str) -> Result<()> {
    let basic = world.resource.basic();
    let headers = [FORM, ("authorization", &*basic), ("traceparent", traceparent)];
    let answer =
        request(world.pair.ports.introspector_http, "POST", "/oauth2/introspect", &headers, form(&[("token", token)]));
    let answer = answer.await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    Ok(())
}

async fn get_token(world: &World, traceparent: &str) -> Result<()> {
    let basic = world.service.basic();
    let headers = [FORM, ("authorization", &*basic), ("traceparent", traceparent)];
    let grant = form(&[("grant_type", "client_credentials")]);
    let answer = request(world.pair.ports.issuer_http, "POST", "/oauth2/token", &headers, grant).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_a_client_began_is_one_trace_through_both_services() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = traced_world(&receiver, "sample_ratio = 0").await?;
    let token = world.token().await?;

    introspect(&world, &token, &traceparent('1', "01")).await?;
    let asked = receiver.span(&trace('1'), INTROSPECTOR, "POST /oauth2/introspect").await?;
    ensure!(asked.parent() == CALLER, "{asked:?}");
    ensure!(asked.attribute("outcome").as_deref() == Some("active"), "{asked:?}");
    ensure!(asked.attribute("client_id").as_deref() == Some("resource"), "{asked:?}");
    ensure!(asked.attribute("http.response.status_code").as_deref() == Some("200"), "{asked:?}");
    let method = "tessera.sync.v1.SyncService/AuthenticateClient";
    let sent = receiver.span(&trace('1'), INTROSPECTOR, method).await?;
    ensure!(sent.parent() == asked.id(), "{sent:?}");
    let came = receiver.span(&trace('1'), ISSUER, method).await?;
    ensure!(came.parent() == sent.id(), "{came:?}");
    for (name, value) in [("rpc.system.name", "grpc"), ("rpc.method", method), ("rpc.status_code", "OK")] {
        ensure!(came.attribute(name).as_deref() == Some(value), "{name}: {came:?}");
    }

    get_token(&world, &traceparent('2', "01")).await?;
    let issued = receiver.span(&trace('2'), ISSUER, "POST /oauth2/token").await?;
    ensure!(issued.parent() == CALLER, "{issued:?}");
    for (name, value) in [("client_id", "service"), ("grant_type", "client_credentials"), ("outcome", "ok")] {
        ensure!(issued.attribute(name).as_deref() == Some(value), "{name}: {issued:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocations_trace_goes_on_in_the_introspector_that_applies_it() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = traced_world(&receiver, "sample_ratio = 0").await?;
    let (traced, untraced) = (world.token().await?, world.token().await?);
    let mut client = TokenServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let mut message = as_client(&world.service, RevokeTokenRequest { token: traced, ..RevokeTokenRequest::default() })?;
    let parent = traceparent('3', "01").parse()?;
    message.metadata_mut().insert("traceparent", parent);
    client.revoke_token(message).await?;
    world.revoke(&untraced).await?;

    let revoked = receiver.span(&trace('3'), ISSUER, "tessera.oauth.v1.TokenService/RevokeToken").await?;
    ensure!(revoked.parent() == CALLER, "{revoked:?}");
    let applied = receiver.span(&trace('3'), INTROSPECTOR, "apply").await?;
    ensure!(applied.parent() == revoked.id(), "{applied:?}");
    // Disabling a client goes by another way to the same feed.
    world.pair.tessera_json(&["client", "disable", "service", "--yes"])?;
    get_marker(&world, &receiver).await?;
    let count = receiver.arrived().into_iter().filter(|arrived| arrived.span.name == "apply").count();
    ensure!(count == 1, "only the traced revocation is traced: {:#?}", receiver.arrived());
    Ok(())
}

/// A traced introspection whose span has arrived: whatever the introspector had before it has arrived too.
async fn get_marker(world: &World, receiver: &Receiver) -> Result<()> {
    introspect(world, "no token", &traceparent('f', "01")).await?;
    receiver.span(&trace('f'), INTROSPECTOR, "POST /oauth2/introspect").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_or_is_off_arrives_nowhere() -> Result<()> {
    let receiver = Receiver::start().await?;
    // The issuer is off; the introspector traces nothing of its own accord, and follows one caller each second at most.
    let options = Options { introspector: receiver.configured("sample_ratio = 0"), ..Options::default() };
    let mut world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let token = world.token().await?;
    get_token(&world, &traceparent('4', "01")).await?;
    for parent in [traceparent('5', "00"), String::new()] {
        introspect(&world, &token, &parent).await?;
    }
    get_marker(&world, &receiver).await?;
    // A process that stops sends what it has left.
    world.pair.issuer.terminate().await?;
    world.pair.introspector.terminate().await?;
    let arrived = receiver.arrived();
    ensure!(arrived.iter().all(|a| a.trace() == trace('f') && a.service == INTROSPECTOR), "{arrived:#?}");
    Ok(())
}

/// Where the introspector traces nothing, the issuer hears of the caller's trace all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_that_traces_nothing_hands_the_trace_on() -> Result<()> {
    let receiver = Receiver::start().await?;
    let options = Options { issuer: receiver.configured("sample_ratio = 0"), ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let token = world.token().await?;
    let method = "tessera.sync.v1.SyncService/AuthenticateClient";

    introspect(&world, &token, &traceparent('8', "01")).await?;
    let asked = receiver.span(&trace('8'), ISSUER, method).await?;
    ensure!(asked.parent() == CALLER, "{asked:?}");

    // In the form the same credential is another, which the issuer is asked about anew.
    let (id, secret) = (&*world.resource.id, &*world.resource.secret);
    let fields = form(&[("token", &token), ("client_id", id), ("client_secret", secret)]);
    let parent = traceparent('9', "01");
    let headers = [FORM, ("traceparent", &*parent)];
    let answer = request(world.pair.ports.introspector_http, "POST", "/oauth2/introspect", &headers, fields).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    let asked = receiver.span(&trace('9'), ISSUER, method).await?;
    ensure!(asked.parent() == CALLER, "{asked:?}");
    Ok(())
}

/// What the introspector has decided not to trace, the issuer does not decide about once more.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_introspector_does_not_trace_the_issuer_does_not_either() -> Result<()> {
    let receiver = Receiver::start().await?;
    let options = Options {
        issuer: receiver.configured("sample_ratio = 1"),
        introspector: receiver.configured("sample_ratio = 0\ncallers_per_second = 0"),
        ..Options::default()
    };
    let mut world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let token = world.token().await?;
    let basic = world.resource.basic();
    let headers = [FORM, ("authorization", &*basic)];
    let fields = form(&[("token", &token)]);
    let answer = request(world.pair.ports.introspector_http, "POST", "/oauth2/introspect", &headers, fields).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    world.pair.introspector.terminate().await?;
    world.pair.issuer.terminate().await?;
    let arrived = receiver.arrived();
    ensure!(arrived.iter().any(|a| a.span.name.ends_with("/IssueToken")), "others are traced: {arrived:#?}");
    let asked = arrived.iter().filter(|a| a.span.name.ends_with("/AuthenticateClient"));
    ensure!(asked.count() == 0, "{arrived:#?}");
    Ok(())
}

/// A change that was not written is forgotten: the next one about the same is of no trace.
#[tokio::test(flavor = "multi_thread")]
async fn a_traced_change_that_fails_gives_its_trace_to_no_later_one() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = traced_world(&receiver, "sample_ratio = 0").await?;
    let admin = world.admin_token().await?;
    let url = format!("sqlite://{}", world.pair.folder().join("data/tessera.db").display());
    let store = Database::connect(&DatabaseOptions::new(url)).await?;
    let disable = async |parent: Option<String>| -> Result<()> {
        let mut message = as_bearer(&admin, DisableClientRequest { client_id: "service".to_owned() })?;
        if let Some(parent) = parent {
            message.metadata_mut().insert("traceparent", parent.parse()?);
        }
        ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?).disable_client(message).await?;
        Ok(())
    };
    // Without the audit's tables a change fails where it is committed, its event written already.
    let later = store.migration_status().await?.into_iter().filter(|step| &*step.name >= "m20261127_000010").count();
    store.rollback(u32::try_from(later)?).await?;
    disable(Some(traceparent('a', "01"))).await.expect_err("its record cannot be written");
    store.migrate().await?;
    disable(None).await?;
    get_marker(&world, &receiver).await?;
    let applied = receiver.arrived().into_iter().filter(|arrived| arrived.span.name == "apply").count();
    ensure!(applied == 0, "{:#?}", receiver.arrived());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_cannot_have_everything_traced() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut world = traced_world(&receiver, "sample_ratio = 0\ncallers_per_second = 0").await?;
    get_token(&world, &traceparent('6', "01")).await?;
    introspect(&world, "no token", &traceparent('6', "01")).await?;
    world.pair.introspector.terminate().await?;
    world.pair.issuer.terminate().await?;
    ensure!(receiver.arrived().is_empty(), "{:#?}", receiver.arrived());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_traced_by_the_ratio_arrives_when_the_process_stops() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut world = traced_world(&receiver, "sample_ratio = 1").await?;
    world.token().await?;
    world.pair.introspector.terminate().await?;
    world.pair.issuer.terminate().await?;
    let name = "tessera.oauth.v1.TokenService/IssueToken";
    let issued = receiver.arrived().into_iter().filter(|a| a.service == ISSUER && a.span.name == name);
    ensure!(issued.count() >= 2, "the service's and the introspector's own: {:#?}", receiver.arrived());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_trace_headers_are_ignored() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = traced_world(&receiver, "sample_ratio = 1").await?;
    let long = format!("00-{}", "a".repeat(8000));
    for bad in ["", "garbage", "00-0-0-0", &traceparent('7', "01").to_uppercase(), &traceparent('0', "01"), &long] {
        get_token(&world, bad).await?;
    }
    let twice = HeaderMap::from_iter([("traceparent".parse()?, traceparent('7', "01").parse()?)]);
    let mut message =
        as_client(&world.service, RevokeTokenRequest { token: "x".to_owned(), ..RevokeTokenRequest::default() })?;
    *message.metadata_mut() = {
        let mut headers = message.metadata().clone().into_headers();
        headers.extend(twice.clone());
        headers.append("traceparent", traceparent('7', "01").parse()?);
        MetadataMap::from_headers(headers)
    };
    TokenServiceClient::new(channel(world.pair.ports.issuer_grpc).await?).revoke_token(message).await?;
    let roots = async || {
        let roots: Vec<_> = receiver.arrived().into_iter().filter(|a| a.span.name == "POST /oauth2/token").collect();
        Ok((roots.len() >= 6).then_some(roots))
    };
    let roots = eventually("the six requests", roots).await?;
    ensure!(roots.iter().all(|root| root.parent().is_empty()), "{roots:#?}");
    ensure!(receiver.arrived().iter().all(|a| a.trace() != trace('7')), "a header that comes twice says nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_costs_no_call_and_one_line() -> Result<()> {
    let [nobody]: [u16; 1] = free_ports()?;
    let telemetry = format!("[telemetry]\notlp_endpoint = \"http://127.0.0.1:{nobody}\"\nsample_ratio = 1\n");
    let options = Options { issuer: telemetry.clone(), introspector: telemetry, ..Options::default() };
    let mut world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let warning = "the collector takes no traces";
    let warned = async || Ok(world.pair.issuer.said()?.contains(warning).then_some(()));
    get_token(&world, "").await?;
    eventually("the warning", warned).await?;
    for _ in 0..50 {
        let token = world.token().await?;
        ensure!(world.is_active(&token).await?);
    }
    world.pair.introspector.terminate().await?;
    world.pair.issuer.terminate().await?;
    let said = world.pair.issuer.said()?;
    ensure!(said.matches(warning).count() == 1, "{said}");
    ensure!(said.contains("issuer stopped"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_none_is_refused_with_what_to_write() -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = traced_world(&receiver, "").await?;
    for name in ["tessera-issuer", "tessera-introspector"] {
        let text = std::fs::read_to_string(world.pair.folder().join(format!("{name}.toml")))?;
        let file = world.pair.folder().join("wrong.toml");
        std::fs::write(&file, text.replace(&format!("http://{}", receiver.address), "collector:4317"))?;
        let program = tessera_testkit::process::binary(name)?;
        let output = tessera_testkit::process::clean_command(&program).arg("--config").arg(&file).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(78), "{name}: {said}");
        ensure!(said.contains("telemetry.otlp_endpoint") && said.contains("http://127.0.0.1:4317"), "{name}: {said}");
    }
    Ok(())
}
