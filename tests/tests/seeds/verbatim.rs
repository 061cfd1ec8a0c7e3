//! The numbered requests of the documents as these print them, host aside, sent by the tools they are written for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tessera_testkit::process::clean_command;
use tessera_tests::person::{Person, authorization_url, parameter};
use tessera_tests::{Answer, FORM, World, form_encode, request, tool};

use crate::answers::{Told, access, assert_told, claims, granted, scopes, text, tokens};
use crate::cast::{CALLBACK, Seeds, System, post_json, seeds};

/// Seed 001.
const PRESTASHOP: &str = r#"curl --location 'http://yourdomain.test/admin-api/access_token' \
--form 'grant_type="client_credentials"' \
--form 'client_id="your_client_id"' \
--form 'client_secret="your_client_secret"' \
--form 'scope[]="api_client_read"' \
--form 'scope[]="api_client_write"' \
--form 'scope[]="customer_group_read"' \
--form 'scope[]="customer_group_write"'
"#;

/// Seed 002, with its no-break spaces.
const SHOPWARE_PASSWORD: &str = concat!(
    "    {\n",
    "    \u{a0}\u{a0} \u{a0}\"client_id\": \"administration\",\n",
    "    \u{a0}\u{a0} \u{a0}\"grant_type\": \"password\",\n",
    "    \u{a0}\u{a0} \u{a0}\"scopes\": \"write\",\n",
    "    \u{a0}\u{a0} \u{a0}\"username\": \"admin\",\n",
    "    \u{a0}\u{a0} \u{a0}\"password\": \"shopware\"\n",
    "    }\n",
);

/// Seed 002; the token is the one just got.
const SHOPWARE_REFRESH: &str = r#"    {
        "grant_type": "refresh_token",
        "client_id": "administration",
        "scopes": "write",
        "refresh_token": "def50200…"
    }
"#;

/// Seed 002, with its no-break spaces.
const SHOPWARE_INTEGRATION: &str = concat!(
    "    {\n",
    "    \u{a0}\u{a0} \u{a0}\"client_id\": \"SWIABXZIEHRJVNJPZVNKUNI5EA\",\n",
    "    \u{a0}\u{a0} \u{a0}\"client_secret\": \"REJzWnlLQmRCUVZ3YjA3c0hSWXBOdlRmZUdqRTltaDR3QWx4dFI\",\n",
    "    \u{a0}\u{a0} \u{a0}\"grant_type\": \"client_credentials\"\n",
    "    }\n",
);

/// Seed 002's full example, after the line `<?php` that is none of it.
const SHOPWARE_SCRIPT: &str = r#"    const baseUrl = '{insert your url}';
    const data = {
        client_id: "administration",
        grant_type: "password",
        scopes: "write",
        username: "admin",
        password: "shopware"
    };
    const headers = { "Content-Type": "application/json" };
    const init = {
        method: 'POST',
        body: JSON.stringify(data),
        headers
    };
    
    fetch(`${baseUrl}/api/oauth/token`, init)
        .then((response) => response.json())
        .then((responseData) => {
            console.log('Token response', responseData);
    
            const refreshData = {
                grant_type: "refresh_token",
                client_id: "administration",
                scopes: "write",
                refresh_token: responseData.refresh_token
            };
            const refreshInit = {
                method: 'POST',
                body: JSON.stringify(refreshData),
                headers
            };
            fetch(`${baseUrl}/api/oauth/token`, refreshInit)
                .then((response) => response.json())
                .then((refreshResponse) => {
                    console.log('Refresh token reponse', refreshResponse);
                })
        });
"#;

async fn shopware(seeds: &Seeds, body: &str) -> Result<Answer> {
    post_json(&seeds.world, System::Shopware.path(), body).await
}

