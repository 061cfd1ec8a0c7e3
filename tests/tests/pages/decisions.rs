//! What a form may do: only what it was given for, to whom it was given, once (item 18). Every redirect is a 303 (item 17).

use anyhow::{Context as _, Result};
use tessera_tests::person::{Person, parameter};
use tessera_tests::shared::shared;
use tessera_tests::{FORM, form, request};

use tessera_tests::cast::{
    PASSWORD, REDIRECT_URI, application, ask, assert_error_page, cookie, get, hidden, redeem, send, signed_in, user,
};

/// Item 18: a login form without its token signs nobody in, not even into an account of the attacker's.
#[tokio::test]
async fn a_login_form_without_its_token_signs_nobody_in() -> Result<()> {
    let world = shared().await?;
    application(world, "forged-login")?;
    user(world, "forged-login-user")?;
    let at = world.pair.ports.issuer_http;
    let (mut person, mut other) = (Person::new(at), Person::new(at));
    let mut tokens = vec![("none", String::new()), ("garbage", "x".to_owned())];
    other.open("/login").await?;
    tokens.push(("another browser's", hidden(other.page()?, "/login", "csrf")?));
    person.open(&ask("forged-login", &[])).await?;
    tokens.push(("a transaction's", hidden(person.page()?, "/login", "csrf")?));
    let mut signed = signed_in(world, "forged-login-user").await?;
    tokens.push(("another session's", hidden(signed.open("/account").await?.page()?, "/logout", "csrf")?));
    for (whose, csrf) in &tokens {
        let fields = [("username", "forged-login-user"), ("password", PASSWORD), ("csrf", csrf)];
        let answer = send(world, &mut person, "/login", &fields).await?;
        assert_eq!(answer.status, 400, "{whose}: {answer:?}");
        assert_eq!(answer.header("set-cookie"), None, "{whose}: {answer:?}");
        assert!(!answer.body.contains(PASSWORD), "{whose}");
    }
    // A good token without the cookie it belongs to: the visitor gets a cookie, and no session.
    person.open("/login").await?;
    let csrf = hidden(person.page()?, "/login", "csrf")?;
    let fields = form(&[("username", "forged-login-user"), ("password", PASSWORD), ("csrf", &csrf)]);
    let answer = request(at, "POST", "/login", &[FORM], fields).await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    let given = answer.header("set-cookie").context("a visitor's cookie")?;
    let given = given.split(';').next().unwrap_or_default();
    let answer = request(at, "GET", "/account", &[("cookie", given)], "").await?;
    assert_eq!(answer.header("location"), Some("/login"), "{answer:?}");
    Ok(())
}

/// Item 18: a decision needs the token of this session and of this transaction.
#[tokio::test]
async fn a_decision_without_its_token_decides_nothing() -> Result<()> {
    let world = shared().await?;
    application(world, "forged-decision")?;
    user(world, "forged-decider")?;
    user(world, "forged-other")?;
    let mut person = signed_in(world, "forged-decider").await?;
    let mut other = signed_in(world, "forged-other").await?;
    let elsewhere = hidden(person.open(&ask("forged-decision", &[])).await?.page()?, "/consent", "csrf")?;
    let account = hidden(person.open("/account").await?.page()?, "/logout", "csrf")?;
    person.open(&ask("forged-decision", &[])).await?;
    let page = person.page()?.clone();
    let (request_id, csrf) = (hidden(&page, "/consent", "request")?, hidden(&page, "/consent", "csrf")?);
    other.open(&format!("/consent?request={request_id}")).await?;
    let others = hidden(other.page()?, "/consent", "csrf")?;
    let forged = [("none", ""), ("garbage", "x"), ("elsewhere", &elsewhere), ("account", &account), ("other", &others)];
    for (whose, csrf) in forged {
        for decision in ["allow", "deny"] {
            let fields = [("request", &*request_id), ("decision", decision), ("csrf", csrf)];
            assert_error_page(&send(world, &mut person, "/consent", &fields).await?, 403, whose);
        }
    }
    let fields = [("request", &*request_id), ("decision", "allow"), ("csrf", &csrf)];
    for (whose, at) in [("a stranger", &mut Person::new(world.pair.ports.issuer_http)), ("another user", &mut other)] {
        assert_error_page(&send(world, at, "/consent", &fields).await?, 403, whose);
    }
    for decision in ["", "Allow", "yes"] {
        let fields = [("request", &*request_id), ("decision", decision), ("csrf", &csrf)];
        assert_error_page(&send(world, &mut person, "/consent", &fields).await?, 400, decision);
    }
    // Nothing of all that decided it.
    let answer = send(world, &mut person, "/consent", &fields).await?;
    assert!(answer.header("location").is_some_and(|to| parameter(to, "code").is_some()), "{answer:?}");
    Ok(())
}

/// Item 18: the forms of the account page need its token.
#[tokio::test]
async fn an_account_form_without_its_token_changes_nothing() -> Result<()> {
    let world = shared().await?;
    application(world, "forged-account")?;
    user(world, "forged-owner")?;
    let mut person = signed_in(world, "forged-owner").await?;
    let mut second = signed_in(world, "forged-owner").await?;
    let elsewhere = hidden(person.open(&ask("forged-account", &[])).await?.page()?, "/consent", "csrf")?;
    person.allow().await?;
    let others = hidden(second.open("/account").await?.page()?, "/logout", "csrf")?;
    let before = get(world, &mut person, "/account").await?.body;
    for path in ["/account/apps/remove", "/account/sessions/end", "/account/sessions/end-others", "/logout"] {
        for csrf in ["", "x", &elsewhere, &others] {
            let fields = [("csrf", csrf), ("client_id", "forged-account"), ("session", "x")];
            assert_error_page(&send(world, &mut person, path, &fields).await?, 403, path);
        }
    }
    assert_eq!(get(world, &mut person, "/account").await?.body, before);
    second.open("/account").await?;
    assert_eq!(second.page()?.url.path(), "/account", "the other session goes on");
    Ok(())
}

