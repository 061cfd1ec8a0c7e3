//! What a caller can quote is what an operator finds.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{FORM, World, eventually, form, request, world_with};

async fn talkative(format: &str) -> Result<World> {
    let log = format!("[log]\nformat = \"{format}\"\nlevel = \"debug\"\n");
    let options = Options { issuer: log.clone(), introspector: log, ..Options::default() };
    world_with(Backend::Sqlite, options).await?.context("SQLite is always there")
}

/// The lines of a log, each an object, that have a request's identifier.
fn lines(said: &str, id: &str) -> Vec<Value> {
    let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["request_id"] == id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_request_id_is_in_the_answer_and_in_the_logs_of_both_services() -> Result<()> {
    let world = talkative("json").await?;
    let basic = world.resource.basic();
    let headers = [FORM, ("authorization", &*basic), ("x-request-id", "quoted-1")];
    let body = form(&[("token", "none")]);
    let answer = request(world.pair.ports.introspector_http, "POST", "/oauth2/introspect", &headers, body).await?;
    ensure!(answer.header("x-request-id") == Some("quoted-1"), "{}", answer.head);
    let here = async || Ok(lines(&world.pair.introspector.said()?, "quoted-1").pop());
    let line = eventually("the introspector's line", here).await?;
    for (field, value) in [
        ("msg", Value::from("answered")),
        ("level", Value::from("debug")),
        ("http.route", Value::from("/oauth2/introspect")),
        ("http.method", Value::from("POST")),
        ("remote_ip", Value::from("127.0.0.1")),
        ("http.status", Value::from(200)),
        ("client_id", Value::from("resource")),
    ] {
        ensure!(line[field] == value, "{field}: {line}");
    }
    ensure!(line["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    let there = async || Ok(lines(&world.pair.issuer.said()?, "quoted-1").pop());
    let line = eventually("the issuer's line", there).await?;
    ensure!(line["rpc.method"] == "tessera.sync.v1.SyncService/AuthenticateClient", "{line}");
    Ok(())
}

/// A field has one type, whatever was called: what stores logs refuses the lines of the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_with_a_status_of_its_own_kind_and_says_whose_it_was() -> Result<()> {
    let world = talkative("json").await?;
    let token = world.token().await?;
    ensure!(world.is_active(&token).await?);
    let answered = async || {
        let said = world.pair.introspector.said()?;
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let method = "tessera.introspection.v1.IntrospectionService/Introspect";
        Ok(lines.filter(|line| line["msg"] == "answered").find(|line| line["rpc.method"] == method))
    };
    let line = eventually("the line of the call", answered).await?;
    ensure!(line["rpc.status_code"] == "OK" && line["http.status"].is_null() && line["status"].is_null(), "{line}");
    ensure!(line["client_id"] == "resource", "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_request_is_one_line_that_says_who_what_and_how_it_ended() -> Result<()> {
    let world = talkative("json").await?;
    let ports = world.pair.ports;
    for (scope, id) in [("orders:read", "good-1"), ("tessera.admin", "bad-1")] {
        let basic = world.service.basic();
        let headers = [FORM, ("authorization", &*basic), ("x-request-id", id)];
        let grant = form(&[("grant_type", "client_credentials"), ("scope", scope)]);
        request(ports.issuer_http, "POST", "/oauth2/token", &headers, grant).await?;
    }
    let said = world.pair.issuer.said()?;
    let of = |id: &str| lines(&said, id).into_iter().filter(|line| line["msg"] == "token request").collect::<Vec<_>>();
    let (good, bad) = (of("good-1"), of("bad-1"));
    ensure!((good.len(), bad.len()) == (1, 1), "{said}");
    for line in [&good[0], &bad[0]] {
        ensure!(line["client_id"] == "service" && line["grant_type"] == "client_credentials", "{line}");
        ensure!(line["duration_ms"].is_number() && line["level"] == "info", "{line}");
    }
    ensure!(good[0]["outcome"] == "ok" && good[0]["error"].is_null(), "{}", good[0]);
    ensure!(bad[0]["outcome"] == "error" && bad[0]["error"] == "invalid_scope", "{}", bad[0]);
    ensure!(bad[0]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{}", bad[0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_command_line_names_the_request_and_the_log_has_it() -> Result<()> {
    let world = talkative("text").await?;
    let output = world.pair.tessera(&["client", "get", "nobody", "-o", "json"])?;
    let said = String::from_utf8(output.stderr)?;
    let problem: Value = said.lines().find_map(|line| serde_json::from_str(line).ok()).context(said.clone())?;
    let id = problem["request_id"].as_str().context(said)?;
    let logged = world.pair.issuer.said()?;
    let line = logged.lines().find(|line| line.contains(&format!("request_id={id}"))).context(logged.clone())?;
    ensure!(line.contains("rpc.method=tessera.admin.v1.ClientService/GetClient"), "{line}");
    ensure!(line.contains("INFO") && line.contains("client_id=tessera-admin"), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_be_a_secret_is_no_request_id() -> Result<()> {
    let world = talkative("json").await?;
    let token = world.token().await?;
    for id in [&*token, "tsk_astray", "two words", &"x".repeat(65)] {
        let headers = [FORM, ("x-request-id", id)];
        let answer = request(world.pair.ports.issuer_http, "POST", "/oauth2/token", &headers, "").await?;
        let ours = answer.header("x-request-id").context("an identifier")?;
        ensure!(ours != id, "{ours}");
        ensure!(!world.pair.issuer.said()?.contains(id), "{id} is in the log");
    }
    Ok(())
}
