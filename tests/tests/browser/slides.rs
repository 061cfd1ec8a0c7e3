//! The slides' authorization URL in a real browser, for a client with a secret, as the slide prints it: approval page, code, token.

use anyhow::{Context as _, Result, ensure};
use tessera_tests::browser::{Browser, Programs};
use tessera_tests::cast::{PASSWORD, text, user};
use tessera_tests::person::{authorization_url, parameter};
use tessera_tests::post;
use tessera_tests::shared::shared;

use crate::application::Application;

#[tokio::test]
async fn the_slides_url_opened_in_a_browser_leads_to_a_page_that_asks_a_code_and_a_token() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let world = shared().await?;
    user(world, "slides-person")?;
    let (app, secret) = Application::with_secret(world, "slides-application").await?;
    let browser = Browser::start(&programs, "fr").await?;
    let redirect_uri = app.redirect_uri();
    let endpoint = format!("{}/oauth2/authorize", world.pair.ports.issuer_url());
    // The slide's parameters in its order: no PKCE.
    let url = authorization_url(
        &endpoint,
        &[
            ("response_type", "code"),
            ("client_id", &app.id),
            ("scope", "orders:read"),
            ("state", "un état & plus"),
            ("redirect_uri", &redirect_uri),
        ],
    );
    browser.open(&url).await?;
    browser.fill("#username", "slides-person").await?;
    browser.fill("#password", PASSWORD).await?;
    browser.follow("button[type=submit]").await?;
    assert_eq!(browser.text("h1").await?, "Autoriser l’accès ?", "the page that asks");
    let (clicked, landed) = tokio::join!(browser.follow("button[value=allow]"), app.back());
    clicked?;
    let landed = landed?;
    assert_eq!(parameter(&landed, "state").as_deref(), Some("un état & plus"), "{landed}");
    ensure!(browser.sees("#back").await?, "the browser is at the application");
    let code = parameter(&landed, "code").context("a code")?;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", &*app.id),
        ("client_secret", &*secret),
        ("code", &*code),
        ("redirect_uri", &*redirect_uri),
    ];
    let answer = post(world.pair.ports.issuer_http, "/oauth2/token", None, &fields).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let body = answer.json()?;
    assert_eq!(body["expires_in"], 3600);
    assert!(world.everybody_says_active(&text(&body, "access_token")?).await?);
    Ok(())
}
