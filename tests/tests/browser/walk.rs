//! A person's way through the pages, from an application and back to it.

use anyhow::{Context as _, Result, ensure};
use tessera_tests::browser::{Browser, Programs};
use tessera_tests::cast::{PASSWORD, VERIFIER, ask, text, user};
use tessera_tests::person::parameter;
use tessera_tests::shared::shared;
use tessera_tests::{World, post};

use crate::application::Application;

/// A person with a browser, and an application of theirs.
struct Walk {
    world: &'static World,
    browser: Browser,
    app: Application,
    username: String,
}

impl Walk {
    /// `None` where there is no browser.
    async fn start(name: &str, languages: &str) -> Result<Option<Self>> {
        let Some(programs) = Programs::find()? else { return Ok(None) };
        let world = shared().await?;
        let username = format!("{name}-person");
        user(world, &username)?;
        let app = Application::start(world, name).await?;
        let browser = Browser::start(&programs, languages).await?;
        Ok(Some(Self { world, browser, app, username }))
    }

    fn at_issuer(&self, path: &str) -> String {
        format!("{}{path}", self.world.pair.ports.issuer_url())
    }

    /// The application opens the browser with a request.
    async fn ask(&self, changes: &[(&str, &str)]) -> Result<()> {
        let redirect_uri = self.app.redirect_uri();
        let changes = [&[("redirect_uri", &*redirect_uri)][..], changes].concat();
        self.browser.open(&self.at_issuer(&ask(&self.app.id, &changes))).await
    }

    async fn sign_in(&self, password: &str) -> Result<()> {
        self.browser.fill("#username", &self.username).await?;
        self.browser.fill("#password", password).await?;
        self.browser.follow("button[type=submit]").await
    }

    /// Clicks, and waits at the application for the browser.
    async fn click_and_land(&self, selector: &str) -> Result<String> {
        let (clicked, landed) = tokio::join!(self.browser.follow(selector), self.app.back());
        clicked?;
        let landed = landed?;
        ensure!(parameter(&landed, "iss") == Some(self.world.pair.ports.issuer_url()), "{landed}");
        Ok(landed)
    }

