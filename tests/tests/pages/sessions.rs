//! The cookie and the session behind it (item 21).

use anyhow::{Context as _, Result};
use tessera_tests::person::{Person, parameter};
use tessera_tests::shared::shared;
use tessera_tests::{Answer, World, request};

use tessera_tests::cast::{PASSWORD, application, ask, get, hidden, send, signed_in, user};

const COOKIE: &str = "tessera_session";

/// Item 21: the cookie a login gives is a new one, so whoever planted the one before has nothing.
#[tokio::test]
async fn the_session_cookie_rotates_at_login_and_the_one_before_opens_nothing() -> Result<()> {
    let world = shared().await?;
    application(world, "rotated")?;
    user(world, "rotated-user")?;
    let at = world.pair.ports.issuer_http;
    let mut attacker = Person::new(at);
    attacker.open("/login").await?;
    let planted = attacker.cookies().get(COOKIE).context("a visitor's cookie")?.clone();
    for planted in [planted.as_str(), "x", "tsr_s_0000000000000000000000000000000000000000000000000000000000"] {
        let mut victim = Person::new(at);
        victim.cookies().insert(COOKIE.to_owned(), planted.to_owned());
        victim.open(&ask("rotated", &[])).await?;
        victim.login("rotated-user", PASSWORD).await?;
        assert!(victim.sees("/consent"), "{:?}", victim.landing()?);
        let given = victim.cookies().get(COOKIE).context("a session's cookie")?.clone();
        assert_ne!(given, planted);
        let mut attacker = Person::new(at);
        attacker.cookies().insert(COOKIE.to_owned(), planted.to_owned());
        assert_eq!(get(world, &mut attacker, "/account").await?.header("location"), Some("/login"));
        // A second login rotates it again, and the visitor's name for the forms with it.
        victim.open("/account").await?;
        victim.logout().await?;
        victim.open("/login").await?;
        victim.login("rotated-user", PASSWORD).await?;
        let next = victim.cookies().get(COOKIE).context("a session's cookie")?.clone();
        assert!(next != given && next != planted);
        attacker.cookies().insert(COOKIE.to_owned(), given);
        assert_eq!(get(world, &mut attacker, "/account").await?.header("location"), Some("/login"), "it has ended");
    }
    Ok(())
}

/// Two cookies of one name: a neighbour may have set one, so neither counts.
#[tokio::test]
async fn a_session_cookie_that_stands_there_twice_opens_nothing() -> Result<()> {
    let world = shared().await?;
    user(world, "twice-user")?;
    let mut person = signed_in(world, "twice-user").await?;
    let good = person.cookies().get(COOKIE).context("a session")?.clone();
    let at = world.pair.ports.issuer_http;
    for cookies in [format!("{COOKIE}={good}; {COOKIE}=x"), format!("{COOKIE}=x; {COOKIE}={good}")] {
        let answer = request(at, "GET", "/account", &[("cookie", &*cookies)], "").await?;
        assert_eq!(answer.header("location"), Some("/login"), "{cookies}");
    }
    let answer = request(at, "GET", "/account", &[("cookie", &*format!("{COOKIE}={good}"))], "").await?;
    assert_eq!(answer.status, 200);
    Ok(())
}

