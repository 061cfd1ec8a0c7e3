//! A change and its record: both, or neither.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use rstest::rstest;
use tessera_api::admin::v1 as api;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_testkit::pair::Backend;
use tessera_tests::{as_bearer, channel, world};
use tokio::task::JoinSet;

use super::{Auditor, id};

/// How many changes are under way.
const MANY: usize = 64;

/// How many are answered before the issuer is killed.
const FEW: usize = 8;

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_killed_amid_changes_leaves_each_with_its_record_or_neither(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let mut clients = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let name = |number: usize| format!("victim-{number}");
    for number in 0..MANY {
        let resources = vec!["orders-api".to_owned()];
        let client = api::Client { client_id: name(number), name: name(number), resources, ..Default::default() };
        let ask = api::CreateClientRequest { client: Some(client), ..Default::default() };
        clients.create_client(as_bearer(&admin, ask)?).await?;
    }
    let end = Auditor::of(&world).await?.end().await?;
    let mut calls = JoinSet::new();
    for number in 0..MANY {
        let (mut clients, ask) = (clients.clone(), api::DisableClientRequest { client_id: name(number) });
        let ask = as_bearer(&admin, ask)?;
        calls.spawn(async move { (number, clients.disable_client(ask).await) });
    }
    let mut answered = BTreeSet::new();
    while answered.len() < FEW {
        let Some(call) = calls.join_next().await else { break };
        let (number, answer) = call?;
        answer?;
        answered.insert(name(number));
    }
    world.pair.issuer.kill()?;
    while let Some(call) = calls.join_next().await {
        let (number, answer) = call?;
        if answer.is_ok() {
            answered.insert(name(number));
        }
    }
    world.pair.issuer.restart().await?;

    let mut auditor = Auditor::of(&world).await?;
    let records = auditor.after(end).await?;
    let told: BTreeSet<String> = records
        .iter()
        .filter(|record| record.action == "client.disable")
        .map(|record| id(record.target.as_ref()).to_owned())
        .collect();
    let mut clients = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let ask = api::ListClientsRequest { page_size: 1000, enabled: Some(false), ..Default::default() };
    let listed = clients.list_clients(as_bearer(&world.admin_token().await?, ask)?).await?.into_inner().clients;
    let done: BTreeSet<String> = listed.into_iter().map(|client| client.client_id).collect();
    assert_eq!(told, done, "recorded, and done");
    ensure!(answered.is_subset(&done), "answered and not done: {answered:?} {done:?}");
    let numbers: Vec<u64> = records.iter().map(|record| record.record_id).collect();
    let first = end + 1;
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>(), "no gap");
    Ok(())
}
