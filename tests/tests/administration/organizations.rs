//! Organizations and their members, from the command line to the database; and the list of their applications.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use serde_json::Value;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::admin::v1::organization_service_client::OrganizationServiceClient;
use tessera_api::admin::v1::{self as api};
use tessera_testkit::pair::Backend;
use tessera_tests::{World, as_bearer, channel, create_client, reason, world};
use tonic::Code;

fn run(world: &World, line: &str) -> Result<Value> {
    world.pair.tessera_json(&line.split_whitespace().collect::<Vec<_>>())
}

/// The exit code and the reason of a command that is refused.
fn refused(world: &World, line: &str) -> Result<(Option<i32>, String)> {
    let arguments: Vec<_> = line.split_whitespace().chain(["-o", "json"]).collect();
    let output = world.pair.tessera(&arguments)?;
    ensure!(!output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
    let told: Value = serde_json::from_slice(&output.stderr)?;
    Ok((output.status.code(), told["reason"].as_str().unwrap_or_default().to_owned()))
}

/// One member of each in a list.
fn each(list: &Value, member: &str) -> Result<BTreeSet<String>> {
    let list = list.as_array().context("a list")?;
    list.iter().map(|one| one[member].as_str().map(str::to_owned).with_context(|| one.to_string())).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_is_made_changed_listed_and_removed(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let acme = run(&world, "org create Acme")?;
    assert_eq!((&acme["name"], &acme["global"], &acme["enabled"]), (&"Acme".into(), &false.into(), &true.into()));
    let group = run(&world, "org create Group --global")?;
    assert_eq!(group["global"], true);
    run(&world, "org create Umbrella")?;
    assert_eq!(refused(&world, "org create Acme")?.0, Some(5), "the name is taken");

    let id = acme["organization_id"].as_str().context("an id")?;
    assert_eq!(run(&world, &format!("org get {id}"))?, run(&world, "org get Acme")?, "by either");
    let changed = run(&world, "org update Acme --name Emca")?;
    assert_eq!((&changed["name"], &changed["organization_id"]), (&"Emca".into(), &id.into()));
    assert_ne!(changed["etag"], acme["etag"]);
    assert_eq!(refused(&world, "org get Acme")?.0, Some(4));
    assert_eq!(refused(&world, "org update Emca --name Group")?.0, Some(5), "another's name");
    assert_eq!(run(&world, "org update Emca --global true")?["global"], true);
    assert_eq!(run(&world, "org update Emca --global false")?["global"], false);
    run(&world, "org update Emca --name Acme")?;

    run(&world, "org disable Umbrella --yes")?;
    run(&world, "user create --username ada --no-password")?;
    run(&world, "org member add Acme ada")?;
    run(&world, "org member add Group ada")?;
    for (filter, expected) in [
        ("", &["Acme", "Group", "Umbrella"][..]),
        ("--name-contains m", &["Acme", "Umbrella"]),
        ("--name-contains ACME", &["Acme"]),
        ("--name-contains %", &[]),
        ("--enabled", &["Acme", "Group"]),
        ("--disabled", &["Umbrella"]),
        ("--member ada", &["Acme", "Group"]),
        ("--member ada --name-contains a --enabled", &["Acme"]),
        ("--member ada --disabled", &[]),
    ] {
        let listed = run(&world, &format!("org list {filter}"))?;
        assert_eq!(each(&listed, "name")?, set(expected), "{filter}");
    }
    assert_eq!(run(&world, "org list --limit 2")?.as_array().map(Vec::len), Some(2));

    let admin = world.admin_token().await?;
    let mut service = OrganizationServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let (mut seen, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let message = api::ListOrganizationsRequest { page_size: 1, page_token, ..Default::default() };
        let page = service.list_organizations(as_bearer(&admin, message)?).await?.into_inner();
        ensure!(page.organizations.len() <= 1 && pages < 5, "a page too long, or no end");
        seen.extend(page.organizations.into_iter().map(|found| found.name));
        (page_token, pages) = (page.next_page_token, pages + 1);
        if page_token.is_empty() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ["Acme", "Group", "Umbrella"], "each once");
    let stale = api::Organization {
        organization_id: id.to_owned(),
        name: "Late".to_owned(),
        etag: acme["etag"].as_str().unwrap_or_default().to_owned(),
        ..Default::default()
    };
    for (paths, expected) in
        [(&["name"][..], Code::Aborted), (&["enabled"], Code::InvalidArgument), (&[], Code::InvalidArgument)]
    {
        let update_mask = Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() });
        let message = api::UpdateOrganizationRequest { organization: Some(stale.clone()), update_mask };
        let status = service.update_organization(as_bearer(&admin, message)?).await.expect_err("refused");
        assert_eq!(status.code(), expected, "{paths:?}: {}", reason(&status));
    }

    assert_eq!(run(&world, "org delete Umbrella --dry-run")?["dry_run"], true);
    run(&world, "org delete Umbrella --yes")?;
    for line in ["org get Umbrella", "org enable Umbrella", "org update Umbrella --name X", "org member list Umbrella"]
    {
        assert_eq!(refused(&world, line)?.0, Some(4), "{line}");
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_and_those_of_a_global_organization_may_own_anywhere(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    run(&world, "org create Acme")?;
    run(&world, "org create Group --global")?;
    let mut ids = Vec::new();
    for name in ["ada", "ben", "cleo"] {
        let made = run(&world, &format!("user create --username {name} --email {name}@example.test --no-password"))?;
        ids.push(made["user_id"].as_str().context("an id")?.to_owned());
    }
    let members = || -> Result<BTreeSet<String>> { each(&run(&world, "org member list Acme")?, "user_id") };
    assert_eq!(members()?, set(&[]));
    run(&world, "org member add Acme ada")?;
    run(&world, "org member add Acme ben@example.test")?;
    run(&world, &format!("org member add Acme {}", ids[2]))?;
    assert_eq!(members()?, ids.iter().cloned().collect());
    let admin = world.admin_token().await?;
    let mut service = OrganizationServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let organization_id = run(&world, "org get Acme")?["organization_id"].as_str().context("an id")?.to_owned();
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    for _ in 0..2 {
        let message =
            api::ListOrganizationMembersRequest { organization_id: organization_id.clone(), page_size: 2, page_token };
        let page = service.list_organization_members(as_bearer(&admin, message)?).await?.into_inner();
        paged.extend(page.user_ids);
        page_token = page.next_page_token;
    }
    assert_eq!((paged.len(), page_token.as_str(), paged.into_iter().collect()), (3, "", members()?), "each once");

    run(&world, "org member remove Acme ben")?;
    assert_eq!(members()?, [ids[0].clone(), ids[2].clone()].into());
    assert_eq!(each(&run(&world, "org list --member ben")?, "name")?, set(&[]));
    for line in ["org member add Acme nobody", "org member add Nowhere ada"] {
        assert_eq!(refused(&world, line)?.0, Some(4), "{line}");
    }
    let make = |id: &str| {
        format!("client create --client-id {id} --name {id} --grant client_credentials --organization Acme --owner ben")
    };
    let (code, why) = refused(&world, &make("outside"))?;
    assert_eq!(code, Some(2), "{why}");
    run(&world, "org member add Group ben")?;
    run(&world, &make("inside"))?;
    // Global no more, it gives nobody what it gave.
    run(&world, "org update Group --global false")?;
    assert_eq!(refused(&world, &make("again"))?, (code, why));
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn applications_are_found_by_name_organization_and_status_together_and_come_in_pages(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    run(&world, "user create --username ada --no-password")?;
    for organization in ["Acme", "Umbrella"] {
        run(&world, &format!("org create {organization}"))?;
        run(&world, &format!("org member add {organization} ada"))?;
        // As many as one likes, one for each service.
        for number in 0..6 {
            let kind = if number % 2 == 0 { "billing" } else { "stock" };
            let id = format!("{organization}-{kind}-{number}").to_lowercase();
            let whose = ["--organization", organization, "--owner", "ada"];
            create_client(&world.pair, &id, &[&["--grant", "client_credentials"], &whose[..]].concat())?;
            if number < 3 {
                run(&world, &format!("client disable {id} --yes"))?;
            }
        }
    }
    for (filter, expected) in [
        ("--organization Acme --name-contains billing", &["acme-billing-0", "acme-billing-2", "acme-billing-4"][..]),
        ("--organization Acme --name-contains billing --disabled", &["acme-billing-0", "acme-billing-2"]),
        ("--organization Acme --name-contains billing --enabled", &["acme-billing-4"]),
        ("--organization Umbrella --name-contains STOCK --disabled", &["umbrella-stock-1"]),
        ("--owner ada --name-contains k-5", &["acme-stock-5", "umbrella-stock-5"]),
        ("--organization Acme --name-contains umbrella", &[]),
        ("--name-contains billing --limit 2", &["acme-billing-0", "acme-billing-2"]),
    ] {
        assert_eq!(each(&run(&world, &format!("client list {filter}"))?, "client_id")?, set(expected), "{filter}");
    }
    let admin = world.admin_token().await?;
    let mut service = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let organization = run(&world, "org get Acme")?["organization_id"].as_str().context("an id")?.to_owned();
    let (mut seen, mut page_token, mut sizes) = (Vec::new(), String::new(), Vec::new());
    for _ in 0..2 {
        let message = api::ListClientsRequest {
            page_size: 2,
            page_token,
            enabled: Some(true),
            organization_id: organization.clone(),
            ..Default::default()
        };
        let page = service.list_clients(as_bearer(&admin, message)?).await?.into_inner();
        sizes.push(page.clients.len());
        seen.extend(page.clients.into_iter().map(|client| client.client_id));
        page_token = page.next_page_token;
    }
    assert_eq!((&sizes[..], page_token.as_str()), (&[2, 1][..], ""), "the filter holds on every page");
    assert_eq!(seen, ["acme-billing-4", "acme-stock-3", "acme-stock-5"]);
    Ok(())
}
