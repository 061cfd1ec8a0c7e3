//! The two ways in which a PrestaShop takes our token, as `tests/python/prestashop.py` has them: written with other libraries than ours,
//! by what the shop's code does, with no leeway at all.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tessera_testkit::process::clean_command;
use tessera_tests::{World, tool};
use tokio::io::AsyncWriteExt as _;

use crate::answers::{access, text};
use crate::cast::{PASSWORD, PRESTASHOP_SECRET, Seeds, System, seeds};

/// The ways.
const WAYS: [&str; 2] = ["internal", "external"];

/// What the shop that is configured with our issuer makes of a token.
async fn asked(python: &Path, way: &str, issuer: &str, world: &World, token: &str) -> Result<Value> {
    let jwks = format!("{}/oauth2/jwks", world.pair.ports.issuer_url());
    let question = json!({"way": way, "issuer": issuer, "jwks_uri": jwks, "token": token});
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/prestashop.py");
    let mut command = clean_command(python);
    // It must leave nothing in the source tree.
    command.arg(program).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let mut input = child.stdin.take().context("its input was asked for")?;
    input.write_all(question.to_string().as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// As [`asked`], by a shop that is configured with this issuer.
async fn oracle(python: &Path, way: &str, world: &World, token: &str) -> Result<Value> {
    asked(python, way, &world.pair.ports.issuer_url(), world, token).await
}

/// A machine's token of PrestaShop's endpoint, a person's of Shopware's, and a machine's of Oro's; each with its client and scopes.
async fn legacy_tokens(seeds: &Seeds) -> Result<Vec<(String, &str, Vec<&'static str>)>> {
    let shop = [
        ("grant_type", "client_credentials"),
        ("client_id", "your_client_id"),
        ("client_secret", PRESTASHOP_SECRET),
        ("scope", "api_client_read customer_group_read"),
    ];
    let person = [
        ("grant_type", "password"),
        ("client_id", "administration"),
        ("username", "admin"),
        ("password", PASSWORD),
        ("scopes", "write"),
    ];
    let machine = &seeds.machine;
    let oro = [("grant_type", "client_credentials"), ("client_id", &*machine.id), ("client_secret", &*machine.secret)];
    let (shop, person, oro) = (
        access(&seeds.ask(System::PrestaShop, &shop).await?)?,
        access(&seeds.ask(System::Shopware, &person).await?)?,
        access(&seeds.ask(System::Oro, &oro).await?)?,
    );
    Ok(vec![
        (shop, "your_client_id", vec!["is_authenticated", "api_client_read", "customer_group_read"]),
        (person, "administration", vec!["write"]),
        (oro, &machine.id, vec![]),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prestashop_takes_our_tokens_in_both_ways_the_moment_they_are_made() -> Result<()> {
    let Some(python) = tool("TEST_TESSERA_PYTHON")? else { return Ok(()) };
    let seeds = seeds().await?;
    for (token, client, scopes) in legacy_tokens(seeds).await? {
        for way in WAYS {
            let said = oracle(&python, way, &seeds.world, &token).await?;
            assert_eq!(said, json!({"accepted": true, "client": client, "scopes": scopes}), "{way}");
        }
    }
    Ok(())
}

/// An oracle that takes everything would show nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_prestashop_refuses_what_is_not_for_it() -> Result<()> {
    let Some(python) = tool("TEST_TESSERA_PYTHON")? else { return Ok(()) };
    let seeds = seeds().await?;
    let world = &seeds.world;
    let (token, ..) = legacy_tokens(seeds).await?.swap_remove(0);
    let (head, signature) = token.rsplit_once('.').context("a JWT")?;
    let reversed: String = signature.chars().rev().collect();
    let altered = format!("{head}.{reversed}");
    for way in WAYS {
        let said = oracle(&python, way, world, &altered).await?;
        assert_eq!((&said["accepted"], text(&said, "why")?.as_str()), (&json!(false), "signature"), "{way}");
    }
    let said = asked(&python, "external", "https://another.example", world, &token).await?;
    assert_eq!((&said["accepted"], text(&said, "why")?.as_str()), (&json!(false), "iss"));
    let modern = world.token().await?;
    let said = oracle(&python, "internal", world, &modern).await?;
    assert_eq!((&said["accepted"], text(&said, "why")?.as_str()), (&json!(false), "scopes"), "the RFC's claims");
    Ok(())
}
