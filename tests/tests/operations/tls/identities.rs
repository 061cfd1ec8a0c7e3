//! Who is who by a certificate, and what that does not give.

use anyhow::Result;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::admin::v1::{DeleteClientRequest, ListClientsRequest};
use tessera_api::oauth::v1::RevokeTokenRequest;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::sync::v1::sync_service_client::SyncServiceClient;
use tessera_api::sync::v1::{AuthenticateClientRequest, WatchRequest};
use tessera_testkit::pair::Backend;
use tessera_tests::{Client, as_bearer, as_client, eventually, reason};
use tonic::{Code, Request, Status};

use super::setting::{ADMINISTRATOR, AUDITOR, INTROSPECTOR, ORDERS, STRANGER, Setting, introspect};

async fn setting() -> Result<Setting> {
    Ok(Setting::start(Backend::Sqlite).await?.expect("SQLite is always there"))
}

fn told(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

#[tokio::test]
async fn a_certificate_of_a_disabled_client_is_refused_in_the_next_call() -> Result<()> {
    let setting = setting().await?;
    let token = setting.token().await?;
    let channel = setting.as_holder(setting.ports.introspector_grpc, ORDERS).await?;
    assert!(introspect(channel.clone(), &token).await?.active);
    setting.tessera_json(&["client", "disable", "resource", "--yes"])?;
    let refused = introspect(channel.clone(), &token).await.expect_err("disabled");
    assert_eq!(told(&refused), (Code::Unauthenticated, "CLIENT_AUTHENTICATION_FAILED".to_owned()));
    setting.tessera_json(&["client", "enable", "resource"])?;
    eventually("the introspector knows that it is enabled", async || {
        Ok(introspect(channel.clone(), &token).await.is_ok_and(|answer| answer.active).then_some(()))
    })
    .await?;
    setting.tessera_json(&["client", "delete", "resource", "--yes"])?;
    let refused = introspect(channel, &token).await.expect_err("gone");
    assert_eq!(told(&refused), (Code::Unauthenticated, "CLIENT_AUTHENTICATION_FAILED".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_is_nobodys_asks_nothing_and_changes_nothing() -> Result<()> {
    let setting = setting().await?;
    let token = setting.token().await?;
    let channel = setting.as_holder(setting.ports.introspector_grpc, STRANGER).await?;
    let refused = introspect(channel, &token).await.expect_err("nobody");
    assert_eq!(told(&refused), (Code::Unauthenticated, "CLIENT_CERTIFICATE_UNKNOWN".to_owned()));
    let channel = setting.as_holder(setting.ports.issuer_grpc, STRANGER).await?;
    let listing = ClientServiceClient::new(channel).list_clients(ListClientsRequest::default()).await;
    let refused = listing.expect_err("nobody");
    assert_eq!(told(&refused), (Code::Unauthenticated, "CLIENT_CERTIFICATE_UNKNOWN".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_good_for_the_scopes_it_was_given_alone() -> Result<()> {
    let setting = setting().await?;
    let delete = || DeleteClientRequest { client_id: "service".to_owned() };
    let scope = (Code::PermissionDenied, "SCOPE_MISSING".to_owned());

    let channel = setting.as_holder(setting.ports.issuer_grpc, AUDITOR).await?;
    let mut auditor = ClientServiceClient::new(channel.clone());
    auditor.list_clients(ListClientsRequest::default()).await?;
    assert_eq!(told(&auditor.delete_client(delete()).await.expect_err("reads alone")), scope);
    let ask = || AuthenticateClientRequest { client_id: "service".to_owned(), client_secret: "x".to_owned() };
    let asked = SyncServiceClient::new(channel).authenticate_client(ask()).await;
    assert_eq!(told(&asked.expect_err("no introspector")), scope);

    let channel = setting.as_holder(setting.ports.issuer_grpc, INTROSPECTOR).await?;
    let listing = ClientServiceClient::new(channel.clone()).list_clients(ListClientsRequest::default()).await;
    assert_eq!(told(&listing.expect_err("no administrator")), scope);
    let asked = SyncServiceClient::new(channel).authenticate_client(ask()).await;
    assert_eq!(reason(&asked.expect_err("a wrong secret")), "CLIENT_AUTHENTICATION_FAILED");

    let channel = setting.as_holder(setting.ports.issuer_grpc, ADMINISTRATOR).await?;
    let watched = SyncServiceClient::new(channel).watch(tokio_stream::iter([WatchRequest::default()])).await;
    assert_eq!(told(&watched.expect_err("no introspector")), scope);
    Ok(())
}

#[tokio::test]
async fn a_certificate_beside_a_credential_adds_nothing_to_it() -> Result<()> {
    let setting = setting().await?;
    let token = setting.token().await?;
    // A service's token, over a connection of the administrator's certificate.
    let channel = setting.as_holder(setting.ports.issuer_grpc, ADMINISTRATOR).await?;
    let mut administration = ClientServiceClient::new(channel.clone());
    administration.list_clients(ListClientsRequest::default()).await?;
    let listing = administration.list_clients(as_bearer(&token, ListClientsRequest::default())?).await;
    assert_eq!(reason(&listing.expect_err("the token says less")), "BEARER_TOKEN_INVALID");
    let basic = as_client(&setting.service, ListClientsRequest::default())?;
    assert_eq!(reason(&administration.list_clients(basic).await.expect_err("no token")), "BEARER_TOKEN_MISSING");

    // A wrong secret, over a connection of a certificate that would do.
    let channel = setting.as_holder(setting.ports.introspector_grpc, ORDERS).await?;
    let wrong = Client { id: "resource".to_owned(), secret: "wrong".to_owned() };
    let refused = tessera_tests::check_on(channel, &wrong, &token).await.expect_err("a wrong secret");
    assert_eq!(told(&refused), (Code::Unauthenticated, "CLIENT_AUTHENTICATION_FAILED".to_owned()));
    Ok(())
}

#[tokio::test]
async fn an_administrators_certificate_revokes_anybodys_token() -> Result<()> {
    let setting = setting().await?;
    let token = setting.token().await?;
    let message = || Request::new(RevokeTokenRequest { token: token.clone(), ..RevokeTokenRequest::default() });
    let channel = setting.as_holder(setting.ports.issuer_grpc, AUDITOR).await?;
    let refused = TokenServiceClient::new(channel).revoke_token(message()).await.expect_err("reads alone");
    assert_eq!(reason(&refused), "SCOPE_MISSING");
    assert!(setting.check(&token).await?.active);
    let channel = setting.as_holder(setting.ports.issuer_grpc, ADMINISTRATOR).await?;
    TokenServiceClient::new(channel).revoke_token(message()).await?;
    assert!(!setting.check(&token).await?.active);
    // Who may ask about tokens is no administrator, and no client that authenticates by its certificate.
    let channel = setting.as_holder(setting.ports.issuer_grpc, ORDERS).await?;
    let refused = TokenServiceClient::new(channel.clone()).revoke_token(message()).await.expect_err("asks alone");
    assert_eq!(reason(&refused), "CLIENT_AUTHENTICATION_MISSING");
    let listing = ClientServiceClient::new(channel).list_clients(ListClientsRequest::default()).await;
    assert_eq!(reason(&listing.expect_err("asks alone")), "SCOPE_MISSING");
    Ok(())
}

#[tokio::test]
async fn over_http_a_certificate_asks_too_and_the_connection_counts_as_https() -> Result<()> {
    let setting = setting().await?;
    let token = setting.token().await?;
    let post = |path: &str, form: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n{form}",
            form.len()
        )
    };
    let orders = setting.clients.client(ORDERS)?;
    let stranger = setting.clients.client(STRANGER)?;
    // The introspector's door and the issuer's own, by the one rule.
    for at in [setting.ports.introspector_http, setting.ports.issuer_http] {
        let ask = |more: &str| post("/oauth2/introspect", &format!("token={token}{more}"));
        let answer = setting.http(at, Some(&orders), &ask("")).await?;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"active\":true"), "{answer}");
        let answer = setting.http(at, Some(&orders), &ask("&client_id=resource")).await?;
        assert!(answer.contains("\"active\":true"), "{answer}");
        let answer = setting.http(at, Some(&orders), &ask("&client_id=service")).await?;
        assert!(answer.starts_with("HTTP/1.1 401"), "another client's certificate: {answer}");
        assert!(answer.contains("not for the client that client_id names"), "{answer}");
        let answer = setting.http(at, Some(&orders), &ask("&client_id=resource&client_secret=wrong")).await?;
        assert!(answer.starts_with("HTTP/1.1 401"), "a secret beside it counts, and is wrong: {answer}");
        let answer = setting.http(at, Some(&stranger), &ask("")).await?;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("[[tls.identities]]"), "nobody's: {answer}");
        let answer = setting.http(at, None, &ask("")).await?;
        assert!(answer.starts_with("HTTP/1.1 401"), "nobody at all: {answer}");
    }
    // And one that is disabled asks nothing any more.
    setting.tessera_json(&["client", "disable", "resource", "--yes"])?;
    for at in [setting.ports.introspector_http, setting.ports.issuer_http] {
        let answer = setting.http(at, Some(&orders), &post("/oauth2/introspect", &format!("token={token}"))).await?;
        assert!(answer.starts_with("HTTP/1.1 401"), "disabled: {answer}");
    }

    // PrestaShop's endpoint looks at nothing that came in plain text.
    let answer = setting.http(setting.ports.issuer_http, None, &post("/admin-api/access_token", "")).await?;
    assert!(!answer.to_lowercase().contains("https"), "{answer}");
    Ok(())
}
