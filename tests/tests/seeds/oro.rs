//! What Oro knows of an application and the others do not: whose it is, and codes at its endpoint.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tessera_tests::person::{Person, authorization_url, parameter};
use tessera_tests::{Client, create_client};

use crate::answers::{Told, access, assert_told, claims, scopes, text, tokens};
use crate::cast::{AUDIENCE, CALLBACK, PASSWORD, Seeds, System, client, post_json, seeds, user};

async fn ask(seeds: &Seeds, client: &Client, more: Value) -> Result<tessera_tests::Answer> {
    let mut body = json!({"client_id": client.id, "client_secret": client.secret});
    let more = more.as_object().context("an object")?.clone();
    body.as_object_mut().context("an object")?.extend(more);
    post_json(&seeds.world, System::Oro.path(), body.to_string()).await
}

/// Each refuses as a wrong secret does, and what is out becomes inactive for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_organization_or_owner_refuses_its_applications_and_their_tokens_end() -> Result<()> {
    let seeds = seeds().await?;
    user(seeds.pair(), "owning", PASSWORD)?;
    let acted_for = text(&seeds.tessera(&["user", "get", "owning"])?, "user_id")?;
    seeds.tessera(&["org", "create", "Closing"])?;
    seeds.tessera(&["org", "member", "add", "Closing", "owning"])?;
    let shape = ["--grant", "client_credentials", "--organization", "Closing", "--owner", "owning"];
    let app = create_client(seeds.pair(), "owned", &[&shape[..], &AUDIENCE].concat())?;
    let credentials = || json!({"grant_type": "client_credentials"});
    for (what, name) in [("org", "Closing"), ("user", "owning")] {
        let token = access(&ask(seeds, &app, credentials()).await?)?;
        assert_eq!(claims(&token)?["sub"], "", "a machine's token names nobody");
        let told = seeds.world.check(&token).await?;
        assert_eq!((told.active, &told.sub), (true, &acted_for), "the introspector names the owner");
        let told = seeds.world.check_at_issuer(&token).await?.json()?;
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!(acted_for)), "and so does the issuer");
        seeds.tessera(&[what, "disable", name, "--yes"])?;
        assert_told(&ask(seeds, &app, credentials()).await?, System::Oro, &Told::client(), what);
        assert!(!seeds.is_active(&token).await?, "{what}");
        seeds.tessera(&[what, "enable", name])?;
        assert!(!seeds.is_active(&token).await?, "what is dead stays dead");
        let again = access(&ask(seeds, &app, credentials()).await?)?;
        assert!(seeds.is_active(&again).await?);
    }
    Ok(())
}

/// The code of somebody who said yes.
async fn code(seeds: &Seeds, app: &Client) -> Result<String> {
    let endpoint = format!("{}/oauth2/authorize", seeds.pair().ports.issuer_url());
    let asked = [("response_type", "code"), ("client_id", &*app.id), ("scope", "read"), ("redirect_uri", CALLBACK)];
    let url = authorization_url(&endpoint, &asked);
    let back = Person::new(seeds.pair().ports.issuer_http).authorize(&url, "admin", PASSWORD, true).await?;
    parameter(&back, "code").context("a code")
}

fn redemption(code: &str) -> Value {
    json!({"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK})
}

/// The password grant brings refresh tokens with it, and with nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_brings_no_refresh_token_because_of_the_password_grant() -> Result<()> {
    let seeds = seeds().await?;
    let grants = ["--grant", "authorization_code", "password", "--scope", "read", "--redirect-uri", CALLBACK];
    let app = client(seeds.pair(), "oro-both", &grants)?;
    let answer = tokens(&ask(seeds, &app, redemption(&code(seeds, &app).await?)).await?)?;
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(3), "{answer}");
    Ok(())
}

/// A code is redeemed at Oro's endpoint as the others' tokens are got, and once.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_gets_four_members_once_and_the_second_time_ends_what_came_of_it() -> Result<()> {
    let seeds = seeds().await?;
    let grants = ["--grant", "authorization_code", "refresh_token", "--scope", "read", "--redirect-uri", CALLBACK];
    let app = client(seeds.pair(), "oro-web", &grants)?;
    let code = code(seeds, &app).await?;
    let redemption = || redemption(&code);
    let thief = Client { secret: "wrong".to_owned(), ..app.clone() };
    assert_told(&ask(seeds, &thief, redemption()).await?, System::Oro, &Told::client(), "without the secret");

    let first = tokens(&ask(seeds, &app, redemption()).await?)?;
    assert_eq!(first.as_object().map(serde_json::Map::len), Some(4), "{first}");
    let token = text(&first, "access_token")?;
    assert_eq!(scopes(&token)?, ["read"]);
    assert_eq!(claims(&token)?["sub"], seeds.tessera(&["user", "get", "admin"])?["user_id"]);
    assert!(seeds.is_active(&token).await?);

    assert_told(&ask(seeds, &app, redemption()).await?, System::Oro, &Told::code(), "sent again");
    assert!(!seeds.is_active(&token).await?, "one of the two was a thief");
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": text(&first, "refresh_token")?});
    let told = Told::refresh("Token has been revoked");
    assert_told(&ask(seeds, &app, refresh).await?, System::Oro, &told, "the refresh token");
    let missing = ask(seeds, &app, json!({"grant_type": "authorization_code"})).await?;
    assert_told(&missing, System::Oro, &Told::parameter("code"), "no code");
    Ok(())
}
