//! What is kept of secrets (item 11).

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tessera_tests::shared::shared;
use tessera_tests::{World, create_client};
use tessera_types::SecretHash;

use crate::forge::database;

/// The stored hashes of a client's secrets.
async fn hashes(world: &World, id: &str) -> Result<Vec<SecretHash>> {
    let database = database(world).await?;
    let (_, secrets) = database.clients().find_with_secrets(&id.parse()?).await?.context("a client")?;
    database.close().await;
    Ok(secrets.into_iter().map(|secret| secret.hash).collect())
}

/// Every byte that the issuer has written.
fn written(world: &World) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(world.pair.folder().join("data"))? {
        bytes.extend(std::fs::read(entry?.path())?);
    }
    Ok(bytes)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Item 11: secrets the server makes carry 256 bits and are kept as a fast hash, imported ones as argon2id; none as it is.
#[tokio::test]
async fn secrets_are_strong_and_kept_as_hashes_only() -> Result<()> {
    let world = shared().await?;
    let generated = create_client(&world.pair, "generated", &["--grant", "client_credentials"])?;
    let another = world.pair.tessera_json(&["client", "secret", "rotate", "generated"])?;
    let another = another["client_secret"].as_str().context("a secret")?.to_owned();
    let file = world.pair.folder().join("imported-secret");
    std::fs::write(&file, "imported: chosen by a person")?;
    let imported = ["--grant", "client_credentials", "--secret-file", &file.display().to_string()];
    create_client(&world.pair, "imported", &imported)?;

    assert_ne!(generated.secret, another);
    for secret in [&generated.secret, &another] {
        let random = secret.strip_prefix("tsk_").and_then(|rest| rest.get(..43)).context("tsk_ and 43 characters")?;
        assert_eq!(URL_SAFE_NO_PAD.decode(random)?.len(), 32, "256 bits");
        assert!(secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "URL-safe: {secret}");
    }
    let kept = hashes(world, "generated").await?;
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|hash| matches!(hash, SecretHash::Fast(_))), "{kept:?}");
    let kept = hashes(world, "imported").await?;
    assert!(matches!(&kept[..], [SecretHash::Slow(phc)] if phc.starts_with("$argon2id$")), "{kept:?}");

    let written = written(world)?;
    assert!(contains(&written, "generated"), "the database was read");
    for secret in [&*generated.secret, &*another, "imported: chosen by a person", &*world.pair.administrator_secret()?]
    {
        assert!(!contains(&written, secret), "a secret is written as it is");
        assert!(!contains(&written, &secret[4..24]), "a part of a secret is written as it is");
    }
    for (service, name) in [(&world.pair.issuer, "issuer"), (&world.pair.introspector, "introspector")] {
        assert!(!service.said()?.contains(&generated.secret), "{name}");
    }
    Ok(())
}

/// Item 11: what is shown of secrets later says when they were made, never what they are.
#[tokio::test]
async fn a_secret_is_shown_once() -> Result<()> {
    let world = shared().await?;
    let client = create_client(&world.pair, "shown-once", &["--grant", "client_credentials"])?;
    for arguments in
        [&["client", "get", "shown-once"][..], &["client", "list"], &["client", "secret", "list", "shown-once"]]
    {
        let shown = world.pair.tessera_json(arguments)?.to_string();
        assert!(shown.contains("generated") || shown.contains("shown-once"), "{shown}");
        assert!(!shown.contains(&client.secret) && !shown.contains("client_secret\":\"tsk_"), "{arguments:?}: {shown}");
    }
    Ok(())
}
