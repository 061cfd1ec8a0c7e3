//! Lists, their filters and pages, and who may read them.

use anyhow::{Result, ensure};
use rstest::rstest;
use serde_json::Value;
use tessera_api::admin::v1::{AuditOrder, AuditOutcome, ListAuditRecordsRequest};
use tessera_testkit::pair::Backend;
use tessera_tests::{World, as_bearer, create_client, reason, token, world};
use tonic::Code;

use super::{Auditor, id};

/// A world in which `orders` was disabled, in the midst of other things.
async fn eventful(backend: Backend) -> Result<Option<World>> {
    let Some(world) = world(backend).await? else { return Ok(None) };
    create_client(&world.pair, "orders", &["--resource", "orders-api"])?;
    for id in ["service", "orders"] {
        world.pair.tessera_json(&["client", "disable", id, "--yes"])?;
    }
    world.pair.tessera_json(&["client", "enable", "service"])?;
    Ok(Some(world))
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn who_disabled_a_client_is_found_by_client_action_and_time(#[case] backend: Backend) -> Result<()> {
    let Some(world) = eventful(backend).await? else { return Ok(()) };
    let found = |arguments: &[&str]| -> Result<Vec<String>> {
        let listed = world.pair.tessera_json(&[&["audit", "list"], arguments].concat())?;
        let records = listed.as_array().cloned().unwrap_or_default();
        let word = |record: &Value| {
            let side = |name: &str| record[name]["id"].as_str().unwrap_or("?").to_owned();
            format!("{} {} {}", side("actor"), record["action"].as_str().unwrap_or("?"), side("target"))
        };
        Ok(records.iter().map(word).collect())
    };
    assert_eq!(
        found(&["--target", "orders", "--action", "client.disable", "--since", "1h"])?,
        ["tessera-admin client.disable orders"]
    );
    assert_eq!(
        found(&["--target", "service", "--action", "client"])?,
        [
            "tessera-admin client.enable service",
            "tessera-admin client.disable service",
            "tessera-admin client.create service"
        ],
        "the newest first"
    );
    assert_eq!(found(&["--target", "orders", "--until", "1h"])?, [""; 0]);
    assert_eq!(found(&["--target", "orders", "--since", "2099-01-01T00:00:00Z"])?, [""; 0]);
    assert_eq!(found(&["--actor", "service"])?, [""; 0]);
    assert_eq!(found(&["--limit", "2"])?.len(), 2);
    assert_eq!(found(&["--outcome", "refused", "--action", "client.disable"])?, [""; 0]);
    let made = found(&["--actor", "tessera init"])?;
    ensure!(made.contains(&"tessera init setup.administrator tessera-admin".to_owned()), "{made:?}");
    let table = world.pair.tessera(&["audit", "list", "--target", "orders"])?;
    let table = String::from_utf8(table.stdout)?;
    ensure!(table.contains("client:tessera-admin  client.disable  client:orders  ok"), "{table}");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_either_way_and_a_changed_page_token_is_never_our_fault(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(world) = eventful(backend).await? else { return Ok(()) };
    let mut auditor = Auditor::of(&world).await?;
    let end = auditor.end().await?;
    let mut tokens = Vec::new();
    for order in [AuditOrder::NewestFirst, AuditOrder::OldestFirst] {
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        loop {
            let ask = ListAuditRecordsRequest { page_size: 3, order: order.into(), page_token, ..Default::default() };
            let page = auditor.service.list_audit_records(as_bearer(&auditor.token, ask)?).await?.into_inner();
            ensure!(page.records.len() <= 3, "a page too long");
            seen.extend(page.records.iter().map(|record| record.record_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
            tokens.push(page_token.clone());
        }
        if order == AuditOrder::NewestFirst {
            seen.reverse();
        }
        assert_eq!(seen, (1..=end).collect::<Vec<_>>(), "each once, without a gap");
    }
    for page_token in mutations(&tokens[0]).into_iter().chain(mutations(&tokens[tokens.len() - 1])) {
        for order in [AuditOrder::NewestFirst, AuditOrder::OldestFirst] {
            let page_token = page_token.clone();
            let ask = ListAuditRecordsRequest { page_size: 2, order: order.into(), page_token, ..Default::default() };
            if let Err(status) = auditor.service.list_audit_records(as_bearer(&auditor.token, ask)?).await {
                ensure!(status.code() == Code::InvalidArgument, "{status:?}");
            }
        }
    }
    Ok(())
}

/// Each byte changed, the token cut, and what means something to a database.
fn mutations(token: &str) -> Vec<String> {
    let mut mutated: Vec<String> = (0..token.len()).map(|at| token[..at].to_owned()).collect();
    for at in 0..token.len() {
        for by in ["A", "_", "=", "'"] {
            mutated.push(format!("{}{by}{}", &token[..at], &token[at + 1..]));
        }
    }
    // `1:-1`, `1:9223372036854775808`, `1:0x1` in base64.
    mutated.extend(["' OR 1=1 --", "MTotMQ", "MTo5MjIzMzcyMDM2ODU0Nzc1ODA4", "MTowEDE", "\u{0}"].map(str::to_owned));
    mutated.push(token.repeat(300));
    mutated
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_means_nothing_is_refused_or_finds_nothing() -> Result<()> {
    let Some(world) = eventful(Backend::Sqlite).await? else { return Ok(()) };
    let mut auditor = Auditor::of(&world).await?;
    let nothing = ListAuditRecordsRequest::default;
    let refused = [
        ListAuditRecordsRequest { page_size: -1, ..nothing() },
        ListAuditRecordsRequest { order: 9, ..nothing() },
        ListAuditRecordsRequest { outcome: 9, ..nothing() },
        ListAuditRecordsRequest { after_id: u64::MAX, ..nothing() },
        ListAuditRecordsRequest { actor_id: "\0".into(), ..nothing() },
        ListAuditRecordsRequest { target_id: "x".repeat(1025), ..nothing() },
    ];
    for ask in refused {
        let shown = format!("{ask:?}");
        let status = auditor.service.list_audit_records(as_bearer(&auditor.token, ask)?).await.expect_err("refused");
        ensure!(status.code() == Code::InvalidArgument, "{}: {status:?}", &shown[..shown.len().min(200)]);
    }
    let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 1 });
    for ask in [
        ListAuditRecordsRequest { action: "client%".into(), ..nothing() },
        ListAuditRecordsRequest { actor_id: "' OR 1=1 --".into(), ..nothing() },
        ListAuditRecordsRequest { start_time: moment(i64::MAX), ..nothing() },
        ListAuditRecordsRequest { end_time: moment(i64::MIN), ..nothing() },
    ] {
        ensure!(auditor.list(ask.clone()).await?.is_empty(), "{ask:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_takes_an_administrators_scope_and_being_turned_away_is_recorded() -> Result<()> {
    let Some(world) = eventful(Backend::Sqlite).await? else { return Ok(()) };
    let mut auditor = Auditor::of(&world).await?;
    let url = world.pair.ports.issuer_url();
    let shape =
        |scope| ["--grant", "client_credentials", "--audience", &url, "--scope", scope, "--default-scope", scope];
    let reader = create_client(&world.pair, "reader", &shape("tessera.admin.read"))?;
    let other = create_client(&world.pair, "other", &shape("orders:read"))?;
    let (reader, other) =
        (token(world.pair.ports.issuer_grpc, &reader).await?, token(world.pair.ports.issuer_grpc, &other).await?);
    let ask = ListAuditRecordsRequest { page_size: 1, ..Default::default() };
    assert_eq!(
        auditor.service.list_audit_records(as_bearer(&reader, ask.clone())?).await?.into_inner().records.len(),
        1
    );
    let end = auditor.end().await?;
    let status = auditor.service.list_audit_records(as_bearer(&other, ask)?).await.expect_err("refused");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "SCOPE_MISSING"));
    let told = auditor.told(end, "administration.refuse", 1).await?;
    let record = &told[0];
    assert_eq!((record.reason.as_str(), record.address.as_str()), ("SCOPE_MISSING", "127.0.0.1"));
    assert_eq!((record.outcome(), id(record.actor.as_ref())), (AuditOutcome::Refused, "other"));
    assert_eq!(id(record.target.as_ref()), "tessera.admin.v1.AuditService/ListAuditRecords");
    let asked = ListAuditRecordsRequest::default();
    auditor.service.list_audit_records(as_bearer("nonsense", asked)?).await.expect_err("refused");
    let told = auditor.told(end, "administration.refuse", 2).await?;
    assert_eq!((told[1].reason.as_str(), id(told[1].actor.as_ref())), ("BEARER_TOKEN_INVALID", ""), "nobody knows who");
    Ok(())
}
