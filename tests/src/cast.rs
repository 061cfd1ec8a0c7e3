//! Who takes part in the tests of pages: applications, people, and what both ask.

use crate::person::{Landing, Page, Person, authorization_url, parameter};
use crate::{Answer, Client, FORM, World, create_client, form, post, request};
use anyhow::{Context as _, Result};
use serde_json::Value;

/// What everybody types.
pub const PASSWORD: &str = "analytical engine no. 1";

/// Where answers go. Nobody is there: browsers are only seen to be sent.
pub const REDIRECT_URI: &str = "https://app.example/callback?kept=1";

/// What the answers' place is called in a policy.
pub const ORIGIN: &str = "https://app.example";

/// A verifier, of RFC 7636 appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The challenge.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Parameters that are other than usual.
pub type Changes<'a> = [(&'a str, &'a str)];

/// A public client that people let in.
pub fn application(world: &World, id: &str) -> Result<Client> {
    client(world, id, &["--public"])
}

/// A client that people let in, with more arguments.
pub fn client(world: &World, id: &str, more: &[&str]) -> Result<Client> {
    let usual = ["--grant", "authorization_code", "refresh_token", "--redirect-uri", REDIRECT_URI];
    let usual = [&usual[..], &["--scope", "orders:read", "orders:write", "--audience", "orders-api"]].concat();
    create_client(&world.pair, id, &[&usual[..], more].concat())
}

/// Somebody who has a password.
pub fn user(world: &World, username: &str) -> Result<()> {
    let email = format!("{username}@example.test");
    user_with(world, username, &["--email", &email])
}

/// As [`user`], with other arguments.
pub fn user_with(world: &World, username: &str, more: &[&str]) -> Result<()> {
    // One for each: another test may be writing one.
    let file = world.pair.folder().join(format!("{username}.password"));
    std::fs::write(&file, PASSWORD)?;
    let file = file.display().to_string();
    let usual = ["user", "create", "--username", username, "--password-file", &file];
    world.pair.tessera_json(&[&usual[..], more].concat()).map(drop)
}

/// An authorization request in order, with some parameters changed; an empty one is left out.
#[must_use]
pub fn ask(client: &str, changes: &Changes<'_>) -> String {
    let usual = [
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "orders:read"),
        ("state", "s1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let unchanged = usual.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let asked: Vec<(&str, &str)> =
        unchanged.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
    authorization_url("/oauth2/authorize", &asked)
}

/// A browser in which somebody is signed in.
pub async fn signed_in(world: &World, username: &str) -> Result<Person> {
    let mut person = Person::new(world.pair.ports.issuer_http);
    person.open("/login").await?;
    person.login(username, PASSWORD).await?;
    anyhow::ensure!(person.page()?.url.path() == "/account", "{:?}", person.page()?);
    Ok(person)
}

/// Opens a request and allows it, where that is asked; the code.
pub async fn allowed(person: &mut Person, asked: &str) -> Result<String> {
    person.open(asked).await?;
    let location = match person.landing()? {
        Landing::Away(location) => location.clone(),
        Landing::Page(_) => person.allow().await?,
    };
    parameter(&location, "code").with_context(|| location)
}

/// What a client gets for a code.
pub async fn redeem(world: &World, client: &Client, code: &str) -> Result<Value> {
    let answer = redemption(world, client, code).await?;
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    answer.json()
}

/// As [`redeem`], good or bad.
pub async fn redemption(world: &World, client: &Client, code: &str) -> Result<Answer> {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let confidential = !client.secret.is_empty();
    if !confidential {
        fields.push(("client_id", &client.id));
    }
    post(world.pair.ports.issuer_http, "/oauth2/token", confidential.then_some(client), &fields).await
}

/// A member of a JSON object that is a text.
pub fn text(json: &Value, member: &str) -> Result<String> {
    json[member].as_str().map(str::to_owned).with_context(|| json.to_string())
}

/// One request as this browser sends it, and its answer: redirects are not followed, and cookies not kept.
pub async fn get(world: &World, person: &mut Person, path: &str) -> Result<Answer> {
    let cookies = cookie(person);
    request(world.pair.ports.issuer_http, "GET", path, &[("cookie", &*cookies)], "").await
}

/// As [`get`], a form.
pub async fn send(world: &World, person: &mut Person, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
    let cookies = cookie(person);
    request(world.pair.ports.issuer_http, "POST", path, &[FORM, ("cookie", &*cookies)], form(fields)).await
}

/// What a browser sends as `Cookie`.
pub fn cookie(person: &mut Person) -> String {
    let pairs: Vec<String> = person.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

/// The hidden field of a page's form.
pub fn hidden(page: &Page, form: &str, field: &str) -> Result<String> {
    page.form(form)?.value(field).map(str::to_owned).with_context(|| format!("no {field}"))
}

/// Fails unless an answer is an error page that sends the browser nowhere.
///
/// # Panics
/// Where it is not.
pub fn assert_error_page(answer: &Answer, status: u16, case: &str) {
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{case}");
    assert_eq!(answer.header("location"), None, "{case}");
    assert_eq!(answer.header("refresh"), None, "{case}");
    assert!(!answer.body.contains("http-equiv") && answer.body.contains("<h1>"), "{case}: {}", answer.body);
}
