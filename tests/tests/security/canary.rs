//! Nothing that opens anything is ever logged or counted (item 40).

mod people;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use tessera_testkit::pair::{Backend, Options};
use tessera_testkit::process;
use tessera_tests::people::people_with;
use tessera_tests::receiver::Receiver;
use tessera_tests::refusal::CANARY;
use tessera_tests::rpcs::{self, framed};
use tessera_tests::{
    Client, FORM, World, as_bearer, channel, check, create_client, form, post, request, revoke, token,
    with_authorization,
};

/// Secrets that were used, and where one must not appear.
struct Canaries(Vec<(&'static str, String)>);

impl Canaries {
    fn add(&mut self, what: &'static str, text: &str) {
        self.0.push((what, text.to_owned()));
    }

    /// A client's secret, and what goes over the wire for it.
    fn client(&mut self, what: &'static str, client: &Client) {
        self.add(what, &client.secret);
        self.add("a Basic header", client.basic().trim_start_matches("Basic "));
    }

    /// A token, and each part of it: half a log line is a leak too.
    fn token(&mut self, what: &'static str, token: &str) {
        for part in token.split('.').skip(1) {
            self.add(what, &part[..part.len().min(40)]);
        }
    }

    fn are_absent(&self, place: &str, text: &str) -> Result<()> {
        for (what, canary) in &self.0 {
            ensure!(!text.contains(canary.as_str()), "{place} has {what}: {canary}");
        }
        Ok(())
    }
}

/// Item 40: at the most talkative level and with everything traced, no log, no metric and no span of either process has a token, a
/// code, a secret, a password, a verifier, a cookie, a header or a query.
#[rstest]
#[case::as_text("text")]
#[case::as_json("json")]
#[tokio::test(flavor = "multi_thread")]
async fn no_log_no_metric_and_no_span_has_a_credential(#[case] format: &str) -> Result<()> {
    let receiver = Receiver::start().await?;
    let log = format!("[log]\nlevel = \"trace\"\nformat = \"{format}\"\n{}", receiver.configured("sample_ratio = 1"));
    let issuer = format!("[tokens]\npassword_grant = true\nrefresh_reuse_grace = \"0s\"\n{log}");
    let options = Options { issuer, introspector: log, ..Options::default() };
    let people = people_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let world = &people.world;
    let mut canaries = Canaries(vec![("what was sent", CANARY.to_owned())]);
    canaries.add("what was sent, in base64", &STANDARD.encode(CANARY)[..16]);
    canaries.client("a generated secret", &world.service);
    canaries.client("a resource server's secret", &world.resource);
    canaries.add("the administrator's secret", &world.pair.administrator_secret()?);
    let introspector = std::fs::read_to_string(world.pair.folder().join("introspector.secret"))?;
    canaries.add("the introspector's secret", introspector.trim());

    succeed(world, &mut canaries).await?;
    people::succeed(&people, &mut canaries).await?;
    people::fail(&people, &mut canaries).await?;
    fail(world, &mut canaries).await?;
    blunder(world).await?;

    for (name, service) in [("issuer", &world.pair.issuer), ("introspector", &world.pair.introspector)] {
        let said = service.said()?;
        ensure!(said.contains("a connection ended early"), "{name}: the level has no effect:\n{said}");
        canaries.are_absent(&format!("the log of the {name}"), &said)?;
        canaries.are_absent(&format!("the metrics of the {name}"), &service.metrics().await?)?;
    }
    audit_has_none(world, &canaries).await?;
    let spans = spans(world, &receiver).await?;
    canaries.are_absent("the spans", &spans)?;
    let said = world.pair.issuer.said()?;
    for told in [
        "client authentication failed",
        "login failed",
        "access allowed by the user",
        "presented: its grant is revoked",
    ] {
        ensure!(said.contains(told), "it is logged that {told}:\n{said}");
    }
    Ok(())
}

/// The audit tells of all of it, and has none of it (item 43).
async fn audit_has_none(world: &World, canaries: &Canaries) -> Result<()> {
    use tessera_api::admin::v1::{AuditOrder, ListAuditRecordsRequest, audit_service_client::AuditServiceClient};
    let admin = world.admin_token().await?;
    let mut service = AuditServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let refused = ["user.login", "client.authenticate", "administration.refuse"];
    let told = tessera_tests::eventually("failures are recorded", async || {
        let order = AuditOrder::OldestFirst.into();
        let ask = ListAuditRecordsRequest { page_size: 1000, order, ..Default::default() };
        let records = service.list_audit_records(as_bearer(&admin, ask)?).await?.into_inner().records;
        let fails = |action: &str| records.iter().any(|record| record.action == action && !record.reason.is_empty());
        Ok(refused.into_iter().all(fails).then_some(records))
    })
    .await?;
    for action in ["grant.misuse", "token.revoke", "client.secret.rotate", "authorization.allow"] {
        ensure!(told.iter().any(|record| record.action == action), "it is recorded: {action}");
    }
    canaries.are_absent("the audit", &format!("{told:?}"))?;
    canaries.are_absent("the audit, listed", &String::from_utf8(world.pair.tessera(&["audit", "list"])?.stdout)?)
}

/// Every span that was exported, with all there is in it: attributes, events, links, names and status.
async fn spans(world: &World, receiver: &Receiver) -> Result<String> {
    let trace = "a".repeat(32);
    let parent = format!("00-{trace}-{}-01", "b".repeat(16));
    let ports = world.pair.ports;
    for (service, at) in [("tessera-issuer", ports.issuer_http), ("tessera-introspector", ports.introspector_http)] {
        request(at, "POST", "/oauth2/introspect", &[FORM, ("traceparent", &parent)], "").await?;
        // Spans are sent in the order in which they end: what came before is there too.
        receiver.span(&trace, service, "POST /oauth2/introspect").await?;
    }
    let arrived = receiver.arrived();
    for name in [
        "POST /oauth2/token",
        "POST /login",
        "POST /account/applications/secret",
        "tessera.oauth.v1.TokenService/RevokeToken",
        "apply",
        "GET unmatched",
    ] {
        ensure!(arrived.iter().any(|arrived| arrived.span.name == name), "{name} was not traced");
    }
    Ok(format!("{arrived:?}"))
}

/// Everything that can be done, in every way of authenticating.
async fn succeed(world: &World, canaries: &mut Canaries) -> Result<()> {
    let ports = world.pair.ports;
    let file = world.pair.folder().join("chosen");
    std::fs::write(&file, format!("chosen {CANARY}"))?;
    let shape =
        ["--grant", "client_credentials", "--audience", "orders-api", "--resource", "orders-api", "--secret-file"];
    create_client(&world.pair, "chosen", &[&shape[..], &[&file.display().to_string()]].concat())?;
    let chosen = Client { id: "chosen".to_owned(), secret: format!("chosen {CANARY}") };
    canaries.client("a chosen secret", &chosen);
    let rotated = world.pair.tessera_json(&["client", "secret", "rotate", "service"])?;
    canaries.add("a rotated secret", rotated["client_secret"].as_str().context("a secret")?);
    let grant = ("grant_type", "client_credentials");
    for client in [&world.service, &chosen] {
        let by_rpc = token(ports.issuer_grpc, client).await?;
        let by_header = post(ports.issuer_http, "/oauth2/token", Some(client), &[grant]).await?;
        let fields = [grant, ("client_id", &*client.id), ("client_secret", &*client.secret)];
        let by_form = post(ports.issuer_http, "/oauth2/token", None, &fields).await?;
        for token in [by_rpc, access_token(&by_header)?, access_token(&by_form)?] {
            canaries.token("a token", &token);
            ensure!(world.everybody_says_active(&token).await?);
            ensure!(world.ask(&chosen, &token).await?.active()?);
            post(ports.issuer_http, "/oauth2/revoke", Some(client), &[("token", &token)]).await?;
            revoke(ports.issuer_grpc, client, &token).await?;
            ensure!(!world.everybody_says_active(&token).await?);
        }
    }
    let admin = world.admin_token().await?;
    canaries.token("an administrator's token", &admin);
    let issuer = channel(ports.issuer_grpc).await?;
    let bearer = http::HeaderValue::try_from(format!("Bearer {admin}"))?;
    for method in rpcs::methods()?.iter().filter(|method| method.package == "tessera.admin.v1") {
        rpcs::call(&issuer, &method.path, &[("authorization", bearer.clone())], framed(&[])).await?;
    }
    Ok(())
}

fn access_token(answer: &tessera_tests::Answer) -> Result<String> {
    answer.json()?["access_token"].as_str().map(str::to_owned).with_context(|| answer.body.clone())
}

/// What is refused.
async fn fail(world: &World, canaries: &mut Canaries) -> Result<()> {
    let ports = world.pair.ports;
    // A secret where the identifier belongs is a secret all the same.
    let swapped = Client { id: world.service.secret.clone(), secret: world.service.id.clone() };
    let wrong = Client { id: "service".to_owned(), secret: format!("wrong {CANARY}") };
    canaries.client("a wrong secret", &wrong);
    let good = world.token().await?;
    canaries.token("a token", &good);
    let cut = &good[..good.len() - 2];
    for client in [&swapped, &wrong] {
        post(ports.issuer_http, "/oauth2/token", Some(client), &[("grant_type", "client_credentials")]).await?;
        for at in [ports.issuer_http, ports.introspector_http] {
            post(at, "/oauth2/introspect", Some(client), &[("token", &good)]).await?;
        }
        check(ports.introspector_grpc, client, &good).await.expect_err("refused");
        revoke(ports.issuer_grpc, client, &good).await.expect_err("refused");
    }
    for token in [cut, CANARY, &format!("{CANARY}.{CANARY}.{CANARY}")] {
        ensure!(!world.everybody_says_active(token).await?);
        world.revoke(token).await?;
        let bearer = format!("Bearer {token}");
        for at in [ports.issuer_http, ports.introspector_http] {
            request(at, "POST", "/oauth2/introspect", &[FORM, ("authorization", &bearer)], form(&[("token", token)]))
                .await?;
        }
        let message = tessera_api::introspection::v1::IntrospectRequest::default();
        let mut rpc = tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient::new(
            channel(ports.introspector_grpc).await?,
        );
        rpc.introspect(with_authorization(&bearer, message)?).await.expect_err("refused");
        let list = tessera_api::admin::v1::ListClientsRequest::default();
        let mut admin =
            tessera_api::admin::v1::client_service_client::ClientServiceClient::new(channel(ports.issuer_grpc).await?);
        admin.list_clients(as_bearer(token, list)?).await.expect_err("refused");
    }
    Ok(())
}

/// What is malformed, with a canary wherever one can stand.
async fn blunder(world: &World) -> Result<()> {
    let ports = world.pair.ports;
    let pair = STANDARD.encode(format!("{CANARY}%zz:{CANARY}"));
    let headers = [
        ("authorization", format!("Basic {pair}")),
        ("authorization", format!("{CANARY} {CANARY}")),
        ("cookie", format!("session={CANARY}")),
        ("content-encoding", CANARY.to_owned()),
        ("content-type", CANARY.to_owned()),
        ("user-agent", CANARY.to_owned()),
        ("x-forwarded-for", CANARY.to_owned()),
        ("referer", format!("https://a.example/?code={CANARY}")),
        ("traceparent", format!("00-{CANARY}")),
        ("tracestate", format!("vendor={CANARY}")),
        ("baggage", format!("token={CANARY}")),
        ("x-request-id", format!("tsk_{CANARY}")),
    ];
    let body = format!("token={CANARY}&token={CANARY}&password={CANARY}&code={CANARY}&code_verifier={CANARY}");
    for at in [ports.issuer_http, ports.introspector_http] {
        for path in ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/oauth2/jwks", "/nothing"] {
            let query = format!("{path}?token={CANARY}&client_secret={CANARY}&x={CANARY}");
            for (name, value) in &headers {
                request(at, "POST", &query, &[FORM, (name, value)], &body).await?;
                request(at, "GET", &query, &[(name, value)], "").await?;
            }
        }
    }
    for at in [ports.issuer_http, ports.introspector_http, ports.issuer_grpc, ports.introspector_grpc] {
        let _ = process::exchange(at, format!("{CANARY} /{CANARY} HTTP/1.1\r\n{CANARY}\r\n\r\n")).await;
    }
    for at in [ports.issuer_grpc, ports.introspector_grpc] {
        let channel = channel(at).await?;
        for method in rpcs::methods()? {
            let value = http::HeaderValue::try_from(format!("Bearer {CANARY}"))?;
            let astray = http::HeaderValue::try_from(format!("tsk_{CANARY}"))?;
            let headers = [
                ("authorization", value.clone()),
                ("x-secret", value),
                ("tracestate", astray.clone()),
                ("x-request-id", astray),
            ];
            rpcs::call(&channel, &method.path, &headers, framed(CANARY.as_bytes())).await?;
        }
    }
    Ok(())
}
