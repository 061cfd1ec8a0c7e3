//! One key follows another by itself, and nobody who keeps the key set for a while is surprised.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rstest::rstest;
use tessera_testkit::pair::Backend;
use tessera_tests::{World, eventually, world_with};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{in_state, kid, options, published};

/// How long a verifier keeps the key set: what its `Cache-Control` allows.
const KEEP: Duration = Duration::from_secs(2);

/// How many verifiers there are.
const VERIFIERS: usize = 4;

/// How many keys must have signed.
const KEYS: usize = 3;

/// A resource server that fetches the keys every now and then, and gets tokens meanwhile. Returns the keys that had signed, and how many
/// tokens it held against keys that it had fetched before. One that it got when its set was over proves nothing.
async fn verifier(world: Arc<World>) -> Result<(BTreeSet<String>, usize)> {
    let (mut signed, mut checked) = (BTreeSet::new(), 0);
    while signed.len() < KEYS {
        let fetched = Instant::now();
        let known = published(&world).await?;
        while fetched.elapsed() < KEEP {
            let token = world.token().await?;
            let kid = kid(&token)?;
            if fetched.elapsed() < KEEP {
                ensure!(
                    known.contains(&kid),
                    "{kid} signed, and the keys of {:?} ago are {known:?}",
                    fetched.elapsed()
                );
                checked += 1;
            }
            ensure!(world.check(&token).await?.active, "a token that was just issued");
            signed.insert(kid);
        }
    }
    Ok((signed, checked))
}

/// Rotation under load: a client refetching the JWKS every few seconds never sees an unknown kid.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn who_refetches_the_keys_never_meets_an_unknown_one(#[case] backend: Backend) -> Result<()> {
    let options = options("publish_for = \"2s\"\nrotate_after = \"5s\"\nretire_after = \"4s\"");
    let Some(world) = world_with(backend, options).await? else { return Ok(()) };
    let world = Arc::new(world);
    let mut verifiers = JoinSet::new();
    for _ in 0..VERIFIERS {
        verifiers.spawn(verifier(Arc::clone(&world)));
    }
    while let Some(done) = verifiers.join_next().await {
        let (signed, checked) = done??;
        assert!(signed.len() >= KEYS && checked >= 10, "{signed:?}, {checked} tokens");
    }
    // What nothing alive is signed with is put away, by itself.
    let retired = eventually("a key is retired", async || Ok(in_state(&world, "retired")?.pop())).await?;
    eventually("it is published no more", async || Ok((!published(&world).await?.contains(&retired)).then_some(())))
        .await?;
    let metrics = world.pair.issuer.metrics().await?;
    for state in ["next", "active", "retiring"] {
        assert!(metrics.contains(&format!("tessera_signing_key_age_seconds{{state=\"{state}\"")), "{state}: {metrics}");
    }
    Ok(())
}

/// Another issuer on the same database signs with what this one's administrator promoted.
#[tokio::test(flavor = "multi_thread")]
async fn every_issuer_follows() -> Result<()> {
    let Some(world) = world_with(Backend::Postgres, super::lasting("publish_for = \"1h\"")).await? else {
        return Ok(());
    };
    let (_other, grpc, _) = world.pair.another_issuer().await?;
    let before = kid(&tessera_tests::token(grpc, &world.service).await?)?;
    assert_eq!(before, kid(&world.token().await?)?, "one key for both");
    world.pair.tessera_json(&["key", "rotate", "--now", "--yes"])?;
    let after = kid(&world.token().await?)?;
    assert_ne!(before, after);
    eventually("the other one signs with it too", async || {
        let token = tessera_tests::token(grpc, &world.service).await?;
        ensure!(world.check(&token).await?.active, "under either key");
        Ok((kid(&token)? == after).then_some(()))
    })
    .await
}