/// Runs a program to its end; what it prints.
async fn run(mut command: Command) -> Result<String> {
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// 1.
#[tokio::test(flavor = "multi_thread")]
async fn prestashops_curl_gets_the_four_scopes_after_the_one_of_everybody() -> Result<()> {
    if tool("TEST_TESSERA_CURL")?.is_none() {
        return Ok(());
    }
    let seeds = seeds().await?;
    let text_of = PRESTASHOP.replace("http://yourdomain.test", &seeds.pair().ports.issuer_url());
    let mut shell = clean_command(Path::new("/bin/sh"));
    shell.arg("-c").arg(text_of);
    let body = granted(serde_json::from_str(&run(shell).await?)?, 3600)?;
    ensure!(body.get("refresh_token").is_none(), "{body}");
    let token = text(&body, "access_token")?;
    let expected =
        ["is_authenticated", "api_client_read", "api_client_write", "customer_group_read", "customer_group_write"];
    assert_eq!(scopes(&token)?, expected);
    let claims = claims(&token)?;
    assert_eq!((&claims["aud"], &claims["sub"]), (&"your_client_id".into(), &"".into()));
    assert!(seeds.is_active(&token).await?);
    Ok(())
}

/// 2.
#[tokio::test(flavor = "multi_thread")]
async fn shopwares_password_body_gets_four_members_and_a_wrong_password_400() -> Result<()> {
    let seeds = seeds().await?;
    let body = tokens(&shopware(seeds, SHOPWARE_PASSWORD).await?)?;
    let token = text(&body, "access_token")?;
    assert!(!text(&body, "refresh_token")?.is_empty());
    assert_eq!(scopes(&token)?, ["write"]);
    let claims = claims(&token)?;
    assert_eq!(claims["aud"], "administration");
    assert_eq!(claims["sub"], seeds.tessera(&["user", "get", "admin"])?["user_id"]);
    assert!(seeds.is_active(&token).await?);
    let wrong = shopware(seeds, &SHOPWARE_PASSWORD.replace("\"shopware\"", "\"wrong\"")).await?;
    assert_told(&wrong, System::Shopware, &Told::credentials(), "a wrong password");
    Ok(())
}

/// 3.
#[tokio::test(flavor = "multi_thread")]
async fn shopwares_refresh_body_gets_a_new_pair_once_and_the_second_time_ends_the_family() -> Result<()> {
    let seeds = seeds().await?;
    let first = tokens(&shopware(seeds, SHOPWARE_PASSWORD).await?)?;
    let body = SHOPWARE_REFRESH.replace("def50200…", &text(&first, "refresh_token")?);
    let second = tokens(&shopware(seeds, &body).await?)?;
    for member in ["access_token", "refresh_token"] {
        assert_ne!(text(&first, member)?, text(&second, member)?, "{member}");
    }
    assert_eq!(scopes(&text(&second, "access_token")?)?, ["write"]);
    let again = shopware(seeds, &body).await?;
    assert_told(&again, System::Shopware, &Told::refresh("Token has been revoked"), "sent again");
    let successor = SHOPWARE_REFRESH.replace("def50200…", &text(&second, "refresh_token")?);
    let dead = shopware(seeds, &successor).await?;
    assert_told(&dead, System::Shopware, &Told::refresh("Token has been revoked"), "its successor");
    for body in [&first, &second] {
        assert!(!seeds.is_active(&text(body, "access_token")?).await?, "an access token of the family");
    }
    Ok(())
}

/// 4.
#[tokio::test(flavor = "multi_thread")]
async fn shopwares_integration_with_the_secret_it_brought_may_read() -> Result<()> {
    let seeds = seeds().await?;
    let body = tokens(&shopware(seeds, SHOPWARE_INTEGRATION).await?)?;
    assert!(body.get("refresh_token").is_none(), "{body}");
    let token = text(&body, "access_token")?;
    assert_eq!(scopes(&token)?, ["read"], "read-only: it asked for nothing");
    assert!(seeds.is_active(&token).await?);
    Ok(())
}

/// What a script has printed after a title: an object as Node shows it.
fn shown<'a>(output: &'a str, title: &str) -> Result<&'a str> {
    let (_, object) = output.split_once(title).with_context(|| format!("no {title:?}: {output}"))?;
    object.split_once('}').map(|(object, _)| object).context("an object")
}

