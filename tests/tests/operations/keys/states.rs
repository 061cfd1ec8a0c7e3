//! What an administrator does with keys, and what it does to tokens.

use anyhow::{Context as _, Result};
use rstest::rstest;
use tessera_testkit::pair::Backend;
use tessera_tests::{request, token, world_with};

use super::{in_state, kid, lasting, published, refused, the_one};

/// Retiring a key makes its tokens inactive in the next call.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn tokens_live_under_a_retiring_key_and_end_with_it(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world_with(backend, lasting("publish_for = \"1h\"")).await? else { return Ok(()) };
    let old = world.token().await?;
    let first = kid(&old)?;
    // Nobody is asked, and there is nobody to ask.
    assert_eq!(refused(&world, &["key", "rotate", "--now"])?, (2, "NOT_CONFIRMED".to_owned()));
    let second = world.pair.tessera_json(&["key", "rotate", "--now", "--yes"])?;
    assert_eq!(second["state"], "active");
    let new = world.token().await?;
    assert_eq!(kid(&new)?, second["key_id"].as_str().context("an id")?);
    assert_eq!(the_one(&world, "retiring")?, first);
    assert!(world.is_active(&old).await? && world.is_active(&new).await?);
    assert!(published(&world).await?.contains(&first), "it is published as long as its tokens are good");

    let signing = the_one(&world, "active")?;
    assert_eq!(refused(&world, &["key", "retire", &signing, "--yes"])?, (5, "KEY_ACTIVE".to_owned()));
    let would = world.pair.tessera_json(&["key", "retire", &first, "--dry-run"])?;
    assert_eq!(would["dry_run"], true);
    assert!(world.is_active(&old).await?, "nothing was done");

    let retired = world.pair.tessera_json(&["key", "retire", &first, "--yes"])?;
    assert_eq!(retired["state"], "retired");
    assert!(!world.check(&old).await?.active, "at the introspector, in the next call");
    assert!(!world.is_active(&old).await?, "at both");
    assert!(world.is_active(&new).await?);
    assert!(!published(&world).await?.contains(&first));
    let (_late, grpc, _) = world.pair.another_introspector().await?;
    assert!(!tessera_tests::check(grpc, &world.resource, &old).await?.active, "at one that comes later");

    // To say it twice is no error; there is no way back.
    world.pair.tessera_json(&["key", "retire", &first, "--yes"])?;
    assert_eq!(refused(&world, &["key", "promote", &first])?, (5, "KEY_RETIRED".to_owned()));
    assert_eq!(refused(&world, &["key", "promote", "nobodys"])?, (4, "KEY_NOT_FOUND".to_owned()));
    assert_eq!(refused(&world, &["key", "retire", "nobodys", "--yes"])?, (4, "KEY_NOT_FOUND".to_owned()));
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_published_before_it_signs(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world_with(backend, lasting("publish_for = \"1h\"")).await? else { return Ok(()) };
    let first = the_one(&world, "active")?;
    assert_eq!(refused(&world, &["key", "promote"])?, (5, "NO_NEXT_KEY".to_owned()));
    let next = world.pair.tessera_json(&["key", "rotate"])?;
    let id = next["key_id"].as_str().context("an id")?.to_owned();
    assert_eq!(next["state"], "next");
    assert!(next["change_time"].is_string(), "when it signs by itself: {next}");
    let known = published(&world).await?;
    assert!(known.contains(&first) && known.contains(&id), "{known:?}");
    assert_eq!(kid(&world.token().await?)?, first, "it does not sign yet");
    assert_eq!(refused(&world, &["key", "promote"])?, (5, "KEY_TOO_YOUNG".to_owned()));
    assert_eq!(refused(&world, &["key", "rotate"])?, (5, "NEXT_KEY_EXISTS".to_owned()));
    world.pair.tessera_json(&["key", "promote", "--now", "--yes"])?;
    assert_eq!(kid(&world.token().await?)?, id);
    // The new one is bad: back, at once, for everybody knows the old one.
    world.pair.tessera_json(&["key", "promote", &first])?;
    assert_eq!(kid(&world.token().await?)?, first);
    assert_eq!(the_one(&world, "retiring")?, id);

    let exported = world.pair.tessera(&["key", "export-jwks"])?;
    let exported: serde_json::Value = serde_json::from_slice(&exported.stdout)?;
    let fetched = request(world.pair.ports.issuer_http, "GET", "/oauth2/jwks", &[], "").await?;
    assert_eq!(exported, fetched.json()?, "the set that is published");
    assert_eq!(fetched.header("cache-control"), Some("public, max-age=60"));
    // One that waits is given up.
    let waiting = world.pair.tessera_json(&["key", "rotate"])?;
    world.pair.tessera_json(&["key", "retire", waiting["key_id"].as_str().context("an id")?, "--yes"])?;
    assert!(in_state(&world, "next")?.is_empty());
    Ok(())
}

/// Whoever may only read changes no key.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_changes_no_key() -> Result<()> {
    use tessera_api::admin::v1 as api;
    use tessera_api::admin::v1::key_service_client::KeyServiceClient;
    let Some(world) = world_with(Backend::Sqlite, lasting("")).await? else { return Ok(()) };
    let url = world.pair.ports.issuer_url();
    let reader = [
        "--grant",
        "client_credentials",
        "--scope",
        "tessera.admin.read",
        "--default-scope",
        "tessera.admin.read",
        "--audience",
        &url,
    ];
    let reader = tessera_tests::create_client(&world.pair, "reader", &reader)?;
    let reader = token(world.pair.ports.issuer_grpc, &reader).await?;
    let mut service = KeyServiceClient::new(tessera_tests::channel(world.pair.ports.issuer_grpc).await?);
    let keys = service.list_keys(tessera_tests::as_bearer(&reader, api::ListKeysRequest::default())?).await?;
    let key_id = keys.into_inner().keys[0].key_id.clone();
    let bearer = |message| tessera_tests::as_bearer(&reader, message);
    let refusals = [
        service.rotate_key(bearer(api::RotateKeyRequest { promote_now: true })?).await.err(),
        service
            .promote_key(tessera_tests::as_bearer(
                &reader,
                api::PromoteKeyRequest { key_id: key_id.clone(), now: true },
            )?)
            .await
            .err(),
        service.retire_key(tessera_tests::as_bearer(&reader, api::RetireKeyRequest { key_id })?).await.err(),
        service.rewrap_keys(tessera_tests::as_bearer(&reader, api::RewrapKeysRequest {})?).await.err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.context("not refused")?.code(), tonic::Code::PermissionDenied);
    }
    Ok(())
}
