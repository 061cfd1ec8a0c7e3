//! Who may administer, and follow the log (item 44).

use anyhow::{Context as _, Result};
use http::HeaderValue;
use serde_json::json;
use tessera_tests::rpcs::{self, Method, framed};
use tessera_tests::shared::shared;
use tessera_tests::{Client, World, channel, create_client, reason, with_authorization};
use tonic::Code;
use tonic::transport::Channel;

use crate::forge::{Forge, part};

/// The RPCs that are not for clients.
fn guarded() -> Result<Vec<Method>> {
    let methods: Vec<Method> = rpcs::methods()?
        .into_iter()
        .filter(|method| matches!(&*method.package, "tessera.admin.v1" | "tessera.sync.v1"))
        .collect();
    anyhow::ensure!(methods.len() >= 15, "only {methods:?}");
    Ok(methods)
}

/// What an empty message of this caller is answered.
async fn code(channel: &Channel, method: &Method, authorization: Option<&str>) -> Result<Code> {
    let mut headers = Vec::new();
    if let Some(value) = authorization {
        headers.push(("authorization", HeaderValue::try_from(value)?));
    }
    let status = rpcs::call(channel, &method.path, &headers, framed(&[])).await?.status()?;
    Ok(status.code())
}

/// A token of a new client.
async fn token(world: &World, id: &str, scope: &str, audience: &str) -> Result<String> {
    let arguments = ["--grant", "client_credentials", "--scope", scope, "--audience", audience];
    let client = create_client(&world.pair, id, &arguments)?;
    token_of(world, &client, scope, audience).await
}

async fn token_of(world: &World, client: &Client, scope: &str, audience: &str) -> Result<String> {
    let answer = world.token_with(client, scope, audience).await?;
    answer.json()?["access_token"].as_str().map(str::to_owned).with_context(|| answer.body)
}

/// Item 44: administration and the feed refuse callers without their scope, without their audience, without a token.
#[tokio::test]
async fn administration_and_the_feed_refuse_callers_without_their_scope() -> Result<()> {
    let world = shared().await?;
    let issuer = world.pair.ports.issuer_url();
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let administrator =
        Client { id: tessera_testkit::pair::ADMINISTRATOR.to_owned(), secret: world.pair.administrator_secret()? };
    let admin = world.admin_token().await?;
    let feed = world.sync_token().await?;
    let reader = token(world, "reader", "tessera.admin.read", &issuer).await?;
    let elsewhere = token(world, "admin-elsewhere", "tessera.admin", "orders-api").await?;
    let introspecting = token(world, "introspecting", "introspect", &issuer).await?;
    let plain = token(world, "plain", "orders:read", &issuer).await?;
    let service = world.token().await?;
    let forge = Forge { claims: part(&admin, 1)?, ..Forge::of(world).await? };
    let revoked = forge.claims(|_| {});
    tessera_tests::revoke(world.pair.ports.issuer_grpc, &administrator, &revoked).await?;
    let (admin_again, expired) = (world.admin_token().await?, forge.claim("exp", json!(1)));
    let cut = &admin_again[..admin_again.len() - 1];

    for method in guarded()? {
        let is_feed = method.package == "tessera.sync.v1";
        let is_read = method.name().starts_with("Get") || method.name().starts_with("List");
        for (who, authorization) in [
            ("nobody", None),
            ("the administrator by Basic", Some(administrator.basic())),
            ("a client by Basic", Some(world.service.basic())),
            ("an administrator of something else", Some(format!("Bearer {elsewhere}"))),
            ("a client's token for its own audience", Some(format!("Bearer {service}"))),
            ("a revoked token", Some(format!("Bearer {revoked}"))),
            ("an expired token", Some(format!("Bearer {expired}"))),
            ("a cut token", Some(format!("Bearer {cut}"))),
            ("garbage", Some("Bearer garbage".to_owned())),
        ] {
            let code = code(&channel, &method, authorization.as_deref()).await?;
            assert_eq!(code, Code::Unauthenticated, "{}: {who}", method.path);
        }
        for (who, bearer, may) in [
            ("no scope for it", &plain, false),
            ("an introspection scope", &introspecting, false),
            ("the feed's scope", &feed, is_feed),
            ("the readers' scope", &reader, is_read && !is_feed),
            ("the administrators' scope", &admin_again, !is_feed),
        ] {
            let code = code(&channel, &method, Some(&format!("Bearer {bearer}"))).await?;
            let let_in = !matches!(code, Code::Unauthenticated | Code::PermissionDenied);
            // An empty message opens nothing else: what the feed says of no credentials is the client's own failure.
            let its_own = method.name() == "AuthenticateClient" && code == Code::Unauthenticated;
            assert!(let_in == may || (may && its_own), "{}: {who}: {code:?}", method.path);
            assert!(may || code == Code::PermissionDenied, "{}: {who}: {code:?}", method.path);
        }
    }
    Ok(())
}