/// A text of such an object.
fn member<'a>(object: &'a str, name: &str) -> Result<&'a str> {
    let (_, rest) = object.split_once(&format!("{name}: '")).with_context(|| format!("no {name}: {object}"))?;
    rest.split_once('\'').map(|(value, _)| value).context("a text")
}

/// 5.
#[tokio::test(flavor = "multi_thread")]
async fn shopwares_script_runs_in_node() -> Result<()> {
    let Some(node) = tool("TEST_TESSERA_NODE")? else { return Ok(()) };
    let seeds = seeds().await?;
    let program = seeds.pair().folder().join("shopware.cjs");
    std::fs::write(&program, SHOPWARE_SCRIPT.replace("{insert your url}", &seeds.pair().ports.issuer_url()))?;
    let mut command = clean_command(&node);
    command.arg(program);
    let output = run(command).await?;
    let (first, second) = (shown(&output, "Token response ")?, shown(&output, "Refresh token reponse ")?);
    for object in [first, second] {
        assert_eq!(object.matches(": ").count(), 4, "four members: {object}");
        assert_eq!(member(object, "token_type")?, "Bearer");
        assert!(object.contains("expires_in: 3600"), "{object}");
        let token = member(object, "access_token")?;
        assert_eq!(scopes(token)?, ["write"]);
        assert!(seeds.is_active(token).await?);
    }
    assert_ne!(member(first, "refresh_token")?, member(second, "refresh_token")?);
    Ok(())
}

/// 6.
#[tokio::test(flavor = "multi_thread")]
async fn oros_three_json_requests_get_three_four_and_four_members() -> Result<()> {
    let seeds = seeds().await?;
    let ask = async |body: Value| -> Result<Value> {
        tokens(&post_json(&seeds.world, System::Oro.path(), body.to_string()).await?)
    };
    let (machine, front) = (&seeds.machine, &seeds.front);
    let machines = ask(json!({
        "grant_type": "client_credentials", "client_id": machine.id, "client_secret": machine.secret,
    }))
    .await?;
    assert_eq!(machines.as_object().map(serde_json::Map::len), Some(3));
    let token = text(&machines, "access_token")?;
    assert_eq!(claims(&token)?["sub"], "", "as the shops' libraries have it");
    let owner = seeds.tessera(&["user", "get", "admin"])?["user_id"].clone();
    assert_eq!(
        seeds.world.check(&token).await?.sub,
        owner.as_str().unwrap_or_default(),
        "the introspector names the owner"
    );
    assert_eq!(seeds.world.check_at_issuer(&token).await?.json()?["sub"], owner, "and so does the issuer");
    let persons = ask(json!({
        "grant_type": "password", "client_id": front.id, "client_secret": front.secret,
        "username": "admin", "password": "shopware",
    }))
    .await?;
    assert_eq!(persons.as_object().map(serde_json::Map::len), Some(4));
    let refreshed = ask(json!({
        "grant_type": "refresh_token", "client_id": front.id, "client_secret": front.secret,
        "refresh_token": text(&persons, "refresh_token")?,
    }))
    .await?;
    assert_eq!(refreshed.as_object().map(serde_json::Map::len), Some(4));
    assert_ne!(refreshed["refresh_token"], persons["refresh_token"]);
    for body in [&machines, &refreshed] {
        assert!(seeds.is_active(&text(body, "access_token")?).await?);
    }
    Ok(())
}

/// Posts the parameters that the slides show in a URL, as they stand there.
async fn slide(world: &World, parameters: &str) -> Result<Answer> {
    request(world.pair.ports.issuer_http, "POST", "/oauth2/token", &[FORM], parameters).await
}

