//! One key-encryption key is exchanged for another.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rstest::rstest;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::World;
use tessera_tests::doors::{Door, Grant};
use tessera_tests::people::{PASSWORD, people_with};

use super::kid;

const TOKENS: &str = "[tokens]\npassword_grant = true\nsigning_alg = \"EdDSA\"\nrefresh_reuse_grace = \"60s\"\n";

fn configuration(world: &World) -> PathBuf {
    world.pair.folder().join("tessera-issuer.toml")
}

/// Names older key-encryption keys, or none.
fn configure(world: &World, older: &[&str]) -> Result<()> {
    let text = fs::read_to_string(configuration(world))?;
    let text: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("old_kek_files") && *line != "[secrets]").collect();
    let older: Vec<String> = older.iter().map(|name| format!("\"{}\"", at(world, name).display())).collect();
    let secrets = format!("\n[secrets]\nold_kek_files = [{}]\n", older.join(", "));
    Ok(fs::write(configuration(world), text.join("\n") + &secrets)?)
}

fn at(world: &World, name: &str) -> PathBuf {
    world.pair.folder().join("data").join(name)
}

async fn restart(world: &mut World) -> Result<()> {
    world.pair.issuer.terminate().await?;
    world.pair.issuer.restart().await?;
    world.pair.issuer.ready().await
}

/// A refresh token survives a KEK rotation, and so does everything that is known of it.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_encryption_key_is_exchanged_and_nothing_is_lost(#[case] backend: Backend) -> Result<()> {
    let options = Options { issuer: TOKENS.to_owned(), ..Options::default() };
    let Some(mut people) = people_with(backend, options).await? else { return Ok(()) };
    let at_issuer = people.at();
    let app = people.app.clone();
    let refresh = async |token: &str| at_issuer.issue(Door::Grpc, &app, Grant::Refresh(token)).await;
    let first = at_issuer.issue(Door::Grpc, &app, Grant::Password("ada", PASSWORD)).await?;
    let second = refresh(first.refresh()?).await?;
    let before = people.world.token().await?;

    // The file is moved; a new one is made at the start.
    let world = &mut people.world;
    fs::rename(at(world, "kek"), at(world, "kek.old"))?;
    configure(world, &["kek.old"])?;
    restart(world).await?;
    assert!(world.is_active_again(&before).await?);
    assert_eq!(kid(&before)?, kid(&world.token().await?)?, "the same key signs");
    let again = refresh(first.refresh()?).await?;
    assert_eq!(again.refresh()?, second.refresh()?, "the successor can still be made: the answer may have been lost");

    let sealed_under = |world: &World| -> Result<String> {
        let keys = world.pair.tessera_json(&["key", "list"])?;
        Ok(keys[0]["kek_id"].as_str().context("a name")?.to_owned())
    };
    let old = sealed_under(world)?;
    let next = world.pair.tessera_json(&["key", "rotate"])?;
    let done = world.pair.tessera_json(&["key", "rewrap"])?;
    assert_eq!((done["rewrapped"].as_i64(), done["total"].as_i64()), (Some(4), Some(5)), "{done}");
    assert_ne!(sealed_under(world)?, old);
    assert_eq!(next["kek_id"], done["kek_id"], "the first has sealed what was new already");
    assert_eq!(done["kek_id"], sealed_under(world)?);
    let done = world.pair.tessera_json(&["key", "rewrap"])?;
    assert_eq!((done["rewrapped"].as_i64(), done["total"].as_i64()), (Some(0), Some(5)), "{done}");

    // The old one is gone for good.
    fs::remove_file(at(world, "kek.old"))?;
    configure(world, &[])?;
    restart(world).await?;
    assert!(world.is_active_again(&before).await?);
    let third = refresh(second.refresh()?).await?;
    assert_eq!(refresh(second.refresh()?).await?.refresh()?, third.refresh()?);
    Ok(())
}

/// Without the key-encryption key that something is sealed under, nothing starts, and it is said which file is missing.
#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_key_encryption_key_is_told() -> Result<()> {
    let options = Options { issuer: TOKENS.to_owned(), ..Options::default() };
    let Some(mut world) = tessera_tests::world_with(Backend::Sqlite, options).await? else { return Ok(()) };
    world.pair.issuer.terminate().await?;
    let init = |world: &World| {
        world.pair.tessera(&["init", "--recover", "--config", &configuration(world).display().to_string()])
    };
    fs::rename(at(&world, "kek"), at(&world, "kek.old"))?;
    // Another one is made, which opens nothing.
    let started = async {
        world.pair.issuer.restart().await?;
        world.pair.issuer.ready().await
    };
    assert!(started.await.is_err());
    let said = world.pair.issuer.said()?;
    assert!(said.contains("[secrets] kek_file and old_kek_files; give the file it was sealed with"), "{said}");
    configure(&world, &["kek.lost"])?;
    let output = init(&world)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("kek.lost: restore the file"), "{said}");
    configure(&world, &["kek.old"])?;
    world.pair.issuer.restart().await?;
    world.pair.issuer.ready().await?;
    world.token().await?;
    Ok(())
}
