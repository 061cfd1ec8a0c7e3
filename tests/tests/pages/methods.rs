//! Other methods and broken bodies: a page says so, and nothing fails.

use anyhow::{Context as _, Result};
use tessera_tests::shared::shared;
use tessera_tests::{FORM, request};

use tessera_tests::cast::{allowed, application, ask, assert_error_page, cookie, get, signed_in, user};

const PATHS: &[(&str, &str)] = &[
    ("/oauth2/authorize", "GET"),
    ("/login", "GET,HEAD,POST"),
    ("/consent", "GET,POST"),
    ("/account", "GET,HEAD"),
    ("/logout", "POST"),
    ("/account/apps/remove", "POST"),
    ("/account/sessions/end", "POST"),
    ("/account/sessions/end-others", "POST"),
    ("/account/applications", "GET,HEAD"),
    ("/account/applications/new", "GET,HEAD,POST"),
    ("/account/applications/application", "GET,HEAD"),
    ("/account/applications/change", "POST"),
    ("/account/applications/switch", "POST"),
    ("/account/applications/secret", "POST"),
    ("/account/applications/delete", "GET,HEAD,POST"),
];

#[tokio::test]
async fn a_page_takes_its_own_methods_and_says_which_those_are() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    for (path, allowed) in PATHS {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if allowed.split(',').any(|name| name == method) {
                continue;
            }
            let answer = request(at, method, path, &[FORM], "").await?;
            assert_error_page(&answer, 405, &format!("{method} {path}"));
            assert_eq!(answer.header("allow"), Some(*allowed), "{method} {path}");
            assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{method} {path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_browser_is_told_in_a_page_that_nothing_is_there_and_a_program_in_json() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("accept-language", "fr")];
    for (method, path) in
        [("GET", "/"), ("GET", "/acount"), ("POST", "/login/x"), ("GET", "/<script>alert(1)</script>")]
    {
        let answer = request(at, method, path, &browser, "").await?;
        if answer.status == 400 {
            // No path at all.
            continue;
        }
        assert_error_page(&answer, 404, path);
        assert_eq!(answer.header("content-language"), Some("fr"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert!(!answer.body.contains("alert"), "{path}: {}", answer.body);
        for accept in ["application/json", "*/*"] {
            let answer = request(at, method, path, &[("accept", accept)], "").await?;
            assert_eq!((answer.status, answer.error().as_str()), (404, "not_found"), "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn head_says_what_get_says_without_the_page() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    for path in ["/login", "/account"] {
        let (get, head) = (request(at, "GET", path, &[], "").await?, request(at, "HEAD", path, &[], "").await?);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.body, "", "{path}");
        for name in ["content-type", "content-security-policy", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
    }
    Ok(())
}

/// Where opening a page keeps or decides something, HEAD is refused: link checkers and mail scanners send it.
#[tokio::test]
async fn head_asks_for_nothing_and_decides_nothing() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    application(world, "headed")?;
    user(world, "header")?;
    let mut person = signed_in(world, "header").await?;
    allowed(&mut person, &ask("headed", &[])).await?;
    let cookies = cookie(&mut person);
    let begun = get(world, &mut person, &ask("headed", &[])).await?;
    let consent = begun.header("location").context("to the consent page")?;
    let consent = &consent[consent.find("/consent").context("to the consent page")?..];
    for (path, allow) in [(&*ask("headed", &[]), "GET"), (consent, "GET,POST")] {
        let head = request(at, "HEAD", path, &[("cookie", &*cookies)], "").await?;
        assert_eq!((head.status, head.header("allow"), head.header("location")), (405, Some(allow), None), "{path}");
        assert_eq!((head.body.as_str(), head.header("x-frame-options")), ("", Some("DENY")), "{path}");
    }
    let decided = get(world, &mut person, consent).await?;
    assert!(decided.header("location").is_some_and(|to| to.contains("code=")), "it was still to decide: {decided:?}");
    Ok(())
}

#[tokio::test]
async fn a_form_that_cannot_be_read_gets_a_page() -> Result<()> {
    let world = shared().await?;
    let at = world.pair.ports.issuer_http;
    let huge = format!("username={}", "x".repeat(70 * 1024));
    let many = "a=b&".repeat(500);
    let text: &[u8] = b"username=%FF&password=%zz";
    let bodies: [(&str, (&str, &str), &[u8]); 7] = [
        ("huge", FORM, huge.as_bytes()),
        ("many fields", FORM, many.as_bytes()),
        ("no text", FORM, text),
        ("raw bytes", FORM, b"\xff\xfe\x00"),
        ("a field twice", FORM, b"csrf=a&csrf=b"),
        ("JSON", ("content-type", "application/json"), b"{}"),
        ("no type", ("accept", "*/*"), b"csrf=a"),
    ];
    for path in PATHS.iter().filter(|(_, allowed)| allowed.ends_with("POST")).map(|(path, _)| path) {
        for (case, kind, body) in bodies {
            let answer = request(at, "POST", path, &[kind], body).await?;
            assert_error_page(&answer, 400, &format!("{path}: {case}"));
        }
    }
    // A long query is answered as well: with a page, or by the server that reads no such head.
    for path in ["/login", "/consent", "/oauth2/authorize"] {
        for length in [2_000, 20_000, 200_000] {
            let answer = request(at, "GET", &format!("{path}?request={}", "x".repeat(length)), &[], "").await?;
            assert!(matches!(answer.status, 200 | 400 | 414 | 431), "{path} {length}: {}", answer.status);
        }
    }
    world.is_unharmed().await
}
