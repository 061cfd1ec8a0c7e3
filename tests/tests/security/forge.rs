//! Tokens signed with the issuer's own key: with any other, a signature would be what gets them refused.

use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tessera_keys::{Kek, SigningKey, jws};
use tessera_store::{Database, DatabaseOptions};
use tessera_tests::World;

/// The members of a header or of claims.
pub(crate) type Members = Map<String, Value>;

/// What a forger would have who stole everything: the key, and a good token to imitate.
pub(crate) struct Forge {
    pub(crate) key: SigningKey,
    pub(crate) header: Members,
    pub(crate) claims: Members,
}

impl Forge {
    /// Steals.
    pub(crate) async fn of(world: &World) -> Result<Self> {
        let token = world.token().await?;
        let (header, claims) = (part(&token, 0)?, part(&token, 1)?);
        let key = signing_key(world, header["kid"].as_str().context("a key id")?).await?;
        let forge = Self { key, header, claims };
        let copied = forge.claims(|_| {});
        anyhow::ensure!(world.everybody_says_active(&copied).await?, "an unchanged copy is active");
        Ok(forge)
    }

    /// A token with changed claims.
    pub(crate) fn claims(&self, change: impl FnOnce(&mut Members)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.sign(&text(&self.header), &text(&claims))
    }

    /// A token with one claim replaced.
    pub(crate) fn claim(&self, name: &str, value: impl Into<Value>) -> String {
        self.claims(|claims| {
            claims.insert(name.to_owned(), value.into());
        })
    }

    /// A token with a changed header.
    pub(crate) fn header(&self, change: impl FnOnce(&mut Members)) -> String {
        let mut header = self.header.clone();
        change(&mut header);
        self.sign(&text(&header), &text(&self.claims))
    }

    /// A token of these very texts.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        jws::sign_compact(header, claims, &self.key).expect("the key signs")
    }
}

/// A part of a token, decoded.
pub(crate) fn part(token: &str, index: usize) -> Result<Members> {
    let part = token.split('.').nth(index).context("three parts")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

/// Members as JSON.
pub(crate) fn text(members: &Members) -> String {
    Value::Object(members.clone()).to_string()
}

/// Where a world of this test keeps its data.
fn data(world: &World) -> std::path::PathBuf {
    world.pair.folder().join("data")
}

/// Opens the issuer's database beside it.
pub(crate) async fn database(world: &World) -> Result<Database> {
    let url = format!("sqlite://{}", data(world).join("tessera.db").display());
    Ok(Database::connect(&DatabaseOptions::new(url)).await?)
}

async fn signing_key(world: &World, key: &str) -> Result<SigningKey> {
    let kek = Kek::read_file(Path::new(&data(world)).join("kek").as_path())?;
    let database = database(world).await?;
    let record = database.keys().find(&key.parse()?).await?.context("the token's key is in the database")?;
    database.close().await;
    Ok(SigningKey::unseal(record.algorithm, &record.key, &kek.into(), &record.sealed_private)?)
}
