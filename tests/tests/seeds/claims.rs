//! Which claims a client gets that says nothing of them: the shops' at their paths, RFC 9068's at `/oauth2/token`.

use anyhow::Result;
use rstest::rstest;
use serde_json::json;
use tessera_tests::Client;

use crate::answers::{access, claims, header, text};
use crate::cast::{PRESTASHOP_SECRET, SHOPWARE_INTEGRATION, SHOPWARE_SECRET, Seeds, System, post_form, seeds};

/// A client of a system's that was registered without a claims profile.
fn unsaid(seeds: &Seeds, system: System) -> Client {
    let client = |id: &str, secret: &str| Client { id: id.to_owned(), secret: secret.to_owned() };
    match system {
        System::PrestaShop => client("your_client_id", PRESTASHOP_SECRET),
        System::Shopware => client(SHOPWARE_INTEGRATION, SHOPWARE_SECRET),
        System::Oro => seeds.machine.clone(),
    }
}

#[rstest]
#[case::prestashop(System::PrestaShop)]
#[case::shopware(System::Shopware)]
#[case::oro(System::Oro)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_of_its_claims_gets_those_of_the_endpoint(#[case] system: System) -> Result<()> {
    let seeds = seeds().await?;
    let client = unsaid(seeds, system);
    assert_eq!(seeds.tessera(&["client", "get", &client.id])?["claims_profile"], "auto");
    let fields = [("grant_type", "client_credentials"), ("client_id", &*client.id), ("client_secret", &*client.secret)];

    let token = access(&seeds.ask(system, &fields).await?)?;
    let (head, said) = (header(&token)?, claims(&token)?);
    assert_eq!((&head["typ"], &head["alg"]), (&json!("JWT"), &json!("RS256")), "{head}");
    assert_eq!((&said["aud"], &said["sub"]), (&json!(client.id), &json!("")), "{said}");
    assert!(said["scopes"].is_array() && said["scope"].is_string(), "{said}");
    assert!(seeds.is_active(&token).await?);

    let token = text(&post_form(&seeds.world, "/oauth2/token", &fields).await?.json()?, "access_token")?;
    let (head, said) = (header(&token)?, claims(&token)?);
    assert_eq!(head["typ"], "at+jwt", "RFC 9068 section 2.1: {head}");
    assert_eq!((&said["aud"], &said["sub"]), (&json!("orders-api"), &json!(client.id)), "{said}");
    assert_eq!((&said["client_id"], said.get("scopes")), (&json!(client.id), None), "{said}");
    for claim in ["iss", "exp", "iat", "jti"] {
        assert!(said.get(claim).is_some(), "{claim}: {said}");
    }
    assert!(seeds.is_active(&token).await?);
    Ok(())
}
