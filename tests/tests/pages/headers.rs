//! What keeps a page from being framed, cached, leaked or fed with script, in every state there is (items 10 and 19).

use anyhow::{Context as _, Result};
use tessera_tests::person::{Landing, Person};
use tessera_tests::shared::shared;
use tessera_tests::{Answer, request};

use tessera_tests::cast::{ORIGIN, PASSWORD, application, ask, client, get, hidden, send, user};

/// Item 19: the policy of every page, up to where its forms may lead.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      img-src 'self' data:; form-action 'self'";

fn assert_guarded(answer: &Answer, leads_to_client: bool, case: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("pragma", "no-cache"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{case}: {name}: {answer:?}");
    }
    let policy = answer.header("content-security-policy").unwrap_or_default();
    // Chromium holds `form-action` against the redirect that follows the post as well.
    let expected = if leads_to_client { format!("{POLICY} {ORIGIN}") } else { POLICY.to_owned() };
    assert_eq!(policy, expected, "{case}");
    assert!(answer.header("access-control-allow-origin").is_none(), "{case}");
    if answer.status == 303 {
        return;
    }
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{case}");
    let body = &answer.body;
    assert!(body.starts_with("<!doctype html>"), "{case}: {body}");
    assert_eq!(body.matches("<script ").count(), 1, "{case}: {body}");
    assert!(body.contains("<script src=\"/assets/") && !body.contains("<script>"), "{case}: {body}");
    for inline in
        ["<style", " style=", " onclick=", " onload=", " onsubmit=", "javascript:", "<iframe", "<base", "<object"]
    {
        assert!(!body.contains(inline), "{case}: {inline}: {body}");
    }
    let body = body.replace("xmlns='http://www.w3.org/2000/svg'", "");
    assert!(!body.contains("http://") && !body.contains("https://"), "it links to no other site: {case}: {body}");
}

/// Items 10 and 19.
#[tokio::test]
async fn every_page_in_every_state_is_guarded() -> Result<()> {
    let world = shared().await?;
    application(world, "guarded")?;
    user(world, "guarded-user")?;
    let mut person = Person::new(world.pair.ports.issuer_http);
    for path in ["/login", "/login?signed_out=1", "/login?lang=fr", "/account", "/consent", "/consent?request=x"] {
        assert_guarded(&get(world, &mut person, path).await?, false, path);
    }
    let twice = format!("{}&redirect_uri=x", ask("guarded", &[]));
    for path in
        [twice.as_str(), &ask("unheard-of", &[]), &ask("guarded", &[("scope", "no-such")]), &ask("guarded", &[])]
    {
        assert_guarded(&get(world, &mut person, path).await?, false, path);
    }
    person.open(&ask("guarded", &[])).await?;
    let Landing::Page(login) = person.landing()?.clone() else { anyhow::bail!("a page") };
    assert_guarded(&login.answer, true, "the login page of a transaction");
    let (csrf, name) = (hidden(&login, "/login", "csrf")?, hidden(&login, "/login", "request")?);
    for (case, csrf, password) in [("wrong", &*csrf, "x"), ("expired", "x", "x")] {
        let fields = [("csrf", csrf), ("request", &*name), ("username", "guarded-user"), ("password", password)];
        assert_guarded(&send(world, &mut person, "/login", &fields).await?, true, case);
    }
    let fields = [("csrf", &*csrf), ("request", &*name), ("username", "guarded-user"), ("password", PASSWORD)];
    assert_guarded(&send(world, &mut person, "/login", &fields).await?, true, "a login that succeeds");
    person.login("guarded-user", PASSWORD).await?;
    let consent = person.page()?.clone();
    assert_guarded(&consent.answer, true, "the consent page");
    let stale = send(world, &mut person, "/consent", &[("request", &*name), ("decision", "allow")]).await?;
    assert_guarded(&stale, false, "a decision without its token");
    let csrf = hidden(&consent, "/consent", "csrf")?;
    let fields = [("csrf", &*csrf), ("request", &*name), ("decision", "allow")];
    assert_guarded(&send(world, &mut person, "/consent", &fields).await?, true, "a decision");
    assert_guarded(&send(world, &mut person, "/consent", &fields).await?, false, "a request that is over");
    let own = ["/account/applications", "/account/applications/new", "/account/applications/application?client_id=x"];
    for path in ["/account", "/account?notice=app-removed", "/account?lang=fr", "/login"].into_iter().chain(own) {
        assert_guarded(&get(world, &mut person, path).await?, false, path);
    }
    person.open("/account").await?;
    let csrf = hidden(person.page()?, "/logout", "csrf")?;
    for path in [
        "/account/apps/remove",
        "/account/sessions/end",
        "/account/sessions/end-others",
        "/account/applications/switch",
        "/logout",
    ] {
        for csrf in ["x", &csrf] {
            let fields = [("csrf", csrf), ("client_id", "guarded")];
            assert_guarded(&send(world, &mut person, path, &fields).await?, false, path);
        }
    }
    Ok(())
}