    /// What the application gets for the code it was brought.
    async fn redeem(&self, landed: &str) -> Result<serde_json::Value> {
        let code = parameter(landed, "code").with_context(|| landed.to_owned())?;
        let redirect_uri = self.app.redirect_uri();
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", &*self.app.id),
            ("code", &*code),
            ("redirect_uri", &*redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        let answer = post(self.world.pair.ports.issuer_http, "/oauth2/token", None, &fields).await?;
        ensure!(answer.status == 200, "{answer:?}");
        answer.json()
    }

    /// Once round: a wrong password, the right one, a denial, a yes, the tokens, and the access taken back.
    async fn all_the_way(&self) -> Result<()> {
        let state = "a b&c=\"<é>";
        self.ask(&[("state", state)]).await?;
        self.sign_in("a wrong password").await?;
        ensure!(self.browser.sees("[role=alert]").await?, "the page says that it did not work");
        self.sign_in(PASSWORD).await?;
        let denied = self.click_and_land("button[value=deny]").await?;
        assert_eq!(parameter(&denied, "error").as_deref(), Some("access_denied"), "{denied}");
        assert_eq!(parameter(&denied, "state").as_deref(), Some(state), "{denied}");
        assert_eq!(parameter(&denied, "code"), None, "{denied}");

        self.ask(&[("state", state)]).await?;
        let landed = self.click_and_land("button[value=allow]").await?;
        assert_eq!(parameter(&landed, "state").as_deref(), Some(state), "{landed}");
        ensure!(self.browser.sees("#back").await?, "the browser shows the application");
        let tokens = self.redeem(&landed).await?;
        let access = text(&tokens, "access_token")?;
        assert!(self.world.everybody_says_active(&access).await?);

        self.browser.open(&self.at_issuer("/account")).await?;
        self.browser.follow("form[action$='/account/apps/remove'] button").await?;
        ensure!(self.browser.sees("[role=status]").await?, "the page says that it is done");
        ensure!(!self.browser.sees("form[action$='/account/apps/remove']").await?, "the app is gone");
        assert!(!self.world.everybody_says_active(&access).await?);
        let refresh = text(&tokens, "refresh_token")?;
        let fields = [("grant_type", "refresh_token"), ("client_id", &*self.app.id), ("refresh_token", &*refresh)];
        let answer = post(self.world.pair.ports.issuer_http, "/oauth2/token", None, &fields).await?;
        assert_eq!(answer.error(), "invalid_grant", "{answer:?}");

        self.browser.follow("form[action$='/logout'] button").await?;
        ensure!(self.browser.sees("#username").await?, "signed out");
        self.ask(&[]).await?;
        ensure!(self.browser.sees("#username").await?, "and asked to sign in again");
        Ok(())
    }
}

#[tokio::test]
async fn a_person_logs_in_allows_lands_at_the_client_and_takes_the_access_back() -> Result<()> {
    let Some(walk) = Walk::start("walk", "en").await? else { return Ok(()) };
    walk.all_the_way().await
}

/// Chromium holds the page's policy against where the answer to its form is sent: a denial goes to another port than a code does.
#[tokio::test]
async fn a_denial_lands_where_the_application_wants_to_be_told_of_errors() -> Result<()> {
    let Some(programs) = Programs::find()? else { return Ok(()) };
    let world = shared().await?;
    user(world, "walk-denying")?;
    let (app, errors) = Application::told_elsewhere(world, "walk-told-elsewhere").await?;
    let browser = Browser::start(&programs, "en").await?;
    let walk = Walk { world, browser, app, username: "walk-denying".to_owned() };
    walk.ask(&[]).await?;
    walk.sign_in(PASSWORD).await?;
    let (clicked, landed) = tokio::join!(walk.browser.follow("button[value=deny]"), errors.visited("/failed"));
    clicked?;
    let landed = landed?;
    assert_eq!(parameter(&landed, "error").as_deref(), Some("access_denied"), "{landed}");
    assert_eq!(parameter(&landed, "state").as_deref(), Some("s1"), "{landed}");
    ensure!(walk.browser.sees("#back").await?, "the browser shows the application: {}", walk.browser.url().await?);
    // A code goes where it always does.
    walk.ask(&[]).await?;
    let landed = walk.click_and_land("button[value=allow]").await?;
    assert!(parameter(&landed, "code").is_some(), "{landed}");
    Ok(())
}

#[tokio::test]
async fn all_of_it_works_without_script() -> Result<()> {
    let Some(walk) = Walk::start("walk-plain", "en").await? else { return Ok(()) };
    walk.browser.without_script().await?;
    walk.browser.open(&walk.at_issuer("/login")).await?;
    assert!(walk.browser.sees("button[data-reveals][hidden]").await?, "no script has run");
    walk.all_the_way().await
}

/// With the keyboard alone, and the button that shows the password, which only script makes appear.
#[tokio::test]
async fn the_keyboard_is_enough_and_a_shown_password_is_hidden_again() -> Result<()> {
    let Some(walk) = Walk::start("walk-keys", "en").await? else { return Ok(()) };
    walk.ask(&[]).await?;
    let kind = async || walk.browser.script("return document.getElementById('password').type", &[]).await;
    walk.browser.click("button[data-reveals]").await?;
    assert_eq!(kind().await?, "text");
    walk.browser.click("button[data-reveals]").await?;
    assert_eq!(kind().await?, "password");
    walk.ask(&[]).await?;
    // The first field has the focus; a tabulator leads to the password, the enter key sends the form.
    let typed = format!("{}\u{e004}{PASSWORD}\u{e007}", walk.username);
    walk.browser.leave(walk.browser.type_keys(&typed)).await?;
    ensure!(walk.browser.sees("button[value=allow]").await?, "{}", walk.browser.url().await?);
    let focused = "return document.activeElement.value || document.activeElement.textContent";
    let mut seen = Vec::new();
    for _ in 0..3 {
        walk.browser.type_keys("\u{e004}").await?;
        seen.push(walk.browser.script(focused, &[]).await?);
    }
    assert_eq!(seen, ["Not you?", "deny", "allow"]);
    let (pressed, landed) = tokio::join!(walk.browser.type_keys("\u{e007}"), walk.app.back());
    pressed?;
    assert!(parameter(&landed?, "code").is_some());
    Ok(())
}

/// French where the application asks for it, and where the browser likes it; a person may choose otherwise on the page.
#[tokio::test]
async fn pages_speak_french_where_the_application_or_the_browser_asks() -> Result<()> {
    for (name, languages, asked) in [("walk-asked", "en-GB", "fr"), ("walk-liked", "fr-FR", "")] {
        let Some(walk) = Walk::start(name, languages).await? else { return Ok(()) };
        walk.ask(&[("ui_locales", asked)]).await?;
        assert_eq!(walk.browser.text("h1").await?, "Connexion", "{name}");
        walk.sign_in(PASSWORD).await?;
        assert_eq!(walk.browser.text("h1").await?, "Autoriser l’accès ?", "{name}");
        walk.browser.follow(".languages a[lang=en]").await?;
        assert_eq!(walk.browser.text("h1").await?, "Allow access?", "{name}");
        let landed = walk.click_and_land("button[value=allow]").await?;
        assert!(parameter(&landed, "code").is_some(), "{landed}");
    }
    Ok(())
}

/// Item 15: a browser carries a fragment along to wherever it is sent, unless that has one of its own; or a form lies between.
#[tokio::test]
async fn a_fragment_of_the_request_never_reaches_the_application() -> Result<()> {
    let Some(walk) = Walk::start("walk-fragment", "en").await? else { return Ok(()) };
    let redirect_uri = walk.app.redirect_uri();
    let url = |scope| walk.at_issuer(&ask(&walk.app.id, &[("redirect_uri", &redirect_uri), ("scope", scope)]));
    let with_fragment = |scope| format!("{}#access_token=evil", url(scope));
    walk.browser.open(&with_fragment("orders:read")).await?;
    walk.sign_in(PASSWORD).await?;
    walk.click_and_land("button[value=allow]").await?;
    assert!(!walk.browser.url().await?.contains('#'), "by a form: {}", walk.browser.url().await?);
    for scope in ["orders:read", "unheard-of"] {
        let url = with_fragment(scope);
        let (opened, landed) = tokio::join!(walk.browser.open(&url), walk.app.back());
        opened?;
        landed?;
        assert!(!walk.browser.url().await?.contains("evil"), "by an address: {}", walk.browser.url().await?);
    }
    Ok(())
}
