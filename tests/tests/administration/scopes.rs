//! Scopes, from the command line to the database: what they are said to allow, in English and in French.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use serde_json::{Value, json};
use tessera_api::admin::v1::scope_service_client::ScopeServiceClient;
use tessera_api::admin::v1::{self as api};
use tessera_testkit::pair::Backend;
use tessera_tests::{World, as_bearer, channel, world};

fn run(world: &World, arguments: &[&str]) -> Result<Value> {
    world.pair.tessera_json(&[&["scope"], arguments].concat())
}

fn exit(world: &World, arguments: &[&str]) -> Result<Option<i32>> {
    let output = world.pair.tessera(&[&["scope"], arguments].concat())?;
    ensure!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    Ok(output.status.code())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_scope_is_described_in_both_languages_changed_listed_and_removed(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let texts = ["--description", "See products", "--description", "fr=Voir les produits"];
    let made = run(&world, &[&["create", "product:read"], &texts[..]].concat())?;
    assert_eq!(made["descriptions"], json!({"en": "See products", "fr": "Voir les produits"}));
    assert_eq!(made["reserved"], false);
    assert_eq!(run(&world, &["get", "product:read"])?, made);
    assert_eq!(exit(&world, &["create", "product:read"])?, Some(5), "it is registered once");
    assert_eq!(exit(&world, &["create", "tessera.new"])?, Some(2), "reserved names are ours");

    let changed = run(&world, &["update", "product:read", "--description", "fr=Consulter les produits"])?;
    let both = json!({"en": "See products", "fr": "Consulter les produits"});
    assert_eq!(changed["descriptions"], both, "English stays as it was");
    assert_eq!(run(&world, &["get", "product:read"])?["descriptions"], both);
    let without = run(&world, &["update", "product:read", "--description", "fr="])?;
    assert_eq!(without["descriptions"], json!({"en": "See products"}), "an empty text removes a language");
    assert_eq!(exit(&world, &["update", "nowhere", "--description", "x"])?, Some(4));

    let listed = run(&world, &["list"])?;
    let names: Vec<_> =
        listed.as_array().context("a list")?.iter().filter_map(|scope| scope["name"].as_str()).collect();
    assert!(["orders:read", "orders:write", "product:read"].iter().all(|name| names.contains(name)), "{names:?}");
    let found = listed.as_array().into_iter().flatten().find(|scope| scope["name"] == "product:read");
    assert_eq!(found, Some(&run(&world, &["get", "product:read"])?));
    let admin = world.admin_token().await?;
    let mut service = ScopeServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let message = api::ListScopesRequest { page_size: 2, page_token };
        let page = service.list_scopes(as_bearer(&admin, message)?).await?.into_inner();
        ensure!(page.scopes.len() <= 2 && paged.len() <= names.len(), "a page too long, or no end");
        paged.extend(page.scopes.into_iter().map(|scope| scope.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, names, "page by page the same, each once");

    world.pair.tessera_json(&["client", "update", "service", "--add-scope", "product:read"])?;
    assert!(exit(&world, &["delete", "product:read", "--yes"])?.is_some(), "a client has it");
    let kept = ["client", "update", "service", "--scope", "orders:read", "orders:write", "--yes"];
    world.pair.tessera_json(&kept)?;
    assert_eq!(run(&world, &["delete", "product:read", "--dry-run"])?["dry_run"], true);
    run(&world, &["delete", "product:read", "--yes"])?;
    assert_eq!(exit(&world, &["get", "product:read"])?, Some(4));
    Ok(())
}
