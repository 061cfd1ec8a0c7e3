//! An issuer behind a proxy that ends TLS, with a path in its URL and with more than the defaults turned on.

use anyhow::{Context as _, Result};
use serde_json::json;
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::person::{Person, parameter};
use tessera_tests::{Client, World, create_client, post, request, world_with};

use tessera_tests::cast::{PASSWORD, application, ask, redeem, text, user};

const ISSUER: &str = "https://id.example.test/people/eu";

async fn proxied() -> Result<World> {
    let issuer = "[tokens]\npassword_grant = true\nrequire_pkce = true\n".to_owned();
    let options = Options { issuer_url: Some(ISSUER.to_owned()), issuer, ..Options::default() };
    world_with(Backend::Sqlite, options).await?.context("SQLite is always there")
}

/// Item 38: the metadata lists exactly what is on, and all of it is below the issuer's path.
#[tokio::test]
async fn the_metadata_of_an_issuer_with_a_path_lists_what_is_on_and_it_is_there() -> Result<()> {
    let world = proxied().await?;
    let at = world.pair.ports.issuer_http;
    let document = request(at, "GET", "/.well-known/oauth-authorization-server/people/eu", &[], "").await?;
    let clients = ["client_secret_basic", "client_secret_post", "none"];
    let expected = json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/oauth2/authorize"),
        "token_endpoint": format!("{ISSUER}/oauth2/token"),
        "revocation_endpoint": format!("{ISSUER}/oauth2/revoke"),
        "introspection_endpoint": format!("{ISSUER}/oauth2/introspect"),
        "jwks_uri": format!("{ISSUER}/oauth2/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "ui_locales_supported": ["en", "fr"],
        "grant_types_supported": ["client_credentials", "password", "refresh_token", "authorization_code"],
        "token_endpoint_auth_methods_supported": clients,
        "revocation_endpoint_auth_methods_supported": clients,
        "introspection_endpoint_auth_methods_supported": clients[..2],
    });
    assert_eq!(sorted(document.json()?), sorted(expected));
    for path in ["/oauth2/authorize", "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/oauth2/jwks"] {
        let answer = request(at, "GET", &format!("/people/eu{path}"), &[], "").await?;
        assert!(matches!(answer.status, 200 | 400 | 405), "{path}: {answer:?}");
    }
    let shop = create_client(&world.pair, "shop", &["--grant", "password", "--scope", "orders:read"])?;
    user(&world, "shopper")?;
    let fields = [("grant_type", "password"), ("username", "shopper"), ("password", PASSWORD)];
    let answer = post(at, "/people/eu/oauth2/token", Some(&shop), &fields).await?;
    assert_eq!(answer.status, 200, "what the metadata names is there: {answer:?}");
    Ok(())
}

/// The order of a list says nothing.
fn sorted(mut document: serde_json::Value) -> serde_json::Value {
    if let Some(grants) = document["grant_types_supported"].as_array_mut() {
        grants.sort_by_key(ToString::to_string);
    }
    document
}

/// Items 16 and 21: pages, files and cookies as an https issuer with a path has them.
#[tokio::test]
async fn pages_below_a_path_keep_to_it_and_their_cookies_to_tls() -> Result<()> {
    let world = proxied().await?;
    let app: Client = application(&world, "app")?;
    user(&world, "ada")?;
    let at = world.pair.ports.issuer_http;
    let asked = format!("/people/eu{}", ask("app", &[]));
    let answer = request(at, "GET", &asked, &[], "").await?;
    let cookie = answer.header("set-cookie").context("a visitor's cookie")?;
    assert!(cookie.starts_with("__Host-tessera_session="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{cookie}");

    let mut person = Person::new(at);
    person.open(&asked).await?;
    let page = person.page()?.clone();
    assert!(page.url.path().starts_with("/people/eu/login"), "{}", page.url);
    for link in page.answer.body.split("=\"/").skip(1) {
        assert!(link.starts_with("people/eu/"), "{link}");
    }
    let style = page.answer.body.split("href=\"/people/eu/assets/").nth(1).and_then(|rest| rest.split('"').next());
    let style = format!("/people/eu/assets/{}", style.context("a style sheet")?);
    assert_eq!(request(at, "GET", &style, &[], "").await?.status, 200);

    person.login("ada", PASSWORD).await?;
    assert!(person.page()?.url.path().starts_with("/people/eu/consent"), "{}", person.page()?.url);
    let location = person.allow().await?;
    assert_eq!(parameter(&location, "iss").as_deref(), Some(ISSUER));
    let code = parameter(&location, "code").context("a code")?;
    let token = text(&redeem(&world, &app, &code).await?, "access_token")?;
    assert!(world.everybody_says_active(&token).await?);
    person.open("/people/eu/account").await?;
    person.submit("/people/eu/account/apps/remove", &[]).await?;
    assert_eq!(person.page()?.url.path(), "/people/eu/account");
    assert!(!world.everybody_says_active(&token).await?);
    person.logout().await?;
    assert_eq!(person.page()?.url.path(), "/people/eu/login");

    // A cookie without the prefix may be a neighbour's: it opens nothing here.
    person.login("ada", PASSWORD).await?;
    let value = person.cookies().get("__Host-tessera_session").context("a session")?.clone();
    let plain = format!("tessera_session={value}");
    let answer = request(at, "GET", "/people/eu/account", &[("cookie", &*plain)], "").await?;
    assert_eq!(answer.header("location"), Some("/people/eu/login"));
    Ok(())
}
