//! Clients and their secrets: what is told of them, lists, and changes that two want to make.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::admin::v1::key_service_client::KeyServiceClient;
use tessera_api::admin::v1::scope_service_client::ScopeServiceClient;
use tessera_api::admin::v1::{self as api};
use tessera_testkit::pair::Backend;
use tessera_tests::{Client, as_bearer, channel, create_client, reason, token, world};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn of_secrets_nothing_but_their_times_is_told(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let mut service = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let rotate = |overlap: Option<i64>| api::RotateClientSecretRequest {
        client_id: "service".to_owned(),
        overlap: overlap.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        expire_time: None,
    };
    let rotated = service.rotate_client_secret(as_bearer(&admin, rotate(None))?).await?.into_inner();
    assert!(rotated.client_secret.starts_with("tsk_") && rotated.confirmed);
    let message = api::ListClientSecretsRequest { client_id: "service".to_owned() };
    let listed = service.list_client_secrets(as_bearer(&admin, message)?).await?.into_inner();
    assert_eq!(listed.secrets.len(), 2, "two live at once");
    assert_eq!(listed.secrets[0].expire_time, None, "the newest first");
    let day = 24 * 60 * 60;
    let (made, ends) =
        (listed.secrets[0].create_time.context("made")?, listed.secrets[1].expire_time.context("an end")?);
    assert!((ends.seconds - made.seconds - day).abs() <= 60, "the one before ends after a day");
    let text = format!("{listed:?}");
    assert!(!text.contains(&rotated.client_secret) && !text.contains(&world.service.secret) && !text.contains("tsk_"));
    for out_of_bounds in [-1, 31 * day, i64::MAX] {
        let refused = service.rotate_client_secret(as_bearer(&admin, rotate(Some(out_of_bounds)))?).await;
        assert_eq!(refused.expect_err("out of bounds").code(), Code::InvalidArgument, "{out_of_bounds} s");
    }
    let message = api::ListClientSecretsRequest { client_id: "service".to_owned() };
    let after = service.list_client_secrets(as_bearer(&admin, message)?).await?.into_inner();
    assert_eq!(after, listed, "a refused rotation changes nothing");
    for secret in [&world.service.secret, &rotated.client_secret] {
        token(world.pair.ports.issuer_grpc, &Client { secret: secret.clone(), ..world.service.clone() }).await?;
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_is_not_found_and_what_there_is_is_taken_once(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    for arguments in [
        &["get", "nobody"][..],
        &["enable", "nobody"],
        &["disable", "nobody", "--yes"],
        &["delete", "nobody", "--yes"],
        &["revoke-tokens", "nobody", "--yes"],
        &["secret", "rotate", "nobody"],
        &["secret", "list", "nobody"],
        &["update", "nobody", "--name", "Somebody"],
    ] {
        let output = world.pair.tessera(&[&["client"], arguments].concat())?;
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Eight at once want the same id: one gets it.
    let mut creations = JoinSet::new();
    for number in 0..8 {
        let mut service = ClientServiceClient::new(channel.clone());
        let client = api::Client {
            client_id: "wanted".to_owned(),
            name: format!("Wanted {number}"),
            resources: vec!["orders-api".to_owned()],
            ..api::Client::default()
        };
        let request = as_bearer(&admin, api::CreateClientRequest { client: Some(client), ..Default::default() })?;
        creations.spawn(async move { service.create_client(request).await });
    }
    let outcomes = creations.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
    }
    let mut service = ClientServiceClient::new(channel);
    let same_name = api::Client {
        client_id: "another".to_owned(),
        name: "service".to_owned(),
        resources: vec!["orders-api".to_owned()],
        ..api::Client::default()
    };
    let message = api::CreateClientRequest { client: Some(same_name), ..Default::default() };
    let refused = service.create_client(as_bearer(&admin, message)?).await.expect_err("the name is taken");
    assert_eq!(refused.code(), Code::AlreadyExists);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_update_names_fields_that_can_change_and_overwrites_nobody_elses(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let mut service = ClientServiceClient::new(channel.clone());
    let message = api::GetClientRequest { client_id: "service".to_owned() };
    let before = service.get_client(as_bearer(&admin, message)?).await?.into_inner().client.context("a client")?;
    let update = |client: api::Client, paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        api::UpdateClientRequest { client: Some(client), update_mask: Some(prost_types::FieldMask { paths }) }
    };

    for mask in [
        &[][..],
        &["enabled"],
        &["client_id"],
        &["etag"],
        &["type"],
        &["create_time"],
        &["secrets"],
        &["*"],
        &[""],
        &["name", "nope"],
        &["Name"],
        &["name.first"],
    ] {
        let refused =
            service.update_client(as_bearer(&admin, update(before.clone(), mask))?).await.expect_err("a bad mask");
        assert_eq!(refused.code(), Code::InvalidArgument, "{mask:?}");
        let violations = refused.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        assert_eq!(violations[0].field, "update_mask", "{mask:?}");
    }
    let none = api::UpdateClientRequest { client: Some(before.clone()), update_mask: None };
    assert_eq!(
        service.update_client(as_bearer(&admin, none)?).await.expect_err("no mask").code(),
        Code::InvalidArgument
    );

    // Only what the mask names is changed.
    let changed = api::Client {
        name: "Renamed".to_owned(),
        description: "Unmasked".to_owned(),
        scopes: Vec::new(),
        ..before.clone()
    };
    let after = service.update_client(as_bearer(&admin, update(changed, &["name"]))?).await?.into_inner();
    let after = after.client.context("a client")?;
    assert_eq!(
        (after.name.as_str(), &after.description, &after.scopes),
        ("Renamed", &before.description, &before.scopes)
    );
    assert_ne!(after.etag, before.etag);

    let stale = api::Client { description: "Too late".to_owned(), ..before.clone() };
    let refused = service
        .update_client(as_bearer(&admin, update(stale.clone(), &["description"]))?)
        .await
        .expect_err("a stale etag");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "CHANGED_MEANWHILE"));
    let bad = api::Client { etag: "x' OR 1=1".to_owned(), ..stale.clone() };
    let refused =
        service.update_client(as_bearer(&admin, update(bad, &["description"]))?).await.expect_err("no etag of ours");
    assert_eq!(refused.code(), Code::InvalidArgument);

    // Of eight with the same etag one wins, whatever the database.
    let mut updates = JoinSet::new();
    for number in 0..8 {
        let mut service = service.clone();
        let client = api::Client { description: format!("Number {number}"), etag: after.etag.clone(), ..after.clone() };
        let request = as_bearer(&admin, update(client, &["description"]))?;
        updates.spawn(async move { service.update_client(request).await });
    }
    let outcomes = updates.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    }
    // Without an etag the last one wins.
    let blind = api::Client { etag: String::new(), ..stale };
    service.update_client(as_bearer(&admin, update(blind, &["description"]))?).await?;
    Ok(())
}

