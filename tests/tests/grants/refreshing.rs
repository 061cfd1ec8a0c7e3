//! Refreshing: what it gives, to whom, and what a spent token does.

use anyhow::{Context as _, Result};
use rstest::rstest;
use tessera_api::oauth::v1::decide_authorization_request::User;
use tessera_testkit::pair::Backend;
use tessera_tests::create_client;
use tessera_tests::doors::{BOTH, Grant};
use tessera_tests::people::{PASSWORD, REDIRECT, app, asked, code_in, people, redemption, shared_people};

/// Item 26: with no grace left, a spent token kills its family and the access tokens that came of it, and nothing else.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_refresh_token_kills_its_grant_and_no_other(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, "refresh_reuse_grace = \"0s\"").await? else { return Ok(()) };
    let (at, app) = (people.at(), &people.app);
    let other = people.by_password().await?;
    for door in BOTH {
        let first = people.by_code().await?;
        let second = at.issue(door, app, Grant::Refresh(first.refresh()?)).await?;
        let third = at.issue(door, app, Grant::Refresh(second.refresh()?)).await?;
        for tokens in [&first, &second, &third] {
            assert!(people.world.everybody_says_active(&tokens.access).await?, "{door:?}");
        }
        let refusal = at.ask(door, app, Grant::Refresh(first.refresh()?), "").await?.expect_err("spent");
        assert_eq!(refusal.error, "invalid_grant");
        assert!(refusal.reason.is_none_or(|reason| reason == "REFRESH_TOKEN_REUSED"), "{door:?}");
        for tokens in [&first, &second, &third] {
            assert!(!people.world.check(&tokens.access).await?.active, "{door:?}: in the next call");
            assert!(!people.world.everybody_says_active(&tokens.access).await?, "{door:?}");
            at.refuses(app, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
        }
    }
    assert!(people.world.everybody_says_active(&other.access).await?, "another grant");
    at.issue(BOTH[0], app, Grant::Refresh(other.refresh()?)).await?;
    Ok(())
}

/// Item 27: a refresh may give less, for that access token alone, and never more than was granted.
#[tokio::test]
async fn a_refresh_narrows_one_access_token_and_never_widens() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    for door in BOTH {
        let granted = people.by_code().await?;
        assert_eq!(granted.scope, "orders:read orders:write");
        let narrow = at.ask(door, app, Grant::Refresh(granted.refresh()?), "orders:read").await?.expect("less");
        assert_eq!(narrow.scope, "orders:read");
        assert_eq!(people.world.check(&narrow.access).await?.scope, "orders:read");
        let full = at.issue(door, app, Grant::Refresh(narrow.refresh()?)).await?;
        assert_eq!(full.scope, "orders:read orders:write", "{door:?}: all that was granted, the next time");

        let code = people.code(app, &people.ada, "orders:read").await?;
        let little = at.issue(door, app, redemption(&code)).await?;
        assert_eq!(little.scope, "orders:read");
        for wider in ["orders:write", "orders:read orders:write", "tessera.admin", "unheard:of"] {
            at.refuses(app, Grant::Refresh(little.refresh()?), wider, "invalid_scope").await?;
        }
        let same = at.issue(door, app, Grant::Refresh(little.refresh()?)).await?;
        assert_eq!(same.scope, "orders:read", "{door:?}: being refused spends nothing");
    }
    Ok(())
}

/// Items 24 and 26: a public client rotates too, and proves with the code's verifier alone who it is.
#[tokio::test]
async fn a_public_clients_refresh_tokens_rotate() -> Result<()> {
    let people = shared_people().await?;
    let at = people.at();
    let shape = ["--public", "--grant", "authorization_code", "refresh_token", "--scope", "orders:read"];
    let rest = ["--audience", "orders-api", "--redirect-uri", REDIRECT];
    let phone = create_client(&people.world.pair, "phone", &[&shape[..], &rest[..]].concat())?;
    assert_eq!(phone.secret, "", "it has none");
    for door in BOTH {
        let code = people.code(&phone, &people.ada, "").await?;
        let first = at.issue(door, &phone, redemption(&code)).await?;
        let second = at.issue(door, &phone, Grant::Refresh(first.refresh()?)).await?;
        assert_ne!(first.refresh, second.refresh, "{door:?}");
        let again = at.issue(door, &phone, Grant::Refresh(first.refresh()?)).await?;
        assert_eq!(again.refresh, second.refresh, "{door:?}: within the grace");
        assert!(people.world.everybody_says_active(&second.access).await?);
        at.refuses(&people.app, Grant::Refresh(second.refresh()?), "", "invalid_grant").await?;
        let other = people.by_code().await?;
        at.refuses(&phone, Grant::Refresh(other.refresh()?), "", "invalid_grant").await?;
        at.issue(door, &people.app, Grant::Refresh(other.refresh()?)).await?;
    }
    // Its name alone is worth nothing where a secret is needed, and a secret of its own making is none.
    at.refuses(&phone, Grant::ClientCredentials, "", "unauthorized_client").await?;
    let boastful = tessera_tests::Client { secret: "of my own making".to_owned(), ..phone };
    at.refuses(&boastful, Grant::Refresh("anything"), "", "invalid_client").await?;
    Ok(())
}

