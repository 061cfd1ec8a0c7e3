//! What people have and type, in every way there is: at the pages, through a front end, and by their clients.

use anyhow::{Context as _, Result, ensure};
use tessera_api::admin::v1 as admin;
use tessera_api::admin::v1::password::Value;
use tessera_api::oauth::v1::decide_authorization_request::User;
use tessera_tests::doors::{BOTH, Grant, Tokens};
use tessera_tests::people::{CHALLENGE, PASSWORD, People, REDIRECT, VERIFIER, asked, code_in, plain, redemption};
use tessera_tests::person::{Person, authorization_url};
use tessera_tests::refusal::CANARY;
use tessera_tests::{Client, as_bearer, post};

use super::Canaries;

/// A hash from another system.
const IMPORTED: &str = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

impl Canaries {
    /// An opaque token, and its beginning: half a log line is a leak too.
    fn opaque(&mut self, what: &'static str, text: &str) {
        self.add(what, &text[..text.len().min(30)]);
        self.add(what, &text[text.len().saturating_sub(20)..]);
    }

    fn tokens(&mut self, tokens: &Tokens) -> Result<()> {
        self.token("a person's token", &tokens.access);
        // One begins as its predecessors do, with its grant: the log may name that.
        let refresh = tokens.refresh()?;
        self.add("a refresh token", &refresh[refresh.len() - 40..]);
        Ok(())
    }

    fn cookies(&mut self, browser: &mut Person) -> Result<()> {
        ensure!(!browser.cookies().is_empty(), "no cookie");
        for value in browser.cookies().values() {
            self.opaque("a cookie", value);
        }
        Ok(())
    }
}

fn authorize(state: &str) -> String {
    let parameters = [
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("state", state),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    authorization_url("/oauth2/authorize", &parameters)
}

/// Everything that people can do.
pub(super) async fn succeed(people: &People, canaries: &mut Canaries) -> Result<()> {
    canaries.client("a client's secret", &people.app);
    canaries.token("a front end's token", &people.front);
    canaries.add("a password", PASSWORD);
    canaries.add("a verifier", VERIFIER);
    let at = people.at();
    for door in BOTH {
        let mut browser = Person::new(at.http);
        browser.open("/login").await?;
        canaries.cookies(&mut browser)?;
        let code = code_in(&browser.authorize(&authorize(CANARY), &people.ada.name, PASSWORD, true).await?)?;
        canaries.cookies(&mut browser)?;
        canaries.opaque("a code", &code);
        browser.open("/account").await?.page()?;

        let session = people.sign_in(&people.ada.email, PASSWORD).await?;
        canaries.opaque("a session", &session);
        let request = people.request(asked(&people.app, "")).await?;
        let second = code_in(&people.decide(&request, User::SessionToken(session)).await?)?;
        canaries.opaque("a code", &second);

        for grant in [redemption(&code), redemption(&second), Grant::Password(&people.ada.name, PASSWORD)] {
            let first = at.issue(door, &people.app, grant).await?;
            let next = at.issue(door, &people.app, Grant::Refresh(first.refresh()?)).await?;
            ensure!(people.world.everybody_says_active(&next.access).await?);
            ensure!(!people.world.everybody_says_active(next.refresh()?).await?);
            at.revoke(door, &people.app, next.refresh()?, "refresh_token").await?;
            canaries.tokens(&first)?;
            canaries.tokens(&next)?;
        }
        // Used twice.
        at.refuses(&people.app, redemption(&code), "", "invalid_grant").await?;
    }
    own(people, canaries).await?;
    import(people, canaries).await
}

/// The secrets of an application that its owner makes and renews: pages show them this once.
async fn own(people: &People, canaries: &mut Canaries) -> Result<()> {
    let (world, at) = (&people.world, people.at().http);
    world.pair.tessera_json(&["org", "create", "Own"])?;
    world.pair.tessera_json(&["org", "member", "add", "Own", &people.ada.name])?;
    let mut browser = Person::new(at);
    browser.open("/login").await?;
    browser.login(&people.ada.name, PASSWORD).await?;
    browser.open("/account/applications/new").await?;
    let page = browser.page()?.answer.body.clone();
    let organization = between(&page, "<option value=\"org_", "\"").context("an organization to choose")?;
    let organization = format!("org_{organization}");
    let fields = [("name", "Own"), ("kind", "service"), ("organization", &*organization), ("enabled", "yes")];
    browser.submit("/account/applications/new", &fields).await?;
    let made = shown(&browser)?;
    browser.open(&format!("/account/applications/application?client_id={}", made.id)).await?;
    browser.submit("/account/applications/secret", &[]).await?;
    for client in [made, shown(&browser)?] {
        canaries.client("an owner's secret", &client);
        let answer = post(at, "/oauth2/token", Some(&client), &[("grant_type", "client_credentials")]).await?;
        canaries.token("a token of an owner's", answer.json()?["access_token"].as_str().context("a token")?);
        browser.open(&format!("/account/applications?name={}", client.secret)).await?;
    }
    canaries.cookies(&mut browser)
}

/// What stands between two texts, the first time.
fn between<'a>(body: &'a str, before: &str, after: &str) -> Option<&'a str> {
    body.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(text, _)| text)
}

