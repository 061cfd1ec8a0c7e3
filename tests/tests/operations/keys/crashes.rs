//! Two who promote at once, and an issuer that is killed while it does.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_api::admin::v1 as api;
use tessera_api::admin::v1::key_service_client::KeyServiceClient;
use tessera_testkit::pair::Backend;
use tessera_tests::{World, as_bearer, channel, reason, world_with};
use tonic::Status;

use super::{kid, lasting, the_one};

async fn promote(world: &World, admin: &str, key_id: String) -> Result<Result<(), Status>> {
    let mut service = KeyServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let request = as_bearer(admin, api::PromoteKeyRequest { key_id, now: true })?;
    Ok(service.promote_key(request).await.map(drop))
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_promote_at_once_one_key_signs(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world_with(backend, lasting("publish_for = \"1h\"")).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    for _ in 0..5 {
        world.pair.tessera_json(&["key", "rotate"])?;
        // Whichever is named none: the later of the two finds nothing that waits, or that its key signs already.
        let at_once = tokio::join!(
            promote(&world, &admin, String::new()),
            promote(&world, &admin, String::new()),
            promote(&world, &admin, String::new()),
        );
        let outcomes = [at_once.0?, at_once.1?, at_once.2?];
        ensure!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
        for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(["NO_NEXT_KEY", "CHANGED_MEANWHILE"].contains(&reason(lost).as_str()), "{lost:?}");
        }
        let active = the_one(&world, "active")?;
        assert_eq!(kid(&world.token().await?)?, active);
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_killed_while_it_promotes_comes_back_with_one_key_that_signs(#[case] backend: Backend) -> Result<()> {
    let Some(mut world) = world_with(backend, lasting("publish_for = \"1h\"")).await? else { return Ok(()) };
    let before = world.token().await?;
    for round in 0..4 {
        let next = world.pair.tessera_json(&["key", "rotate"])?;
        let next = next["key_id"].as_str().context("an id")?.to_owned();
        let admin = world.admin_token().await?;
        let mut service = KeyServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
        let request = as_bearer(&admin, api::PromoteKeyRequest { key_id: next.clone(), now: true })?;
        let promoting = tokio::spawn(async move { service.promote_key(request).await });
        // Wherever it has come to by then.
        for _ in 0..round * 20 {
            tokio::task::yield_now().await;
        }
        world.pair.issuer.kill()?;
        let outcome = promoting.await?;
        world.pair.issuer.restart().await?;
        world.pair.issuer.ready().await?;
        let active = the_one(&world, "active")?;
        if outcome.is_ok() {
            assert_eq!(active, next, "what was acknowledged holds");
        }
        let token = world.token().await?;
        assert_eq!(kid(&token)?, active);
        assert!(world.is_active_again(&token).await? && world.is_active(&before).await?);
        world.pair.tessera_json(&["key", "promote", &next, "--now", "--yes"])?;
        assert_eq!(the_one(&world, "active")?, next, "to be repeated is no error");
    }
    Ok(())
}
