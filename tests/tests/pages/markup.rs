//! Markup in whatever reaches a page: it is shown as text, or not at all (Hydra CVE-2019-8400).

use anyhow::Result;
use tessera_tests::form;
use tessera_tests::person::Person;
use tessera_tests::shared::shared;

use tessera_tests::cast::{PASSWORD, ask, client, get, send, user_with};

/// What ends a text, an attribute, a tag, a comment, a title, or a template's expression.
const MARKUP: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "\" autofocus onfocus=\"alert(1)",
    "</title><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u{202e}<b>x",
    "<a href=//alert(1)>",
];

/// Fails where a page has a tag or an attribute that is not its own.
fn assert_inert(body: &str, case: &str) {
    if body.is_empty() {
        return;
    }
    let shown = || format!("{case}:\n{body}");
    assert_eq!(body.matches("<script").count(), 1, "{}", shown());
    assert_eq!(body.matches("<svg").count(), usize::from(body.contains("class=\"mark\"")), "{}", shown());
    for tag in ["<img", "<b>", "<a href=//", "<!--"] {
        assert!(!body.contains(tag), "{tag}: {}", shown());
    }
    // What is left of a tag once its attributes' values are taken out names no handler.
    for tag in body.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let bare: String = tag.split('"').step_by(2).collect();
        assert!(!bare.contains("onfocus") && !bare.contains("onerror") && !bare.contains('\''), "{tag}: {}", shown());
        let leads = ["href", "src", "action"].map(|name| format!("{name}=\"javascript:"));
        assert!(!leads.iter().any(|lead| tag.contains(lead)), "{tag}: {}", shown());
    }
}

#[tokio::test]
async fn markup_in_a_parameter_of_any_page_is_never_markup_on_it() -> Result<()> {
    let world = shared().await?;
    client(world, "markup", &["--public"])?;
    let mut person = Person::new(world.pair.ports.issuer_http);
    person.open("/login").await?;
    let csrf = tessera_tests::cast::hidden(person.page()?, "/login", "csrf")?;
    for markup in MARKUP {
        let names = "client_id redirect_uri response_type response_mode scope state code_challenge code_challenge_method \
                     resource audience ui_locales request request_uri nonce prompt unheard-of";
        for name in names.split_whitespace() {
            let answer = get(world, &mut person, &ask("markup", &[(name, markup)])).await?;
            let location = answer.header("location").unwrap_or_default();
            assert!(!location.contains(['<', '>', '"', '\'', ' ']), "{name}: {location}");
            assert_inert(&answer.body, name);
            if location.starts_with('/') {
                person.open(location).await?;
                assert_inert(&person.page()?.answer.body, name);
            }
        }
        let query = |name: &str| form(&[(name, markup)]);
        for name in ["request", "lang", "notice", "signed_out", "error", "unheard-of"] {
            for path in ["/login", "/consent", "/account", "/login?x=y"] {
                let separator = if path.contains('?') { '&' } else { '?' };
                let answer = get(world, &mut person, &format!("{path}{separator}{}", query(name))).await?;
                assert_inert(&answer.body, name);
            }
        }
        for path in ["/login", "/consent", "/logout", "/account/apps/remove", "/account/sessions/end"] {
            for name in ["csrf", "lang", "request", "decision", "client_id", "session", "unheard-of"] {
                let answer = send(world, &mut person, path, &[(name, markup)]).await?;
                assert_inert(&answer.body, &format!("{path} {name}"));
            }
        }
        let typed = [("csrf", &*csrf), ("username", markup), ("password", markup)];
        let answer = send(world, &mut person, "/login", &typed).await?;
        assert_inert(&answer.body, "what was typed");
    }
    Ok(())
}

#[tokio::test]
async fn markup_in_the_name_of_a_client_a_scope_or_a_person_stays_text() -> Result<()> {
    let world = shared().await?;
    let mut shown = 0;
    for (at, markup) in MARKUP.iter().enumerate() {
        let (id, scope, username) = (format!("markup-{at}"), format!("markup:{at}"), format!("markup-user-{at}"));
        // Some are refused as names outright, which is as good.
        let named = ["scope", "create", &scope, "--description", markup];
        if world.pair.tessera_json(&named).is_err() {
            world.pair.tessera_json(&["scope", "create", &scope])?;
        }
        client(world, &id, &["--public", "--scope", &scope])?;
        let renamed = ["client", "update", &id, "--name", markup];
        shown += u32::from(world.pair.tessera_json(&renamed).is_ok());
        if user_with(world, &username, &["--name", markup]).is_err() {
            user_with(world, &username, &[])?;
        }
        let mut person = Person::new(world.pair.ports.issuer_http);
        person.open(&ask(&id, &[("scope", &scope)])).await?;
        assert_inert(&person.page()?.answer.body, "login");
        person.login(&username, PASSWORD).await?;
        assert_inert(&person.page()?.answer.body, "consent");
        person.allow().await?;
        person.open("/account").await?;
        assert_inert(&person.page()?.answer.body, "account");
        assert!(person.page()?.answer.body.contains(&format!("value=\"{id}\"")), "the app is listed");
    }
    assert!(shown > 0, "no client may be called anything of this");
    Ok(())
}