/// Item 44: a person's token never administers, whatever its scope: nobody's browser session is worth a client's secret.
#[tokio::test]
async fn a_persons_token_never_administers() -> Result<()> {
    let world = shared().await?;
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let admin = world.admin_token().await?;
    let forge = Forge { claims: part(&admin, 1)?, ..Forge::of(world).await? };
    let machine = forge.claim("jti", json!("AAAAAAAAAAAAAAAAAAAAAA"));
    let person = forge.claims(|claims| {
        claims.insert("sub".to_owned(), json!("0198c0de-0000-7000-8000-000000000001"));
        claims.insert("username".to_owned(), json!("ada"));
        claims.insert("scope".to_owned(), json!("tessera.admin tessera.admin.read tessera.sync"));
    });
    let list = Method {
        package: "tessera.admin.v1".to_owned(),
        path: "/tessera.admin.v1.ClientService/ListClients".to_owned(),
        streaming: false,
    };
    assert_eq!(
        code(&channel, &list, Some(&format!("Bearer {machine}"))).await?,
        Code::Ok,
        "the forgery itself is good"
    );
    for method in guarded()? {
        let code = code(&channel, &method, Some(&format!("Bearer {person}"))).await?;
        assert_eq!(code, Code::PermissionDenied, "{}", method.path);
    }
    Ok(())
}

/// Item 44: nobody gets a reserved scope that an administrator has not given.
#[tokio::test]
async fn reserved_scopes_are_given_and_never_taken() -> Result<()> {
    let world = shared().await?;
    let issuer = world.pair.ports.issuer_url();
    let client = create_client(
        &world.pair,
        "ambitious",
        &["--grant", "client_credentials", "--scope", "orders:read", "--audience", &issuer],
    )?;
    for scope in ["tessera.admin", "tessera.admin.read", "tessera.sync", "introspect", "orders:read tessera.admin"] {
        let answer = world.token_with(&client, scope, &issuer).await?;
        tessera_tests::refusal::assert_refused(&answer, 400, "invalid_scope", scope);
    }
    // Nor do those of a scope that only looks reserved come into being.
    for scope in ["tessera.new", "tessera.", "introspect"] {
        let output = world.pair.tessera(&["scope", "create", scope])?;
        assert!(!output.status.success(), "{scope} was registered");
    }
    Ok(())
}

/// Item 44 with 29: revoking for others takes the administrators' scope.
#[tokio::test]
async fn revoking_any_clients_token_takes_the_administrators_scope() -> Result<()> {
    use tessera_api::oauth::v1::RevokeTokenRequest;
    use tessera_api::oauth::v1::token_service_client::TokenServiceClient;

    let world = shared().await?;
    let issuer = world.pair.ports.issuer_url();
    let reader = token(world, "revoking-reader", "tessera.admin.read", &issuer).await?;
    let victim = world.token().await?;
    let message = || RevokeTokenRequest { token: victim.clone(), ..RevokeTokenRequest::default() };
    let mut service = TokenServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    for (bearer, code) in [(&reader, Code::PermissionDenied), (&victim, Code::Unauthenticated)] {
        let status = service
            .revoke_token(with_authorization(&format!("Bearer {bearer}"), message())?)
            .await
            .expect_err("refused");
        assert_eq!(status.code(), code, "{status:?} {}", reason(&status));
        assert!(world.everybody_says_active(&victim).await?);
    }
    let admin = world.admin_token().await?;
    service.revoke_token(with_authorization(&format!("Bearer {admin}"), message())?).await?;
    assert!(!world.everybody_says_active(&victim).await?);
    Ok(())
}
