//! Everything an application may have, from a file and from the command line, and what comes back of it.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use serde_json::{Value, json};
use tessera_testkit::pair::Backend;
use tessera_tests::{Client, World, create_client, post, world};

/// The page whose example is applied as it stands there.
const PAGE: &str = include_str!("../../../docs/applications.md");

/// What of the example says nothing yet, with something to say.
const FILLED: [(&str, &str); 6] = [
    ("description = \"\"", "description = \"Sends the bills.\""),
    ("default_scopes = []", "default_scopes = [\"orders:read\"]"),
    ("implicit_scopes = []", "implicit_scopes = [\"orders:write\"]"),
    ("resources = []", "resources = [\"stock-api\"]"),
    ("redirect_uris = []", "redirect_uris = [\"https://shop.example/cb\"]"),
    ("claims_profile = \"auto\"", "claims_profile = \"rfc9068\""),
];

fn example() -> Result<String> {
    let (_, from) = PAGE.split_once("```toml\n[[client]]").context("the example")?;
    let (example, _) = from.split_once("```").context("its end")?;
    Ok(format!("[[client]]{example}"))
}

fn run(world: &World, line: &str) -> Result<Value> {
    world.pair.tessera_json(&line.split_whitespace().collect::<Vec<_>>())
}

fn apply(world: &World, file: &str, flags: &[&str]) -> Result<Vec<Value>> {
    let path = world.pair.folder().join("clients.toml");
    std::fs::write(&path, file)?;
    let path = path.display().to_string();
    let output: Output = world.pair.tessera(&[&["client", "apply", "-f", &path, "-o", "json"], flags].concat())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Fails unless a client has these members.
#[track_caller]
fn assert_has(client: &Value, expected: &Value) {
    for (member, value) in expected.as_object().into_iter().flatten() {
        assert_eq!(&client[member], value, "{member}: {client}");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_file_is_applied_as_it_stands_and_all_of_it_reads_back(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let organization = run(&world, "org create Acme")?["organization_id"].clone();
    let owner = run(&world, "user create --username ada --no-password")?["user_id"].clone();
    run(&world, "org member add Acme ada")?;
    std::fs::write(world.pair.folder().join("billing.secret"), "brought along\n")?;
    let example = example()?;
    let steps = apply(&world, &example, &["--dry-run"])?;
    let scopes = json!({ "field": "scopes", "from": "", "to": "orders:read" });
    let told = steps[0]["changes"].as_array().context("changes")?;
    assert!(told.contains(&scopes), "what a new client will have is told before: {steps:?}");
    assert!(told.iter().all(|change| change["to"] != ""), "and nothing of what it will not: {steps:?}");
    assert_eq!(apply(&world, &example, &[])?.len(), 1);
    assert_eq!(apply(&world, &example, &[])?, [] as [Value; 0], "and now there is nothing to do");
    let expected = json!({
        "name": "Billing", "description": "", "type": "confidential", "enabled": true,
        "grant_types": ["client_credentials"], "scopes": ["orders:read"], "default_scopes": [],
        "implicit_scopes": [], "audiences": ["orders-api"], "resources": [], "redirect_uris": [],
        "access_token_lifetime": 900, "claims_profile": "auto", "organization_id": organization, "owner_id": owner,
        "site_url": "https://shop.example/", "logo_url": "https://shop.example/logo.png",
        "failure_uri": "https://shop.example/failed",
    });
    assert_has(&run(&world, "client get billing")?, &expected);

    let mut filled = example;
    for (from, to) in FILLED {
        ensure!(filled.matches(from).count() == 1, "the example has no {from:?}");
        filled = filled.replace(from, to);
    }
    let steps = apply(&world, &filled, &["--dry-run"])?;
    let changes = steps[0]["changes"].as_array().context("changes")?;
    let told: Vec<_> = changes.iter().filter_map(|change| change["field"].as_str()).collect();
    let fields = ["description", "default_scopes", "implicit_scopes", "resources", "redirect_uris", "claims_profile"];
    assert_eq!(told, fields, "the difference, field by field: {steps:?}");
    assert_has(&run(&world, "client get billing")?, &expected);
    apply(&world, &filled, &["--yes"])?;
    assert_eq!(apply(&world, &filled, &[])?, [] as [Value; 0]);
    let expected = json!({
        "description": "Sends the bills.", "default_scopes": ["orders:read"], "implicit_scopes": ["orders:write"],
        "resources": ["stock-api"], "redirect_uris": ["https://shop.example/cb"], "claims_profile": "rfc9068",
        "site_url": "https://shop.example/", "organization_id": organization,
    });
    assert_has(&run(&world, "client get billing")?, &expected);
    let billing = Client { id: "billing".to_owned(), secret: "brought along".to_owned() };
    let answer = post(world.pair.ports.issuer_http, "/oauth2/token", Some(&billing), &CREDENTIALS).await?.json()?;
    assert_eq!((&answer["scope"], &answer["expires_in"]), (&json!("orders:write orders:read"), &json!(900)));
    Ok(())
}

const CREDENTIALS: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// What is said on the command line is what the client is, and gets; and when it was used last is known after a stop.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn implicit_scopes_come_unasked_and_the_last_use_outlives_a_stop(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world(backend).await? else { return Ok(()) };
    let shape = [
        "--description",
        "Says it all",
        "--grant",
        "client_credentials",
        "--scope",
        "orders:read",
        "--implicit-scope",
        "orders:write",
        "--resource",
        "stock-api",
    ];
    let app = create_client(&world.pair, "app", &shape)?;
    let shown = run(&world, "client get app")?;
    let expected = json!({
        "description": "Says it all", "implicit_scopes": ["orders:write"], "resources": ["stock-api"],
        "last_used_time": null,
    });
    assert_has(&shown, &expected);
    let ask = async |world: &World, scope: &str| -> Result<Value> {
        let fields = [CREDENTIALS[0], ("scope", scope)];
        post(world.pair.ports.issuer_http, "/oauth2/token", Some(&app), &fields).await?.json()
    };
    for (asked, expected) in [("", "orders:write"), ("orders:read", "orders:write orders:read")] {
        assert_eq!(ask(&world, asked).await?["scope"], expected, "{asked:?}");
    }
    run(&world, "client update app --implicit-scope orders:read --yes")?;
    assert_eq!(ask(&world, "").await?["scope"], "orders:read");

    world.pair.issuer.terminate().await?;
    world.pair.issuer.restart().await?;
    world.pair.issuer.ready().await?;
    let used = run(&world, "client get app")?["last_used_time"].clone();
    let made = shown["create_time"].as_str().context("a time")?;
    assert!(used.as_str().is_some_and(|used| used >= made), "{used} after {made}");
    Ok(())
}