/// The credentials on the page that shows them this once.
fn shown(browser: &Person) -> Result<Client> {
    let body = &browser.page()?.answer.body;
    let part = |id: &str| between(body, &format!("<code id=\"{id}\">"), "<").map(str::to_owned);
    let (id, secret) = part("client-id").zip(part("client-secret")).with_context(|| body.clone())?;
    ensure!(secret.starts_with("tsk_"), "no secret");
    Ok(Client { id, secret })
}

/// Passwords that administrators set.
async fn import(people: &People, canaries: &mut Canaries) -> Result<()> {
    let (grace, password) = (people.person("grace").await?, format!("chosen {CANARY}"));
    let file = people.world.pair.folder().join("password");
    std::fs::write(&file, &password)?;
    let file = file.display().to_string();
    people.world.pair.tessera_json(&["user", "password", "grace", "--password-file", &file, "--yes"])?;
    people.world.pair.tessera_json(&["user", "create", "--username", "hopper", "--password-file", &file])?;
    people.at().issue(BOTH[0], &people.app, Grant::Password(&grace.name, &password)).await?;
    canaries.add("an imported hash", IMPORTED);
    let user = admin::User { username: "imported".to_owned(), ..admin::User::default() };
    let hash = |text: &str| admin::Password { value: Some(Value::Hash(text.to_owned())) };
    for (password, fine) in [(hash(IMPORTED), true), (hash(CANARY), false), (plain("short"), false)] {
        let request = admin::CreateUserRequest { user: Some(user.clone()), password: Some(password) };
        let created = people.users().await?.create_user(as_bearer(&people.admin, request)?).await;
        ensure!(created.is_ok() == fine, "{created:?}");
    }
    Ok(())
}

/// What is refused, with a canary wherever one can stand; also where somebody takes one field for another.
pub(super) async fn fail(people: &People, canaries: &mut Canaries) -> Result<()> {
    let (at, app) = (people.at(), &people.app);
    let wrong = format!("wrong {CANARY}");
    for (username, password) in [(&*people.ada.name, &*wrong), (CANARY, PASSWORD), (PASSWORD, CANARY)] {
        at.refuses(app, Grant::Password(username, password), "", "invalid_grant").await?;
        people.sign_in(username, password).await.expect_err("refused");
        let mut browser = Person::new(at.http);
        browser.open("/login").await?;
        browser.login(username, password).await?.page()?;
        ensure!(browser.sees("/login"), "signed in: {:?}", browser.page()?);
        canaries.cookies(&mut browser)?;
    }
    let code = people.code(app, &people.ada, "").await?;
    canaries.opaque("a code", &code);
    let verifier = CANARY.repeat(4);
    for grant in [
        Grant::Refresh(CANARY),
        Grant::Code { code: CANARY, redirect: CANARY, verifier: CANARY },
        Grant::Code { code: &code, redirect: CANARY, verifier: VERIFIER },
        Grant::Code { code: &code, redirect: REDIRECT, verifier: &verifier },
    ] {
        at.refuses(app, grant, "", "invalid_grant").await?;
    }
    at.issue(BOTH[0], app, redemption(&code)).await.context("the code is good")?;
    for path in ["/oauth2/authorize", "/login", "/consent", "/account"] {
        let mut browser = Person::new(at.http);
        browser.cookies().insert("tessera_session".to_owned(), CANARY.to_owned());
        let parameters = ["client_id", "state", "code_challenge", "request", "lang", "code", "password"];
        let query: Vec<String> = parameters.iter().map(|name| format!("{name}={CANARY}")).collect();
        browser.open(&format!("{path}?{}", query.join("&"))).await?;
    }
    reuse(people, canaries).await
}

/// A spent refresh token comes again.
async fn reuse(people: &People, canaries: &mut Canaries) -> Result<()> {
    let (at, tokens) = (people.at(), people.by_code().await?);
    let next = at.issue(BOTH[0], &people.app, Grant::Refresh(tokens.refresh()?)).await?;
    at.refuses(&people.app, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
    canaries.tokens(&tokens)?;
    canaries.tokens(&next)
}