/// Item 18: what is decided is what the server kept, whatever else a form says.
#[tokio::test]
async fn fields_beside_the_decision_change_nothing_of_what_is_decided() -> Result<()> {
    let world = shared().await?;
    let app = application(world, "tampered")?;
    user(world, "tamperer")?;
    let mut person = signed_in(world, "tamperer").await?;
    person.open(&ask("tampered", &[("state", "kept")])).await?;
    let more = [
        ("decision", "allow"),
        ("scope", "orders:read orders:write"),
        ("redirect_uri", "https://evil.example/"),
        ("client_id", "loopback"),
        ("state", "changed"),
        ("code_challenge", "x"),
        ("response_type", "token"),
        ("user", "somebody"),
        ("next", "https://evil.example/"),
    ];
    let location = person.submit("/consent", &more).await?.away()?;
    assert!(location.starts_with(&format!("{REDIRECT_URI}&code=")), "{location}");
    assert_eq!(parameter(&location, "state").as_deref(), Some("kept"));
    let code = parameter(&location, "code").context("a code")?;
    assert_eq!(redeem(world, &app, &code).await?["scope"], "orders:read");
    // Nor does another transaction's name in the form: its token is bound to the other one.
    person.open(&ask("tampered", &[("scope", "orders:write")])).await?;
    let first = person.page()?.form("/consent")?;
    person.open(&ask("tampered", &[("scope", "orders:read orders:write")])).await?;
    let other = hidden(person.page()?, "/consent", "request")?;
    person.send(&first.with("request", &other), &[("decision", "allow")]).await?;
    assert_eq!(person.page()?.answer.status, 403);
    Ok(())
}

/// Item 18: a request is decided once, also by many at once.
#[tokio::test]
async fn a_request_is_decided_once() -> Result<()> {
    let world = shared().await?;
    application(world, "decided")?;
    user(world, "decider")?;
    let mut person = signed_in(world, "decider").await?;
    for first in ["deny", "allow"] {
        person.open(&ask("decided", &[])).await?;
        let form = person.page()?.form("/consent")?;
        person.send(&form, &[("decision", first)]).await?.away()?;
        for again in ["allow", "deny"] {
            person.send(&form, &[("decision", again)]).await?;
            assert_error_page(&person.page()?.answer, 400, again);
        }
    }
    person.open(&ask("decided", &[("scope", "orders:write")])).await?;
    let page = person.page()?.clone();
    let (name, csrf) = (hidden(&page, "/consent", "request")?, hidden(&page, "/consent", "csrf")?);
    let body = form(&[("request", &name), ("csrf", &csrf), ("decision", "allow")]);
    let (cookies, at) = (cookie(&mut person), world.pair.ports.issuer_http);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (cookies, body) = (cookies.clone(), body.clone());
        all.spawn(async move { request(at, "POST", "/consent", &[FORM, ("cookie", &*cookies)], body).await });
    }
    let mut winners = 0;
    while let Some(answer) = all.join_next().await {
        let answer = answer??;
        match answer.header("location") {
            Some(_) => winners += 1,
            None => assert_error_page(&answer, 400, "too late"),
        }
    }
    assert_eq!(winners, 1);
    Ok(())
}

/// Item 17: a browser that was sent on never posts a credential again.
#[tokio::test]
async fn after_every_post_a_browser_is_sent_on_by_303() -> Result<()> {
    let world = shared().await?;
    application(world, "sent-on")?;
    user(world, "sent-on-user")?;
    let mut person = Person::new(world.pair.ports.issuer_http);
    // `Person` refuses every other redirect; these are looked at by themselves.
    person.open(&ask("sent-on", &[])).await?;
    let form = person.page()?.form("/login")?;
    let fields = |form: &tessera_tests::person::Form, more: &[(&str, &str)]| -> Vec<(String, String)> {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        form.hidden.iter().cloned().chain(more).collect()
    };
    let login = fields(&form, &[("username", "sent-on-user"), ("password", PASSWORD)]);
    let borrowed: Vec<(&str, &str)> = login.iter().map(|(name, value)| (&**name, &**value)).collect();
    let answer = send(world, &mut person, "/login", &borrowed).await?;
    assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{answer:?}");
    person.login("sent-on-user", PASSWORD).await?;
    let decision = fields(&person.page()?.form("/consent")?, &[("decision", "deny")]);
    let borrowed: Vec<(&str, &str)> = decision.iter().map(|(name, value)| (&**name, &**value)).collect();
    let answer = send(world, &mut person, "/consent", &borrowed).await?;
    assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{answer:?}");
    person.open("/account").await?;
    let out = fields(&person.page()?.form("/logout")?, &[]);
    let borrowed: Vec<(&str, &str)> = out.iter().map(|(name, value)| (&**name, &**value)).collect();
    let answer = send(world, &mut person, "/logout", &borrowed).await?;
    assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{answer:?}");
    Ok(())
}