/// What somebody may make of a page token: every byte changed, pieces cut off and put on, and what injections look like.
pub(crate) fn mutations(token: &str) -> Vec<String> {
    let mut mutated: Vec<String> = (0..token.len()).map(|end| token[..end].to_owned()).collect();
    for position in 0..token.len() {
        for other in ["A", "_", "'", "%", "=", "é"] {
            mutated.push(format!("{}{other}{}", &token[..position], &token[position + 1..]));
        }
    }
    mutated.extend(["' OR 1=1 --", "1", "MTo", "MToA", "MTon", "MTo7", "MjphYmM", "\u{0}", "😀"].map(str::to_owned));
    mutated.push(format!("{token}{token}"));
    mutated.push(token.repeat(300));
    mutated
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_and_a_changed_page_token_is_never_our_fault(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let (mut clients, mut scopes, mut keys) = (
        ClientServiceClient::new(channel.clone()),
        ScopeServiceClient::new(channel.clone()),
        KeyServiceClient::new(channel),
    );
    // An order that is not the locale's: upper case, digits and punctuation beside lower case.
    for id in ["Zebra", "apple", "apple-2", "10", "_x"] {
        create_client(&world.pair, id, &["--resource", "orders-api"])?;
    }
    let (mut seen, mut page_token, mut tokens) = (Vec::new(), String::new(), Vec::new());
    loop {
        let message = api::ListClientsRequest { page_size: 2, page_token, ..Default::default() };
        let page = clients.list_clients(as_bearer(&admin, message)?).await?.into_inner();
        ensure!(page.clients.len() <= 2, "a page too long");
        seen.extend(page.clients.into_iter().map(|client| client.client_id));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        tokens.push(page_token.clone());
    }
    let all = ["10", "Zebra", "_x", "apple", "apple-2", "resource", "service", "tessera-admin", "tessera-introspector"];
    assert_eq!(seen, all, "each once, by identifier");

    let message = api::ListScopesRequest { page_size: 1, ..Default::default() };
    let of_scopes = scopes.list_scopes(as_bearer(&admin, message)?).await?.into_inner().next_page_token;
    for page_token in tokens.iter().take(2).chain([&of_scopes]).flat_map(|token| mutations(token)) {
        let allowed = |status: &Status| status.code() == Code::InvalidArgument;
        let message = api::ListClientsRequest { page_size: 2, page_token: page_token.clone(), ..Default::default() };
        if let Err(status) = clients.list_clients(as_bearer(&admin, message)?).await {
            assert!(allowed(&status), "clients with {page_token:?}: {status:?}");
        }
        let message = api::ListScopesRequest { page_size: 2, page_token: page_token.clone() };
        if let Err(status) = scopes.list_scopes(as_bearer(&admin, message)?).await {
            assert!(allowed(&status), "scopes with {page_token:?}: {status:?}");
        }
        let message = api::ListKeysRequest { page_size: 2, page_token: page_token.clone() };
        if let Err(status) = keys.list_keys(as_bearer(&admin, message)?).await {
            assert!(allowed(&status), "keys with {page_token:?}: {status:?}");
        }
    }
    for (page_size, expected) in [(i32::MAX, Ok(all.len())), (0, Ok(all.len())), (-1, Err(Code::InvalidArgument))] {
        let message = api::ListClientsRequest { page_size, ..Default::default() };
        let page = clients.list_clients(as_bearer(&admin, message)?).await;
        assert_eq!(
            page.map(|page| page.into_inner().clients.len()).map_err(|status| status.code()),
            expected,
            "{page_size}"
        );
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_text_and_not_a_pattern(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let mut clients = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    for (id, name) in [("percent", "50% off"), ("accent", "Épicerie"), ("quote", "O'Brien\\Söhne_1")] {
        world.pair.tessera_json(&[
            "client",
            "create",
            "--client-id",
            id,
            "--name",
            name,
            "--resource",
            "orders-api",
        ])?;
    }
    for (filter, expected) in [
        ("%", &["percent"][..]),
        ("_", &["quote"]),
        ("\\", &["quote"]),
        ("'", &["quote"]),
        ("' OR '1'='1", &[]),
        ("o'brien", &["quote"]),
        // Of ASCII letters alone the case does not matter, alike on every database.
        ("ÉPICERIE", &["accent"]),
        ("épicerie", &[]),
        ("e%f", &[]),
    ] {
        let message = api::ListClientsRequest { name_contains: filter.to_owned(), ..Default::default() };
        let found = clients.list_clients(as_bearer(&admin, message)?).await?.into_inner().clients;
        let ids: Vec<_> = found.iter().map(|client| client.client_id.as_str()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let nul = api::ListClientsRequest { name_contains: "a\u{0}b".to_owned(), ..Default::default() };
    match clients.list_clients(as_bearer(&admin, nul)?).await {
        Ok(page) => assert_eq!(page.into_inner().clients, []),
        Err(status) => assert_eq!(status.code(), Code::InvalidArgument, "{status:?}"),
    }
    Ok(())
}