/// Whoever was not given the grant gets no refresh token with any other, and is told so where it presents one.
#[tokio::test]
async fn a_client_without_the_refresh_grant_gets_no_refresh_token() -> Result<()> {
    let people = shared_people().await?;
    let at = people.at();
    let shape = ["--grant", "password", "authorization_code", "client_credentials", "--scope", "orders:read"];
    let rest = ["--audience", "orders-api", "--redirect-uri", REDIRECT];
    let once = create_client(&people.world.pair, "once", &[&shape[..], &rest[..]].concat())?;
    for door in BOTH {
        let code = people.code(&once, &people.ada, "").await?;
        for grant in [redemption(&code), Grant::Password(&people.ada.name, PASSWORD), Grant::ClientCredentials] {
            let tokens = at.issue(door, &once, grant).await?;
            assert_eq!(tokens.refresh, None, "{grant:?} over {door:?}");
        }
        // Item 28: nor does anybody with client credentials.
        assert_eq!(at.issue(door, &people.app, Grant::ClientCredentials).await?.refresh, None);
    }
    let others = people.by_code().await?;
    at.refuses(&once, Grant::Refresh(others.refresh()?), "", "unauthorized_client").await?;
    at.issue(BOTH[1], &people.app, Grant::Refresh(others.refresh()?)).await?;
    Ok(())
}

/// Zitadel CVE-2026-55672: what was given to one client is nothing to another, for refreshing, redeeming and revoking alike.
#[tokio::test]
async fn codes_and_refresh_tokens_are_bound_to_their_client() -> Result<()> {
    let people = shared_people().await?;
    let (at, thief) = (people.at(), app(&people.world, "cross-client")?);
    let tokens = people.by_code().await?;
    let code = people.code(&people.app, &people.ada, "").await?;
    let refused = at.refuses(&thief, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
    assert_eq!(refused.reason.as_deref(), Some("REFRESH_TOKEN_OF_ANOTHER_CLIENT"));
    let refused = at.refuses(&thief, redemption(&code), "", "invalid_grant").await?;
    assert_eq!(refused.reason.as_deref(), Some("CODE_OF_ANOTHER_CLIENT"));
    for door in BOTH {
        at.revoke(door, &thief, tokens.refresh()?, "refresh_token").await.expect_err("not theirs to revoke");
    }
    let redeemed = at.issue(BOTH[0], &people.app, redemption(&code)).await?;
    // After its redemption just as before: a stranger's replay revokes nothing.
    at.refuses(&thief, redemption(&code), "", "invalid_grant").await?;
    for tokens in [tokens, redeemed] {
        assert!(people.world.everybody_says_active(&tokens.access).await?);
        at.issue(BOTH[1], &people.app, Grant::Refresh(tokens.refresh()?)).await?;
    }
    Ok(())
}

/// Item 30: revoking a refresh token, whatever the hint says, kills the access tokens of its grant, and no other's.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_refresh_token_kills_its_access_tokens(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, "").await? else { return Ok(()) };
    let (at, app) = (people.at(), &people.app);
    let other = people.by_code().await?;
    for door in BOTH {
        for (spent, hint) in [(false, ""), (true, "refresh_token"), (false, "access_token"), (true, "unheard-of")] {
            let first = people.by_code().await?;
            let second = at.issue(door, app, Grant::Refresh(first.refresh()?)).await?;
            let presented = if spent { &first } else { &second };
            at.revoke(door, app, presented.refresh()?, hint).await?;
            for tokens in [&first, &second] {
                assert!(!people.world.check(&tokens.access).await?.active, "{door:?} {hint}: in the next call");
                assert!(!people.world.everybody_says_active(&tokens.access).await?, "{door:?} {hint}");
                at.refuses(app, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
            }
            at.revoke(door, app, presented.refresh()?, hint).await.context("revoking again")?;
        }
    }
    assert!(people.world.everybody_says_active(&other.access).await?, "another grant");
    at.issue(BOTH[0], app, Grant::Refresh(other.refresh()?)).await?;
    Ok(())
}

/// An access token's revocation is its own: the grant goes on.
#[tokio::test]
async fn revoking_an_access_token_leaves_its_grant() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    for (door, hint) in BOTH.into_iter().zip(["refresh_token", ""]) {
        let session = people.sign_in(&people.ada.email, PASSWORD).await?;
        let request = people.request(asked(app, "")).await?;
        let code = code_in(&people.decide(&request, User::SessionToken(session)).await?)?;
        let first = at.issue(door, app, redemption(&code)).await?;
        at.revoke(door, app, &first.access, hint).await?;
        assert!(!people.world.check(&first.access).await?.active, "{door:?}: in the next call");
        let second = at.issue(door, app, Grant::Refresh(first.refresh()?)).await?;
        assert!(people.world.everybody_says_active(&second.access).await?, "{door:?}");
    }
    Ok(())
}
