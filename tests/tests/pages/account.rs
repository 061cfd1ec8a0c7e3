//! The account page: sessions are listed, ended, and end with what overtakes them (item 22).

use anyhow::{Result, ensure};
use tessera_tests::person::{Form, Person};
use tessera_tests::shared::shared;
use tessera_tests::{World, request};

use tessera_tests::cast::{PASSWORD, allowed, application, ask, redeem, signed_in, text, user};

async fn is_signed_in(person: &mut Person) -> Result<bool> {
    person.open("/account").await?;
    Ok(person.page()?.url.path() == "/account")
}

/// The form that ends a session which is none of those whose form is known.
fn ends(person: &Person) -> Result<Form> {
    person.page()?.form("/account/sessions/end")
}

#[tokio::test]
async fn a_session_is_ended_from_another_one() -> Result<()> {
    let world = shared().await?;
    user(world, "sessions-user")?;
    user(world, "sessions-other")?;
    let mut first = signed_in(world, "sessions-user").await?;
    assert!(first.page()?.form("/account/sessions/end").is_err(), "the only session has nothing to end but itself");
    let mut second = signed_in(world, "sessions-user").await?;
    let mut stranger = signed_in(world, "sessions-other").await?;
    second.open("/account").await?;
    let form = ends(&second)?;
    // Its name is no credential: another person's form with it changes nothing.
    let csrf = stranger.page()?.form("/logout")?.value("csrf").unwrap_or_default().to_owned();
    stranger.send(&form.clone().with("csrf", &csrf), &[]).await?;
    assert!(is_signed_in(&mut first).await?);
    let cookies = first.cookies().clone();
    ensure!(!cookies.values().any(|cookie| form.value("session").is_some_and(|name| cookie.contains(name))));

    second.send(&form, &[]).await?;
    assert!(second.page()?.answer.body.contains("role=\"status\""));
    assert!(!is_signed_in(&mut first).await?);
    assert!(is_signed_in(&mut second).await?);
    second.send(&form, &[]).await?;
    assert_eq!(second.page()?.answer.status, 200, "ended twice is ended");
    let csrf = form.value("csrf").unwrap_or_default().to_owned();
    for bad in ["", "x", "00000000-0000-0000-0000-00000000000g"] {
        second.send(&form.clone().with("session", bad).with("csrf", &csrf), &[]).await?;
        assert_eq!(second.page()?.answer.status, 400, "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn every_other_session_is_ended_at_once_and_a_sign_out_ends_ones_own() -> Result<()> {
    let world = shared().await?;
    user(world, "others-user")?;
    let mut people = Vec::new();
    for _ in 0..4 {
        people.push(signed_in(world, "others-user").await?);
    }
    let Some((mine, others)) = people.split_last_mut() else { anyhow::bail!("four") };
    mine.open("/account").await?;
    assert_eq!(mine.page()?.answer.body.matches("name=\"session\"").count(), 3);
    mine.submit("/account/sessions/end-others", &[]).await?;
    for other in others {
        assert!(!is_signed_in(other).await?);
    }
    assert!(is_signed_in(mine).await?);
    let kept = mine.cookies().clone();
    mine.logout().await?;
    assert!(mine.page()?.answer.body.contains("You are signed out."));
    // A copy of the cookie opens nothing either.
    mine.cookies().extend(kept);
    assert!(!is_signed_in(mine).await?);
    Ok(())
}

/// Item 22: nothing got before a password change, a disabling or a revocation gives anything after it.
#[tokio::test]
async fn a_session_ends_with_a_password_change_a_disabling_and_a_revocation() -> Result<()> {
    let world = shared().await?;
    let app = application(world, "overtaken")?;
    let file = world.pair.folder().join("overtaken-password");
    std::fs::write(&file, "another engine no. 2")?;
    let file = file.display().to_string();
    let changes: [(&str, &[&str]); 3] = [
        ("overtaken-password", &["user", "password", "overtaken-password", "--password-file", &file, "--yes"]),
        ("overtaken-disabled", &["user", "disable", "overtaken-disabled", "--yes"]),
        ("overtaken-revoked", &["user", "revoke", "overtaken-revoked", "--yes"]),
    ];
    for (username, change) in changes {
        user(world, username)?;
        let mut person = signed_in(world, username).await?;
        let code = allowed(&mut person, &ask("overtaken", &[])).await?;
        let token = text(&redeem(world, &app, &code).await?, "access_token")?;
        person.open(&ask("overtaken", &[("scope", "orders:write")])).await?;
        let decision = person.page()?.form("/consent")?;
        world.pair.tessera_json(change)?;
        // The decision that was on the screen comes too late: they are asked to sign in, and nothing is given out.
        person.send(&decision, &[("decision", "allow")]).await?;
        assert!(person.sees("/login"), "{username}: {:?}", person.landing()?);
        assert!(!is_signed_in(&mut person).await?, "{username}");
        assert!(!world.everybody_says_active(&token).await?, "{username}");
    }
    assert!(signs_in(world, "overtaken-password", "another engine no. 2").await?);
    assert!(!signs_in(world, "overtaken-password", PASSWORD).await?);
    assert!(!signs_in(world, "overtaken-disabled", PASSWORD).await?);
    assert!(signs_in(world, "overtaken-revoked", PASSWORD).await?);
    Ok(())
}

async fn signs_in(world: &World, username: &str, password: &str) -> Result<bool> {
    let mut person = Person::new(world.pair.ports.issuer_http);
    person.open("/login").await?;
    person.login(username, password).await?;
    Ok(person.page()?.url.path() == "/account")
}

/// What a browser calls itself is never shown, only a name from a list.
#[tokio::test]
async fn sessions_are_named_by_their_browser_and_never_in_its_words() -> Result<()> {
    let world = shared().await?;
    user(world, "agents-user")?;
    let at = world.pair.ports.issuer_http;
    for agent in ["Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Firefox/147.0", "<script>evil</script> Safari/1"] {
        let mut person = Person::new(at);
        person.open("/login").await?;
        let csrf = tessera_tests::cast::hidden(person.page()?, "/login", "csrf")?;
        let body = tessera_tests::form(&[("username", "agents-user"), ("password", PASSWORD), ("csrf", &csrf)]);
        let cookie = tessera_tests::cast::cookie(&mut person);
        let headers = [tessera_tests::FORM, ("cookie", &*cookie), ("user-agent", agent)];
        assert_eq!(request(at, "POST", "/login", &headers, body).await?.status, 303);
    }
    let person = signed_in(world, "agents-user").await?;
    let body = &person.page()?.answer.body;
    assert!(body.contains("Firefox on Linux") && body.contains("Unknown browser"), "{body}");
    assert!(body.contains(">Safari") && !body.contains("evil"), "{body}");
    assert!(body.contains("127.0.0.1"), "from where: {body}");
    Ok(())
}
