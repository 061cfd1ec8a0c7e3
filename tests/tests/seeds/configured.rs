//! What the operator configures for all systems: how long tokens live, whose keys sign, and whether PrestaShop's may come in the clear.

use anyhow::{Context as _, Result};
use serde_json::json;
use tessera_testkit::pair::{Backend, Options, Pair};
use tessera_tests::{Answer, FORM, create_client, eventually, form, request, world_with};

use crate::answers::{Told, assert_told, granted, tokens};
use crate::cast::{AUDIENCE, DIALECTS, PRESTASHOP_SECRET, System, post_form, seeds};

const SYSTEMS: [System; 3] = [System::PrestaShop, System::Shopware, System::Oro];

/// "Expiration time can be configured in config.yml": here for every client that has no lifetime of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_configured_lifetime_is_that_of_every_endpoints_tokens() -> Result<()> {
    let issuer = DIALECTS.replace("[tokens]\n", "[tokens]\naccess_ttl = \"20m\"\n");
    let options = Options { issuer, ..Options::default() };
    let world = world_with(Backend::Sqlite, options).await?.context("SQLite is always there")?;
    let client = create_client(&world.pair, "any", &[&["--grant", "client_credentials"], &AUDIENCE[..]].concat())?;
    let fields = [("grant_type", "client_credentials"), ("client_id", &*client.id), ("client_secret", &*client.secret)];
    for system in SYSTEMS {
        granted(post_form(&world, system.path(), &fields).await?.json()?, 1200)?;
    }
    assert_eq!(post_form(&world, "/oauth2/token", &fields).await?.json()?["expires_in"], 1200);
    Ok(())
}

/// "If no keys are found, the following warning message": in the log, and to everybody who asks for a token.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_operators_keys_every_endpoint_answers_503_with_the_warning() -> Result<()> {
    let options = Options { issuer: DIALECTS.to_owned(), ..Options::default() };
    // An introspector comes in with a token: it must have had one.
    let mut pair = Pair::start(Backend::Sqlite, &options).await?.context("SQLite is always there")?;
    let file = pair.folder().join("tessera-issuer.toml");
    let configured = std::fs::read_to_string(&file)?;
    let (private, public) = ("/nonexistent/private.key", "/nonexistent/public.key");
    let keys = format!("[keys]\nsource = \"files\"\nprivate_key = \"{private}\"\npublic_key = \"{public}\"\n");
    std::fs::write(file, configured + &keys)?;
    pair.issuer.terminate().await?;
    pair.issuer.restart().await?;
    assert!(!pair.issuer.is_ready().await, "who balances the load sends nobody here, where there is another issuer");
    let told = Told::no_keys();
    // Whoever asks: nothing that is wrong with them is why there is no token.
    let body = form(&[("grant_type", "client_credentials"), ("client_id", "anybody"), ("client_secret", "any")]);
    let ask =
        async |path: &str| -> Result<Answer> { request(pair.ports.issuer_http, "POST", path, &[FORM], &body).await };
    eventually("it answers", async || Ok(ask("/oauth2/token").await.ok())).await?;
    for system in SYSTEMS {
        let answer = ask(system.path()).await?;
        assert_told(&answer, system, &told, "no keys");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    let answer = ask("/oauth2/token").await?;
    let expected = json!({"error": told.error, "error_description": told.description});
    assert_eq!((answer.status, answer.json()?), (503, expected));
    let said = pair.issuer.said()?;
    let warned = said.lines().filter(|line| line.contains("WARN") && line.contains(told.description));
    let warned: Vec<_> = warned.collect();
    assert!(
        matches!(warned[..], [one] if one.contains(private) && one.contains(public)),
        "with where they are looked for: {said}"
    );
    Ok(())
}

/// "You can turn this check off": then a secret is looked at over plain HTTP, and the operator is warned of it at the start.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_for_https_can_be_turned_off_and_the_start_warns_of_it() -> Result<()> {
    const WARNING: &str = "this endpoint takes client secrets over plain HTTP too, as configured";
    let seeds = seeds().await?;
    let fields =
        [("grant_type", "client_credentials"), ("client_id", "your_client_id"), ("client_secret", PRESTASHOP_SECRET)];
    tokens(&seeds.ask(System::PrestaShop, &fields).await?)?;
    let said = seeds.pair().issuer.said()?;
    let warnings: Vec<_> = said.lines().filter(|line| line.contains(WARNING)).collect();
    assert!(matches!(warnings[..], [one] if one.contains(System::PrestaShop.path()) && one.contains("WARN")), "{said}");
    // The others' systems do not ask for HTTPS, and are no reason to warn; nor is one that does.
    let options = Options {
        issuer: "[dialects]\nprestashop = true\nshopware = true\noro = true\n".to_owned(),
        ..Options::default()
    };
    let strict = Pair::start(Backend::Sqlite, &options).await?.context("SQLite is always there")?;
    assert!(!strict.issuer.said()?.contains(WARNING));
    Ok(())
}
