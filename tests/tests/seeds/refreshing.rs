//! Refresh tokens as the shops' clients know them: no wider, no second time, and off where the operator says so.

use anyhow::{Context as _, Result};
use rstest::rstest;
use serde_json::Value;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{Answer, world_with};

use crate::answers::{Told, assert_told, scopes, text, tokens};
use crate::cast::{PASSWORD, Seeds, System, client, post_form, seeds, user};

/// Who refreshes at a system.
fn first_party(seeds: &Seeds, system: System) -> Vec<(&str, &str)> {
    match system {
        System::Oro => vec![("client_id", &seeds.front.id), ("client_secret", &seeds.front.secret)],
        _ => vec![("client_id", "administration")],
    }
}

async fn login(seeds: &Seeds, system: System, username: &str, scopes: &str) -> Result<Value> {
    let person = [("grant_type", "password"), ("username", username), ("password", PASSWORD), ("scopes", scopes)];
    tokens(&seeds.ask(system, &[&person[..], &first_party(seeds, system)].concat()).await?)
}

async fn refresh(seeds: &Seeds, system: System, token: &str, scopes: &str) -> Result<Answer> {
    let asked = [("grant_type", "refresh_token"), ("refresh_token", token), ("scopes", scopes)];
    seeds.ask(system, &[&asked[..], &first_party(seeds, system)].concat()).await
}

#[rstest]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_gives_fewer_scopes_or_the_same_and_never_others(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let first = login(seeds, system, "admin", "write read").await?;
    let token = text(&first, "refresh_token")?;
    let narrowed = tokens(&refresh(seeds, system, &token, "read").await?)?;
    assert_eq!(scopes(&text(&narrowed, "access_token")?)?, ["read"]);
    let same = tokens(&refresh(seeds, system, &text(&narrowed, "refresh_token")?, "").await?)?;
    assert_eq!(scopes(&text(&same, "access_token")?)?, ["write", "read"], "what was granted first");
    let small = login(seeds, system, "admin", "read").await?;
    let wider = refresh(seeds, system, &text(&small, "refresh_token")?, "write").await?;
    assert_told(&wider, system, &Told::scope("write"), "the client's, and not granted");
    let still = refresh(seeds, system, &text(&small, "refresh_token")?, "read").await?;
    assert_eq!(still.status, 200, "a refused refresh spends nothing: {still:?}");
    Ok(())
}

/// No grace: the second use kills the family at once, wherever its tokens are asked about.
#[rstest]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_used_twice_ends_everything_that_came_of_it(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let first = login(seeds, system, "admin", "").await?;
    let other = login(seeds, system, "admin", "").await?;
    let spent = text(&first, "refresh_token")?;
    let second = tokens(&refresh(seeds, system, &spent, "").await?)?;
    let access = text(&second, "access_token")?;
    assert!(seeds.is_active(&access).await?);
    let told = Told::refresh("Token has been revoked");
    assert_told(&refresh(seeds, system, &spent, "").await?, system, &told, "at once");
    assert!(!seeds.world.check(&access).await?.active, "dead at the introspector");
    assert!(!seeds.is_active(&text(&first, "access_token")?).await?);
    let successor = refresh(seeds, system, &text(&second, "refresh_token")?, "").await?;
    assert_told(&successor, system, &told, "the successor");
    assert!(seeds.is_active(&text(&other, "access_token")?).await?, "another login stands");
    Ok(())
}

/// Oro retires both tokens at a refresh, Shopware the refresh token alone.
#[rstest]
#[case::shopware(System::Shopware, true)]
#[case::oro(System::Oro, false)]
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_ends_the_access_token_before_it_at_oro_alone(
    #[case] system: System,
    #[case] lives_on: bool,
) -> Result<()> {
    let seeds = seeds().await?;
    let mut so_far = vec![login(seeds, system, "admin", "").await?];
    for _ in 0..3 {
        let last = so_far.last().context("one at least")?;
        let next = tokens(&refresh(seeds, system, &text(last, "refresh_token")?, "").await?)?;
        assert_eq!(seeds.is_active(&text(last, "access_token")?).await?, lives_on, "once the refresh has returned");
        assert!(seeds.is_active(&text(&next, "access_token")?).await?);
        so_far.push(next);
    }
    Ok(())
}

