//! Pairs of the operator's own, put into their files beside an issuer that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tessera_keys::SigningKey;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{World, eventually, post, request, world_with};
use tessera_types::Algorithm;

use super::{kid, published, refused, the_one};

/// What everybody is told while the keys are missing (seed 004).
const TOLD: &str = "OAuth authorization is not available as encryption keys configuration was not complete. Please contact your administrator.";

/// Makes a pair, in PEM; its id.
fn make(folder: &Path, name: &str) -> Result<String> {
    let key = SigningKey::generate(Algorithm::EdDsa)?;
    let jwk: Value = serde_json::from_str(&key.public_jwk())?;
    // RFC 8410 section 4: what goes before the 32 bytes.
    let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let public = [&head[..], &URL_SAFE_NO_PAD.decode(jwk["x"].as_str().context("a member")?)?].concat();
    for (half, label, der) in [("key", "PRIVATE KEY", &key.to_pkcs8()?[..]), ("pub", "PUBLIC KEY", &public)] {
        let file = folder.join(format!("{name}.{half}"));
        fs::write(&file, format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    }
    Ok(key.key_id().to_string())
}

/// Puts a pair where the configuration says, as one who thinks of those who read along.
fn put(folder: &Path, name: &str) -> Result<()> {
    for half in ["key", "pub"] {
        let staged = folder.join(format!("staged.{half}"));
        fs::copy(folder.join(format!("{name}.{half}")), &staged)?;
        fs::rename(&staged, folder.join(format!("own.{half}")))?;
    }
    Ok(())
}

async fn signs(world: &World, expected: &str) -> Result<()> {
    eventually("it signs", async || Ok((kid(&world.token().await?)? == expected).then_some(()))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_are_taken_up_exchanged_and_put_back_beside_an_issuer_that_runs() -> Result<()> {
    let keys = "[tokens]\nsigning_alg = \"EdDSA\"\n[keys]\npublish_for = \"1s\"\n";
    let options = Options { issuer: keys.to_owned(), ..Options::default() };
    let Some(mut world) = world_with(Backend::Sqlite, options).await? else { return Ok(()) };
    let folder = world.pair.folder().to_owned();
    let configuration = folder.join("tessera-issuer.toml");
    let (private, public) = (folder.join("own.key"), folder.join("own.pub"));
    let from_files = format!(
        "[keys]\nsource = \"files\"\nprivate_key = \"{}\"\npublic_key = \"{}\"\n",
        private.display(),
        public.display()
    );
    fs::write(&configuration, fs::read_to_string(&configuration)?.replace("[keys]\n", &from_files))?;
    let before = world.token().await?;
    world.pair.issuer.terminate().await?;
    world.pair.issuer.restart().await?;

    let ports = world.pair.ports;
    let grant = [("grant_type", "client_credentials")];
    let missing = post(ports.issuer_http, "/oauth2/token", Some(&world.service), &grant).await?;
    assert_eq!((missing.status, missing.error().as_str()), (503, "temporarily_unavailable"));
    assert_eq!(missing.json()?["error_description"], TOLD);
    ensure!(world.pair.issuer.said()?.contains(TOLD), "the log says so");
    ensure!(request(ports.issuer_ops, "GET", "/readyz", &[], "").await?.status == 503, "nothing signs");

    let (first, second) = (make(&folder, "first")?, make(&folder, "second")?);
    put(&folder, "first")?;
    world.pair.issuer.ready().await?;
    signs(&world, &first).await?;
    assert_eq!(refused(&world, &["key", "rotate"])?, (5, "KEYS_FROM_FILES".to_owned()));
    let active = world.pair.tessera_json(&["key", "list"])?;
    let active = active.as_array().context("a list")?.iter().find(|key| key["state"] == "active").cloned();
    ensure!(active.context("one signs")?["change_time"].is_null(), "nothing rotates by age");

    put(&folder, "second")?;
    signs(&world, &second).await?;
    put(&folder, "first")?;
    signs(&world, &first).await?;
    assert_eq!(the_one(&world, "active")?, first);
    ensure!(published(&world).await?.contains(&second), "its tokens are good");
    ensure!(world.is_active_again(&before).await?, "as are those of the key that was made");
    let promoted = world.pair.tessera_json(&["audit", "list", "--action", "key.promote", "--target", &first])?;
    assert_eq!(promoted.as_array().context("a list")?.len(), 2, "{promoted}");
    Ok(())
}