/// 7, by the requests a browser makes; `browser.rs` has a real one.
#[tokio::test(flavor = "multi_thread")]
async fn the_slides_authorization_url_leads_to_a_code_and_the_code_to_a_token() -> Result<()> {
    let seeds = seeds().await?;
    let (world, application) = (&seeds.world, &seeds.application);
    let endpoint = format!("{}/oauth2/authorize", world.pair.ports.issuer_url());
    let url = authorization_url(
        &endpoint,
        &[
            ("response_type", "code"),
            ("client_id", &application.id),
            ("scope", "read"),
            ("state", "a state & more"),
            ("redirect_uri", CALLBACK),
        ],
    );
    let denied = Person::new(world.pair.ports.issuer_http).authorize(&url, "admin", "shopware", false).await?;
    assert_eq!(parameter(&denied, "error").as_deref(), Some("access_denied"), "{denied}");
    assert_eq!(parameter(&denied, "state").as_deref(), Some("a state & more"));
    let mut person = Person::new(world.pair.ports.issuer_http);
    person.open(&url).await?;
    person.login("admin", "shopware").await?;
    assert!(person.sees("/consent"), "the page that asks: {:?}", person.landing()?);
    let back = person.allow().await?;
    assert!(back.starts_with(&format!("{CALLBACK}?")), "{back}");
    assert_eq!(parameter(&back, "state").as_deref(), Some("a state & more"));
    assert_eq!(parameter(&back, "iss"), Some(world.pair.ports.issuer_url()));
    let code = parameter(&back, "code").context("a code")?;
    let parameters = format!(
        "grant_type=authorization_code&client_id={}&client_secret={}&code={}&redirect_uri={}",
        application.id,
        application.secret,
        form_encode(&code),
        form_encode(CALLBACK)
    );
    let body = slide(world, &parameters).await?.json()?;
    assert_eq!(body["expires_in"], 3600);
    let token = text(&body, "access_token")?;
    assert!(seeds.is_active(&token).await?);
    assert_eq!(claims(&token)?["sub"], seeds.tessera(&["user", "get", "admin"])?["user_id"], "it acts as the person");
    Ok(())
}

/// 7.
#[tokio::test(flavor = "multi_thread")]
async fn the_slides_password_and_client_parameters_work_in_a_body_and_not_in_a_url() -> Result<()> {
    let seeds = seeds().await?;
    let (world, application) = (&seeds.world, &seeds.application);
    let person = text(&seeds.tessera(&["user", "get", "admin"])?, "user_id")?;
    let requests = [
        ("grant_type=password&client_id=slides-first-party&username=admin&password=shopware".to_owned(), &person),
        (
            format!("grant_type=client_credentials&client_id={}&client_secret={}", application.id, application.secret),
            &application.id,
        ),
    ];
    for (parameters, acts_as) in requests {
        let answer = slide(world, &parameters).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json()?;
        assert_eq!((&body["expires_in"], &body["scope"]), (&3600.into(), &"".into()), "no scope was asked for");
        let token = text(&body, "access_token")?;
        assert!(seeds.is_active(&token).await?);
        // "Agit en tant que l'utilisateur", "en tant que l'application".
        assert_eq!((&claims(&token)?["sub"], &world.check(&token).await?.sub), (&json!(acts_as), acts_as));
        let at = world.pair.ports.issuer_http;
        let in_url = format!("/oauth2/token?{parameters}");
        let posted = request(at, "POST", &in_url, &[FORM], "").await?;
        assert_eq!((posted.status, posted.error().as_str()), (400, "invalid_request"), "{posted:?}");
        assert_eq!(request(at, "GET", &in_url, &[], "").await?.status, 405);
    }
    let said = world.pair.issuer.said()?;
    assert!(!said.contains(&application.secret) && !said.contains("password=shopware"), "a query was logged");
    Ok(())
}

/// A secret with quotes around it is another secret: curl strips those that the shell left, and nobody else does.
#[tokio::test(flavor = "multi_thread")]
async fn quotes_in_a_value_are_the_values_own() -> Result<()> {
    let seeds = seeds().await?;
    let quoted = [
        ("grant_type", "client_credentials"),
        ("client_id", "your_client_id"),
        ("client_secret", "\"your_client_secret\""),
    ];
    let answer = seeds.ask(System::PrestaShop, &quoted).await?;
    assert_told(&answer, System::PrestaShop, &Told::client(), "a quoted secret");
    let plain = [quoted[0], quoted[1], ("client_secret", "your_client_secret")];
    assert_eq!(scopes(&access(&seeds.ask(System::PrestaShop, &plain).await?)?)?, ["is_authenticated"]);
    Ok(())
}
