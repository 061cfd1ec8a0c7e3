//! Consent: asked once for a client and its scopes, remembered, and withdrawn on the account page.

use anyhow::{Result, ensure};
use serde_json::Value;
use tessera_tests::person::Landing;
use tessera_tests::shared::shared;
use tessera_tests::{Answer, World, post};

use tessera_tests::cast::{allowed, application, ask, redeem, redemption, signed_in, text, user};

/// Refreshes as a public client.
async fn refresh(world: &World, client: &str, token: &str) -> Result<Answer> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client)];
    post(world.pair.ports.issuer_http, "/oauth2/token", None, &fields).await
}

/// The same scopes again, or fewer, are not asked; more are, and what was allowed before stays so.
#[tokio::test]
async fn what_was_allowed_is_not_asked_again_and_more_is() -> Result<()> {
    let world = shared().await?;
    for id in ["remembered", "remembered-not"] {
        application(world, id)?;
    }
    user(world, "rememberer")?;
    user(world, "rememberer-2")?;
    let mut person = signed_in(world, "rememberer").await?;
    let turns = [
        ("orders:read", true),
        ("orders:read", false),
        ("orders:write", true),
        ("orders:read orders:write", false),
        ("orders:read", false),
    ];
    for (scope, asked) in turns {
        let landing = person.open(&ask("remembered", &[("scope", scope)])).await?;
        assert_eq!(matches!(landing, Landing::Page(_)), asked, "{scope}: {landing:?}");
        if asked {
            person.allow().await?;
        }
    }
    // What one person allowed one client says nothing of other people and other clients.
    person.open(&ask("remembered-not", &[])).await?;
    assert!(person.sees("/consent"));
    let mut other = signed_in(world, "rememberer-2").await?;
    other.open(&ask("remembered", &[])).await?;
    assert!(other.sees("/consent"));
    // A denial is not remembered.
    let denied = other.deny().await?;
    ensure!(denied.contains("error=access_denied"), "{denied}");
    other.open(&ask("remembered", &[])).await?;
    assert!(other.sees("/consent"));
    Ok(())
}

/// Withdrawn: every token of the grant is dead when the page is back, and so are codes not yet redeemed.
#[tokio::test]
async fn withdrawing_access_ends_every_token_of_the_client_at_once() -> Result<()> {
    let world = shared().await?;
    let app = application(world, "withdrawn")?;
    let kept = application(world, "not-withdrawn")?;
    user(world, "withdrawer")?;
    let mut person = signed_in(world, "withdrawer").await?;
    let mut tokens: Vec<Value> = Vec::new();
    for _ in 0..2 {
        let code = allowed(&mut person, &ask("withdrawn", &[])).await?;
        tokens.push(redeem(world, &app, &code).await?);
    }
    let code = allowed(&mut person, &ask("not-withdrawn", &[])).await?;
    let others = redeem(world, &kept, &code).await?;
    let waiting = allowed(&mut person, &ask("withdrawn", &[])).await?;
    for token in &tokens {
        assert!(world.everybody_says_active(&text(token, "access_token")?).await?);
    }
    let refreshed = refresh(world, "withdrawn", &text(&tokens[0], "refresh_token")?).await?.json()?;
    tokens.push(refreshed);

    person.open("/account").await?;
    ensure!(person.page()?.answer.body.contains("withdrawn"), "the app is listed");
    let form = person.page()?.form("/account/apps/remove")?.with("client_id", "withdrawn");
    person.send(&form, &[]).await?;
    let page = person.page()?;
    assert_eq!(page.url.query(), Some("lang=en&notice=app-removed"));
    assert!(page.answer.body.contains("role=\"status\""), "{}", page.answer.body);
    assert_eq!(page.answer.body.matches("name=\"client_id\"").count(), 1, "the other app stays");

    for token in &tokens {
        assert!(!world.everybody_says_active(&text(token, "access_token")?).await?);
        let answer = refresh(world, "withdrawn", &text(token, "refresh_token")?).await?;
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_grant"), "{answer:?}");
    }
    let answer = redemption(world, &app, &waiting).await?;
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_grant"), "{answer:?}");
    assert!(world.everybody_says_active(&text(&others, "access_token")?).await?);
    // It is asked again, and what it then gets lives.
    person.open(&ask("withdrawn", &[])).await?;
    assert!(person.sees("/consent"));
    let code = allowed(&mut person, &ask("withdrawn", &[])).await?;
    let anew = text(&redeem(world, &app, &code).await?, "access_token")?;
    assert!(world.everybody_says_active(&anew).await?);
    Ok(())
}

/// Withdrawing what is not there, or another's, is no mistake and changes nothing.
#[tokio::test]
async fn withdrawing_what_was_never_given_changes_nothing() -> Result<()> {
    let world = shared().await?;
    let app = application(world, "never-given")?;
    user(world, "giver")?;
    user(world, "taker")?;
    let mut giver = signed_in(world, "giver").await?;
    let code = allowed(&mut giver, &ask("never-given", &[])).await?;
    let token = text(&redeem(world, &app, &code).await?, "access_token")?;
    let mut taker = signed_in(world, "taker").await?;
    let csrf = taker.page()?.form("/logout")?.value("csrf").unwrap_or_default().to_owned();
    for (client, status) in [("never-given", 303), ("unheard-of", 303), ("", 400), ("a b\u{0}", 400)] {
        let fields = [("csrf", &*csrf), ("client_id", client)];
        let answer = tessera_tests::cast::send(world, &mut taker, "/account/apps/remove", &fields).await?;
        assert_eq!(answer.status, status, "{client:?}: {answer:?}");
    }
    assert!(world.everybody_says_active(&token).await?);
    Ok(())
}