/// Item 21: what a cookie may do is as little as it can.
#[tokio::test]
async fn cookies_are_for_this_host_and_no_script() -> Result<()> {
    let world = shared().await?;
    user(world, "attributes-user")?;
    let answer = request(world.pair.ports.issuer_http, "GET", "/login", &[], "").await?;
    let visitors = answer.header("set-cookie").context("a visitor's cookie")?.to_owned();
    assert_eq!(attributes(&visitors), ["Path=/", "HttpOnly", "SameSite=Lax"], "until the browser is closed");
    let mut person = Person::new(world.pair.ports.issuer_http);
    person.open("/login").await?;
    let csrf = hidden(person.page()?, "/login", "csrf")?;
    let fields = [("username", "attributes-user"), ("password", PASSWORD), ("csrf", &csrf)];
    let answer = send(world, &mut person, "/login", &fields).await?;
    let sessions = answer.header("set-cookie").context("a session's cookie")?;
    assert_eq!(attributes(sessions), ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=2592000"]);
    let mut person = signed_in(world, "attributes-user").await?;
    let csrf = hidden(person.page()?, "/logout", "csrf")?;
    let answer = send(world, &mut person, "/logout", &[("csrf", &csrf)]).await?;
    let ended = answer.header("set-cookie").context("the cookie is taken away")?;
    assert!(ended.starts_with("tessera_session=;") && ended.ends_with("; Max-Age=0"), "{ended}");
    Ok(())
}

fn attributes(cookie: &str) -> Vec<&str> {
    cookie.split("; ").skip(1).collect()
}

/// Where the issuer's pages lead is up to the issuer.
fn assert_stays(answer: &Answer, case: &str) {
    if let Some(location) = answer.header("location") {
        assert!(location.starts_with('/') && !location.starts_with("//"), "{case}: {location}");
        assert!(!location.contains('\\'), "{case}: {location}");
    }
    assert!(!answer.head.contains("evil") && !answer.body.contains("evil"), "{case}: {answer:?}");
}

/// Item 21: no parameter says where to go next, however it is called and written.
#[tokio::test]
async fn no_parameter_says_where_a_browser_goes_next() -> Result<()> {
    let world = shared().await?;
    user(world, "next-user")?;
    let names = "next return_to returnTo return_url ReturnUrl redirect redirect_to redirect_uri continue url goto dest \
                 destination rd r u target callback back referer post_logout_redirect_uri lang notice request";
    let values =
        ["//evil.example", "https://evil.example/", "/\\evil.example", "%2f%2fevil.example", "/%09/evil.example"];
    for name in names.split_whitespace() {
        for value in values {
            leads_nowhere(world, name, value).await?;
        }
    }
    Ok(())
}

async fn leads_nowhere(world: &World, name: &str, value: &str) -> Result<()> {
    let case = format!("{name}={value}");
    let query = tessera_tests::form(&[(name, value)]);
    let at = world.pair.ports.issuer_http;
    for path in ["/login", "/account", "/consent", "/oauth2/authorize"] {
        assert_stays(&request(at, "GET", &format!("{path}?{query}"), &[], "").await?, &case);
    }
    let mut person = Person::new(at);
    person.open("/login").await?;
    let csrf = hidden(person.page()?, "/login", "csrf")?;
    for path in ["/login", "/logout", "/consent", "/account/apps/remove", "/account/sessions/end"] {
        let fields = [("csrf", &*csrf), ("username", "next-user"), ("password", ""), (name, value)];
        assert_stays(&send(world, &mut person, &format!("{path}?{query}"), &fields).await?, &case);
    }
    Ok(())
}

/// Item 21: nor at a login and a sign-out that succeed.
#[tokio::test]
async fn a_login_leads_to_the_account_or_back_to_its_transaction_and_nowhere_else() -> Result<()> {
    let world = shared().await?;
    application(world, "onward")?;
    user(world, "onward-user")?;
    let evil = [("next", "//evil.example"), ("return_to", "https://evil.example"), ("redirect_uri", "/\\evil.example")];
    let mut person = Person::new(world.pair.ports.issuer_http);
    person.open("/login?next=//evil.example").await?;
    let login = [&[("username", "onward-user"), ("password", PASSWORD)][..], &evil].concat();
    person.submit("/login", &login).await?;
    assert_eq!(person.page()?.url.path(), "/account");
    person.submit("/logout", &evil).await?;
    assert_eq!(person.page()?.url.path(), "/login");
    person.open(&ask("onward", &[])).await?;
    person.submit("/login", &login).await?;
    assert!(person.sees("/consent"));
    // Who signs out on the way comes back to the same request, as somebody else perhaps.
    person.submit("/logout", &evil).await?;
    assert!(person.page()?.answer.body.contains("You are signed out."), "{:?}", person.page()?);
    person.login("onward-user", PASSWORD).await?;
    assert!(parameter(&person.allow().await?, "code").is_some());
    Ok(())
}