/// What a client brings: its logo is the one picture from elsewhere, on the page that asks alone; and a denial may go where it wants to be
/// told of errors, from every page of its transaction.
#[tokio::test]
async fn a_policy_lets_in_a_clients_logo_and_lets_out_to_its_place_for_errors() -> Result<()> {
    let world = shared().await?;
    let what_people_see = ["--site-url", "https://pictured.example/", "--logo-url", "https://logos.example/a.png?v=1"];
    let more = [&["--public", "--failure-uri", "https://errors.example/failed"], &what_people_see[..]].concat();
    client(world, "pictured", &more)?;
    user(world, "pictured-user")?;
    let plain = format!("{POLICY} {ORIGIN} https://errors.example");
    let policy = |answer: &Answer| answer.header("content-security-policy").unwrap_or_default().to_owned();
    let mut person = Person::new(world.pair.ports.issuer_http);
    person.open(&ask("pictured", &[])).await?;
    let login = person.page()?.clone();
    assert_eq!(policy(&login.answer), plain, "the login page");
    assert!(!login.answer.body.contains("logos.example"), "{}", login.answer.body);
    let (csrf, name) = (hidden(&login, "/login", "csrf")?, hidden(&login, "/login", "request")?);
    let fields = [("csrf", &*csrf), ("request", &*name), ("username", "pictured-user"), ("password", PASSWORD)];
    assert_eq!(policy(&send(world, &mut person, "/login", &fields).await?), plain, "on the way");
    person.login("pictured-user", PASSWORD).await?;
    let consent = person.page()?.clone();
    let pictured = plain.replace("data:", "data: https://logos.example/a.png");
    assert_eq!(policy(&consent.answer), pictured, "the consent page");
    assert_eq!(consent.answer.header("referrer-policy"), Some("no-referrer"));
    let body = &consent.answer.body;
    assert!(body.contains("<img src=\"https://logos.example/a.png?v=1\" alt=\"\""), "{body}");
    assert!(body.contains("<a href=\"https://pictured.example/\" rel=\"noopener"), "{body}");
    let fields = [("csrf", &*hidden(&consent, "/consent", "csrf")?), ("request", &*name), ("decision", "deny")];
    let denied = send(world, &mut person, "/consent", &fields).await?;
    assert_eq!((denied.status, policy(&denied)), (303, plain), "{denied:?}");
    let location = denied.header("location").unwrap_or_default();
    assert!(location.starts_with("https://errors.example/failed?error=access_denied&"), "{location}");
    Ok(())
}

/// The files a page needs are there, may be kept for good, and are what they say.
#[tokio::test]
async fn the_files_of_a_page_are_served_with_their_type_and_kept() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    let page = request(at, "GET", "/login", &[], "").await?.body;
    for (from, kind) in
        [("href=\"/assets/", "text/css; charset=utf-8"), ("src=\"/assets/", "text/javascript; charset=utf-8")]
    {
        let file = page.split(from).nth(1).and_then(|rest| rest.split('"').next()).context("a file")?;
        let answer = request(at, "GET", &format!("/assets/{file}"), &[], "").await?;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    }
    assert_eq!(request(at, "GET", "/assets/../tessera-issuer.toml", &[], "").await?.status, 404);
    Ok(())
}
