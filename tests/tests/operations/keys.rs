//! Signing keys and key-encryption keys.

mod crashes;
mod files;
mod keks;
mod lifetimes;
mod rotation;
mod states;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tessera_testkit::pair::Options;
use tessera_tests::{World, request};

/// The smallest key to make; and lines of `[keys]`.
fn options(keys: &str) -> Options {
    let issuer = format!("[tokens]\nsigning_alg = \"EdDSA\"\naccess_ttl = \"2s\"\n[keys]\n{keys}\n");
    Options { issuer, ..Options::default() }
}

/// As [`options`], with tokens that live for longer than a test.
fn lasting(keys: &str) -> Options {
    Options { issuer: options(keys).issuer.replace("2s", "1h"), ..Options::default() }
}

/// The key that a token says it is signed with.
fn kid(token: &str) -> Result<String> {
    let header = token.split('.').next().context("no header")?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
    Ok(header["kid"].as_str().context("no kid")?.to_owned())
}

/// The ids that verifiers are told of.
async fn published(world: &World) -> Result<Vec<String>> {
    let answer = request(world.pair.ports.issuer_http, "GET", "/oauth2/jwks", &[], "").await?;
    let keys = answer.json()?;
    let keys = keys["keys"].as_array().context("no keys")?;
    Ok(keys.iter().filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect())
}

/// The ids of the keys in a state.
fn in_state(world: &World, state: &str) -> Result<Vec<String>> {
    let keys = world.pair.tessera_json(&["key", "list"])?;
    let keys = keys.as_array().context("no list")?;
    let keys = keys.iter().filter(|key| key["state"] == state);
    Ok(keys.filter_map(|key| key["key_id"].as_str().map(str::to_owned)).collect())
}

/// The one key in a state.
fn the_one(world: &World, state: &str) -> Result<String> {
    let mut keys = in_state(world, state)?;
    anyhow::ensure!(keys.len() == 1, "{state}: {keys:?}");
    keys.pop().context("none")
}

/// What a command that is refused says: its exit code and the reason.
fn refused(world: &World, arguments: &[&str]) -> Result<(i32, String)> {
    let output = world.pair.tessera(&[arguments, &["-o", "json"]].concat())?;
    let code = output.status.code().context("killed")?;
    let problem: Value = serde_json::from_slice(&output.stderr)
        .with_context(|| format!("{arguments:?}: {code} {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((code, problem["reason"].as_str().unwrap_or_default().to_owned()))
}
