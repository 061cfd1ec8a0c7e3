//! The version before: what it wrote is served, and its processes work beside this version's.
//!
//! `tests/fixtures/previous` has a database of it for each backend, with what its clients hold. `cargo xtask record-previous`, at a
//! release, writes them anew. The schema and the feed's messages by themselves are checked where they are made: `previous.rs` of the
//! store's tests, and of the ledger's `wire`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rstest::rstest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_testkit::pair::{Backend, Options, Pair};
use tessera_testkit::process::{binary, get};
use tessera_tests::doors::{At, Door, Grant};
use tessera_tests::people::{Account, PASSWORD, People, app};
use tessera_tests::{Client, World, world_with};

/// What the clients of the version before hold.
#[derive(Serialize, Deserialize)]
struct Held {
    service: String,
    resource: String,
    app: String,
    access: String,
    spent: String,
    refresh: String,
    revoked: String,
}

fn folder(backend: Backend) -> PathBuf {
    let name = match backend {
        Backend::Sqlite => "sqlite",
        Backend::Postgres => "postgres",
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/previous").join(name)
}

/// Understood by every version, and with refresh tokens that live for longer than a version.
fn options() -> Options {
    let tokens = "[tokens]\npassword_grant = true\nrefresh_reuse_grace = 0\nrefresh_ttl = \"400d\"\nrefresh_absolute_ttl = \"3660d\"\n";
    Options {
        stop: Some(String::new()),
        issuer_url: Some("http://issuer.test".to_owned()),
        issuer: tokens.to_owned(),
        ..Options::default()
    }
}

fn key_id(token: &str) -> Result<String> {
    let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap_or_default())?;
    let head: Value = serde_json::from_slice(&head)?;
    Ok(head["kid"].as_str().context("no kid")?.to_owned())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_version_before_wrote_is_served(#[case] backend: Backend) -> Result<()> {
    let held: Held = serde_json::from_slice(&std::fs::read(folder(backend).join("held.json"))?)?;
    let Some(pair) = Pair::restore(backend, &options(), &folder(backend)).await? else { return Ok(()) };
    let client = |id: &str, secret: &str| Client { id: id.to_owned(), secret: secret.to_owned() };
    let (service, resource) = (client("service", &held.service), client("resource", &held.resource));
    let world = World { pair, service, resource };
    let (app, at) = (client("app", &held.app), At::of(&world.pair));

    // Secrets, both of clients and of people, and what they are good for.
    let token = world.token().await?;
    ensure!(world.is_active(&token).await?, "a token for an old secret");
    at.issue(Door::Grpc, &app, Grant::Password("ada", PASSWORD)).await.context("an old password")?;
    // The key that signed is the one that signs, and is published.
    let key = key_id(&held.access)?;
    let (_, jwks) = get(world.pair.ports.issuer_http, "/oauth2/jwks").await?;
    ensure!(jwks.contains(&key) && key_id(&token)? == key, "{jwks}");
    // The grant goes on, and knows which of its tokens was spent: to present that one again ends it.
    let next = at.issue(Door::Grpc, &app, Grant::Refresh(&held.refresh)).await.context("an old refresh token")?;
    ensure!(world.is_active(&next.access).await?, "its access token");
    let reused = at.ask(Door::Grpc, &app, Grant::Refresh(&held.spent), "").await?;
    ensure!(reused.is_err() && !world.is_active(&next.access).await?, "a spent token ends its family");
    // The log goes on where it was.
    ensure!(!world.is_active(&held.revoked).await?, "what was revoked stays so");
    world.revoke_until_confirmed(&token).await?;
    ensure!(!world.is_active(&token).await?);
    let clients = world.pair.tessera_json(&["client", "list"])?.to_string();
    ensure!(["service", "resource", "app"].iter().all(|id| clients.contains(&format!("\"{id}\""))), "{clients}");
    Ok(())
}

/// An update, and its undoing, one process at a time, in both orders.
#[tokio::test(flavor = "multi_thread")]
async fn processes_of_the_version_before_work_beside_these_and_on_their_schema() -> Result<()> {
    let Some(before) = std::env::var_os("TEST_TESSERA_PREVIOUS_BIN_DIR").map(PathBuf::from) else {
        #[allow(clippy::print_stdout, reason = "a test that was not run says so")]
        {
            println!(
                "left out: TEST_TESSERA_PREVIOUS_BIN_DIR does not say where the binaries of the version before are"
            );
        }
        return Ok(());
    };
    let Some(mut world) = world_with(Backend::Sqlite, options()).await? else { return Ok(()) };
    works(&world).await.context("new and new")?;
    world.pair.introspector.replace(before.join("tessera-introspector")).await?;
    works(&world).await.context("a new issuer, an old introspector")?;
    world.pair.issuer.replace(before.join("tessera-issuer")).await?;
    world.pair.introspector.ready().await?;
    works(&world).await.context("old and old, on the new schema")?;
    world.pair.introspector.replace(binary("tessera-introspector")?).await?;
    works(&world).await.context("an old issuer, a new introspector")?;
    world.pair.issuer.replace(binary("tessera-issuer")?).await?;
    world.pair.introspector.ready().await?;
    works(&world).await.context("new and new again")
}

async fn works(world: &World) -> Result<()> {
    let token = world.token().await?;
    ensure!(world.is_active_again(&token).await?, "an active token");
    world.revoke_until_confirmed(&token).await?;
    ensure!(!world.is_active_again(&token).await?, "a revoked token");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo xtask record-previous runs it, at a release"]
async fn record(#[case] backend: Backend) -> Result<()> {
    let world = world_with(backend, options()).await?.context("both databases are needed to record")?;
    let app = app(&world, "app")?;
    let (admin, nobody) =
        (world.admin_token().await?, Account { id: String::new(), name: String::new(), email: String::new() });
    let mut people = People { world, ada: nobody, app, admin, front: String::new() };
    people.ada = people.person("ada").await?;
    let spent = people.by_password().await?.refresh()?.to_owned();
    let next = people.at().issue(Door::Grpc, &people.app, Grant::Refresh(&spent)).await?;
    let revoked = people.world.token().await?;
    people.world.revoke_until_confirmed(&revoked).await?;
    let People { mut world, app, .. } = people;
    let held = Held {
        service: world.service.secret.clone(),
        resource: world.resource.secret.clone(),
        app: app.secret,
        access: world.token().await?,
        spent,
        refresh: next.refresh()?.to_owned(),
        revoked,
    };
    world.pair.introspector.terminate().await?;
    world.pair.issuer.terminate().await?;
    world.pair.keep(&folder(backend))?;
    std::fs::write(folder(backend).join("held.json"), serde_json::to_string_pretty(&held)? + "\n")?;
    Ok(())
}
