//! How scopes are asked for, in every spelling, and what who asks for none gets.

use anyhow::Result;
use rstest::rstest;
use tessera_tests::{Answer, FORM, request};

use crate::answers::{Told, access, assert_told, scopes};
use crate::cast::{SHOPWARE_INTEGRATION, SHOPWARE_SECRET, Seeds, System, post_json, seeds};

const FORM_HEAD: &str = "grant_type=client_credentials&client_id=your_client_id&client_secret=your_client_secret";

/// Asks PrestaShop's endpoint by a form with this at its end.
async fn by_form(seeds: &Seeds, asked: &str) -> Result<Answer> {
    let body = format!("{FORM_HEAD}&{asked}");
    request(seeds.pair().ports.issuer_http, "POST", System::PrestaShop.path(), &[FORM], body).await
}

/// Likewise by JSON.
async fn by_json(seeds: &Seeds, asked: &str) -> Result<Answer> {
    let head = r#""grant_type":"client_credentials","client_id":"your_client_id","client_secret":"your_client_secret""#;
    post_json(&seeds.world, System::PrestaShop.path(), format!("{{{head},{asked}}}")).await
}

/// Likewise by multipart, with these parts.
async fn by_multipart(seeds: &Seeds, asked: &[(&str, &str)]) -> Result<Answer> {
    let own = [
        ("grant_type", "client_credentials"),
        ("client_id", "your_client_id"),
        ("client_secret", "your_client_secret"),
    ];
    let parts = own.iter().chain(asked);
    let part = |(name, value): &(&str, &str)| {
        format!("--limit\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = parts.map(part).collect::<String>() + "--limit--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=limit")];
    request(seeds.pair().ports.issuer_http, "POST", System::PrestaShop.path(), &headers, body).await
}

const BOTH: [&str; 3] = ["is_authenticated", "api_client_read", "api_client_write"];

#[tokio::test(flavor = "multi_thread")]
async fn prestashops_scopes_are_read_in_every_spelling() -> Result<()> {
    let seeds = seeds().await?;
    for name in ["scope", "scopes"] {
        for asked in [
            format!("{name}=api_client_read+api_client_write"),
            format!("{name}=api_client_read,api_client_write"),
            format!("{name}=api_client_read%2C+api_client_write"),
            format!("{name}[]=api_client_read&{name}[]=api_client_write"),
            format!("{name}%5B%5D=api_client_read&{name}%5B%5D=api_client_write"),
            format!("{name}[0]=api_client_read&{name}[1]=api_client_write"),
            format!("{name}[1]=api_client_write&{name}[0]=api_client_read"),
            format!("{name}=is_authenticated+api_client_read+api_client_write"),
            format!("{name}=api_client_read+api_client_write+is_authenticated+api_client_read"),
        ] {
            assert_eq!(scopes(&access(&by_form(seeds, &asked).await?)?)?, BOTH, "{asked}");
        }
        for asked in [
            format!(r#""{name}":["api_client_read","api_client_write"]"#),
            format!(r#""{name}[]":["api_client_read","api_client_write"]"#),
            format!(r#""{name}":"api_client_read api_client_write""#),
            format!(r#""{name}":"api_client_read,api_client_write""#),
        ] {
            assert_eq!(scopes(&access(&by_json(seeds, &asked).await?)?)?, BOTH, "{asked}");
        }
        let (list, indexed) = (format!("{name}[]"), [format!("{name}[0]"), format!("{name}[1]")]);
        for parts in [
            vec![(name, "api_client_read api_client_write")],
            vec![(&*list, "api_client_read"), (&*list, "api_client_write")],
            vec![(&*indexed[0], "api_client_read"), (&*indexed[1], "api_client_write")],
        ] {
            assert_eq!(scopes(&access(&by_multipart(seeds, &parts).await?)?)?, BOTH, "{parts:?}");
        }
    }
    Ok(())
}

/// A comma wins over a space: what is left has a space in it, and is no scope.
#[tokio::test(flavor = "multi_thread")]
async fn a_comma_separates_before_a_space_does() -> Result<()> {
    let seeds = seeds().await?;
    let answer = by_form(seeds, "scope=api_client_read+api_client_write,customer_group_read").await?;
    assert_told(&answer, System::PrestaShop, &Told::scope(""), "a space within");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scope_and_scopes_at_once_are_refused_with_the_hint() -> Result<()> {
    let seeds = seeds().await?;
    let told = Told::malformed().hinting("Use either scope or scopes parameter, not both.");
    for asked in ["scope=api_client_read&scopes=api_client_read", "scope[]=api_client_read&scopes=api_client_write"] {
        assert_told(&by_form(seeds, asked).await?, System::PrestaShop, &told, asked);
    }
    let asked = r#""scope":["api_client_read"],"scopes":"api_client_read""#;
    assert_told(&by_json(seeds, asked).await?, System::PrestaShop, &told, asked);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_prestashop_for_no_scope_is_authenticated_and_no_more() -> Result<()> {
    let seeds = seeds().await?;
    for asked in ["", "scope=", "scopes=", "scope[]=", "scope=is_authenticated"] {
        assert_eq!(scopes(&access(&by_form(seeds, asked).await?)?)?, ["is_authenticated"], "{asked}");
    }
    assert_eq!(scopes(&access(&by_json(seeds, r#""scope":[]"#).await?)?)?, ["is_authenticated"]);
    Ok(())
}

/// What a machine and a person ask Shopware for, and what they get.
#[rstest]
#[case::nothing("", &["read"])]
#[case::an_empty_text(r#","scopes":"""#, &["read"])]
#[case::an_empty_list(r#","scopes":[]"#, &["read"])]
#[case::write_in_a_text(r#","scopes":"write""#, &["write"])]
#[case::write_in_a_list(r#","scopes":["write"]"#, &["write"])]
#[case::both(r#","scopes":"write read""#, &["write", "read"])]
#[tokio::test(flavor = "multi_thread")]
async fn shopware_gives_write_to_who_asks_for_it_and_to_nobody_else(
    #[case] asked: &str,
    #[case] expected: &[&str],
) -> Result<()> {
    let seeds = seeds().await?;
    let machine = format!(
        r#"{{"grant_type":"client_credentials","client_id":"{SHOPWARE_INTEGRATION}","client_secret":"{SHOPWARE_SECRET}"{asked}}}"#
    );
    let person = format!(
        r#"{{"grant_type":"password","client_id":"administration","username":"admin","password":"shopware"{asked}}}"#
    );
    for body in [machine, person] {
        let answer = post_json(&seeds.world, System::Shopware.path(), &body).await?;
        assert_eq!(scopes(&access(&answer)?)?, expected, "{body}");
    }
    Ok(())
}
