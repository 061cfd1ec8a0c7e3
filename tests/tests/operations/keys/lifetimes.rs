//! A key is accepted for a while after it has signed last, and no token is to live longer.

use std::fs;

use anyhow::Result;
use tessera_testkit::pair::Backend;
use tessera_tests::{eventually, world_with};

use super::{lasting, refused};

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_longer_than_keys_are_accepted_are_told_and_refused() -> Result<()> {
    let Some(mut world) = world_with(Backend::Sqlite, lasting("retire_after = \"25h\"")).await? else { return Ok(()) };
    let long = ["--grant", "client_credentials", "--scope", "orders:read", "--lifetime", "24h"];
    let batch = tessera_tests::create_client(&world.pair, "batch", &long)?;

    let file = world.pair.folder().join("tessera-issuer.toml");
    let configure =
        |from: &str, to: &str| Ok::<_, anyhow::Error>(fs::write(&file, fs::read_to_string(&file)?.replace(from, to))?);
    configure("\"25h\"", "\"2h\"")?;
    world.pair.issuer.terminate().await?;
    world.pair.issuer.restart().await?;
    world.pair.issuer.ready().await?;
    eventually("a warning names the client", async || {
        let said = world.pair.issuer.said()?;
        Ok(said
            .lines()
            .any(|line| line.contains("live shorter than they are set to") && line.contains("batch"))
            .then_some(()))
    })
    .await?;
    let answer = world.token_with(&batch, "orders:read", "demo-resource").await?;
    assert_eq!(answer.json()?["expires_in"], 7200, "what its client is told holds");
    let create = [&["client", "create", "--name", "more"][..], &long].concat();
    assert_eq!(refused(&world, &create)?, (2, "LIFETIME_OUTLIVES_KEYS".to_owned()));
    let update = ["client", "update", "batch", "--lifetime", "3h"];
    assert_eq!(refused(&world, &update)?, (2, "LIFETIME_OUTLIVES_KEYS".to_owned()));
    world.pair.tessera_json(&["client", "update", "batch", "--lifetime", "2h"])?;

    // The lifetime of all others is known to the configuration.
    configure("\"2h\"", "\"59m\"")?;
    let output = world.pair.tessera(&["config", "check", "--config", &file.display().to_string()])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("keys.retire_after") && said.contains("no token lives longer than its key"), "{said}");
    Ok(())
}
