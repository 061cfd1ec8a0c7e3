//! The login page: who gets in, and what those are told who do not.

use anyhow::{Context as _, Result};
use tessera_tests::person::{Page, Person};
use tessera_tests::shared::shared;

use tessera_tests::cast::{Changes, PASSWORD, application, ask, get, hidden, user};

/// A page without what differs from one time to the next.
fn without(page: &Page, told: &[&str]) -> Result<String> {
    let csrf = hidden(page, "/login", "csrf")?;
    let body = page.answer.body.replace(&csrf, "…");
    Ok(told.iter().fold(body, |body, text| body.replace(text, "…")))
}

/// Item 6, for people: a name nobody has and a wrong password get the same page.
#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_page() -> Result<()> {
    let world = shared().await?;
    user(world, "login-known")?;
    let mut pages = Vec::new();
    for (username, password) in [
        ("login-known", "a wrong password"),
        ("login-known@example.test", "another wrong password"),
        ("login-nobody", "a wrong password"),
        ("login nobody \u{0} ", PASSWORD),
        ("", "x"),
        ("login-known", ""),
    ] {
        let mut person = Person::new(world.pair.ports.issuer_http);
        person.open("/login").await?;
        person.login(username, password).await?;
        let page = person.page()?;
        assert_eq!(page.answer.status, 422, "{username}: {:?}", page.answer);
        assert!(
            !page.answer.body.contains(PASSWORD) && !page.answer.body.contains("wrong password"),
            "it is not echoed"
        );
        let shown = format!("value=\"{username}\"");
        pages.push(without(page, &[&shown])?);
        assert_eq!(get(world, &mut person, "/account").await?.header("location"), Some("/login"), "{username}");
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:#?}");
    Ok(())
}

/// After ten failures nothing is looked at for a while, and the page says for how long; whose name it was makes no difference.
#[tokio::test]
async fn after_ten_failures_the_page_says_how_long_to_wait() -> Result<()> {
    let world = shared().await?;
    user(world, "login-forgetful")?;
    for username in ["login-forgetful", "login-not-there"] {
        let mut person = Person::new(world.pair.ports.issuer_http);
        person.open("/login").await?;
        for _ in 0..10 {
            person.login(username, "a wrong password").await?;
            assert_eq!(person.page()?.answer.status, 422);
        }
        // The right one is not looked at either.
        person.login(username, PASSWORD).await?;
        let answer = &person.page()?.answer;
        assert_eq!(answer.status, 429, "{answer:?}");
        let seconds: u64 = answer.header("retry-after").context("how long")?.parse()?;
        assert!((1..=10).contains(&seconds), "{seconds}");
        assert!(answer.body.contains(&format!("Try again in {} seconds.", seconds.max(2))), "{}", answer.body);
        assert!(answer.body.contains(&format!("value=\"{username}\"")), "what was typed is still there");
    }
    Ok(())
}

/// The name is compared as people write it, and the e-mail address does as well.
#[tokio::test]
async fn the_name_in_any_case_and_the_address_both_sign_in() -> Result<()> {
    let world = shared().await?;
    user(world, "login-cases")?;
    for identifier in ["login-cases", "Login-Cases", "login-cases@example.test", "LOGIN-CASES@EXAMPLE.TEST"] {
        let mut person = Person::new(world.pair.ports.issuer_http);
        person.open("/login").await?;
        person.login(identifier, PASSWORD).await?;
        assert_eq!(person.page()?.url.path(), "/account", "{identifier}");
        person.open("/login").await?;
        assert_eq!(person.page()?.url.path(), "/account", "who is signed in is not asked to");
    }
    Ok(())
}

/// `ui_locales` and `lang` are asked outright, and come before what the browser likes.
#[tokio::test]
async fn pages_are_in_the_language_that_was_asked_or_that_the_browser_likes() -> Result<()> {
    let world = shared().await?;
    application(world, "locales")?;
    let cases: [(&str, &Changes<'_>, &str); 6] = [
        ("", &[], "en"),
        ("fr-CA,fr;q=0.9", &[], "fr"),
        ("fr", &[("ui_locales", "en")], "en"),
        ("en", &[("ui_locales", "de fr-FR")], "fr"),
        ("fr", &[("ui_locales", "\"><script>")], "fr"),
        ("tlh", &[("ui_locales", "tlh")], "en"),
    ];
    for (liked, asked, language) in cases {
        let mut person = Person::reading(world.pair.ports.issuer_http, liked);
        person.open(&ask("locales", asked)).await?;
        let page = person.page()?.clone();
        assert_eq!(page.answer.header("content-language"), Some(language), "{liked} {asked:?}");
        assert!(page.answer.body.contains(&format!("<html lang=\"{language}\">")));
        // The choice on the page wins, and outlives the next one.
        for chosen in ["fr", "en"] {
            person.open(&format!("{}&lang={chosen}", page.url)).await?;
            assert_eq!(person.page()?.answer.header("content-language"), Some(chosen));
            person.login("locales-nobody", "x").await?;
            assert_eq!(person.page()?.answer.header("content-language"), Some(chosen));
        }
    }
    Ok(())
}