/// Seed 004 knows an application with the password grant, and its answer has a refresh token; so has seed 002's. At these paths the one
/// brings the other with it, and at the RFC's it does not.
#[rstest]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn the_password_grant_brings_the_refresh_token_with_it(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let id = format!("password-alone-{system:?}").to_lowercase();
    let alone = client(seeds.pair(), &id, &["--grant", "password", "--scope", "read"])?;
    let own = [("client_id", &*alone.id), ("client_secret", &*alone.secret)];
    let person = [&[("grant_type", "password"), ("username", "admin"), ("password", PASSWORD)], &own[..]].concat();
    let first = tokens(&seeds.ask(system, &person).await?)?;
    let token = text(&first, "refresh_token")?;
    let refresh = |token| [&[("grant_type", "refresh_token"), ("refresh_token", token)], &own[..]].concat();
    let elsewhere = post_form(&seeds.world, "/oauth2/token", &refresh(&token)).await?;
    assert_eq!((elsewhere.status, elsewhere.error().as_str()), (400, "unauthorized_client"), "{elsewhere:?}");
    let second = tokens(&seeds.ask(system, &refresh(&token)).await?)?;
    assert!(seeds.is_active(&text(&second, "access_token")?).await?);
    text(&second, "refresh_token")?;
    let elsewhere = post_form(&seeds.world, "/oauth2/token", &person).await?.json()?;
    assert_eq!(elsewhere.get("refresh_token"), None, "{elsewhere}");
    // Nor does any other grant bring it.
    let machine = [("client_id", &*seeds.machine.id), ("client_secret", &*seeds.machine.secret)];
    let asked = [&[("grant_type", "refresh_token"), ("refresh_token", &*token)], &machine[..]].concat();
    assert_told(&seeds.ask(system, &asked).await?, system, &Told::client(), "of a machine");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_ends_older_tokens() -> Result<()> {
    let seeds = seeds().await?;
    user(seeds.pair(), "changing", PASSWORD)?;
    let old = login(seeds, System::Shopware, "changing", "write").await?;
    assert!(seeds.is_active(&text(&old, "access_token")?).await?);
    let file = crate::cast::private(seeds.pair(), "changed.password", "another password")?;
    seeds.tessera(&["user", "password", "changing", "--password-file", &file, "--yes"])?;
    assert!(!seeds.is_active(&text(&old, "access_token")?).await?);
    let refreshed = refresh(seeds, System::Shopware, &text(&old, "refresh_token")?, "").await?;
    assert_told(&refreshed, System::Shopware, &Told::refresh("Token has been revoked"), "the refresh token");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_refresh_is_off_there_is_no_refresh_token_and_the_grant_is_unsupported() -> Result<()> {
    let issuer = "[tokens]\npassword_grant = true\n[dialects.oro]\nrefresh = false\n".to_owned();
    let options = Options { issuer, ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let front = client(&world.pair, "front", &["--grant", "password", "refresh_token"])?;
    user(&world.pair, "admin", PASSWORD)?;
    let own = [("client_id", front.id.as_str()), ("client_secret", &front.secret)];
    let person = [("grant_type", "password"), ("username", "admin"), ("password", PASSWORD)];
    let answer = post_form(&world, System::Oro.path(), &[&person[..], &own].concat()).await?;
    assert!(tokens(&answer)?.get("refresh_token").is_none(), "{answer:?}");
    // One that was given out elsewhere is no better here.
    let elsewhere = post_form(&world, "/oauth2/token", &[&person[..], &own].concat()).await?;
    let token = text(&elsewhere.json()?, "refresh_token")?;
    for token in [token.as_str(), "anything"] {
        let asked = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let answer = post_form(&world, System::Oro.path(), &[&asked[..], &own].concat()).await?;
        assert_told(&answer, System::Oro, &Told::grant_type(), token);
    }
    Ok(())
}
