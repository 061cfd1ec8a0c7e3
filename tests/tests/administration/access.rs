//! Who may administer and follow the log.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use rstest::rstest;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::admin::v1::key_service_client::KeyServiceClient;
use tessera_api::admin::v1::scope_service_client::ScopeServiceClient;
use tessera_api::admin::v1::{self as api};
use tessera_api::oauth::v1::RevokeTokenRequest;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::sync::v1::AuthenticateClientRequest;
use tessera_api::sync::v1::sync_service_client::SyncServiceClient;
use tessera_testkit::pair::{ADMINISTRATOR, Backend, Options};
use tessera_testkit::process::{binary, clean_command};
use tessera_tests::{
    Client, World, as_bearer, channel, create_client, eventually, reason, revoke, token, with_authorization, world,
    world_with,
};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// A client that may ask for every reserved scope, for the issuer and for somebody else.
fn trusted(world: &World) -> Result<Client> {
    let issuer = world.pair.ports.issuer_url();
    let rights = ["tessera.admin", "tessera.admin.read", "tessera.sync", "orders:read"];
    let arguments =
        [&["--grant", "client_credentials", "--scope"], &rights[..], &["--audience", &issuer, "orders-api"]];
    create_client(&world.pair, "trusted", &arguments.concat())
}

/// A token of the client that is good for this.
async fn token_for(world: &World, client: &Client, scope: &str, audience: &str) -> Result<String> {
    let answer = world.token_with(client, scope, audience).await?.json()?;
    Ok(answer["access_token"].as_str().with_context(|| format!("no token: {answer}"))?.to_owned())
}

/// Every method of a package, as `/package.Service/Method`, read from the contracts so that none is forgotten.
fn methods_of(package: &str) -> Result<Vec<String>> {
    let set = prost_types::FileDescriptorSet::decode(tessera_api::FILE_DESCRIPTOR_SET)?;
    let files = set.file.into_iter().filter(|file| file.package() == package);
    let services = files.flat_map(|file| file.service);
    Ok(services
        .flat_map(|service| {
            let name = service.name().to_owned();
            service.method.into_iter().map(move |method| (name.clone(), method.name().to_owned()))
        })
        .map(|(service, method)| format!("/{package}.{service}/{method}"))
        .collect())
}

/// Calls any method with an empty message.
async fn call(channel: &Channel, path: &str, authorization: Option<&str>) -> Result<(), Status> {
    let internal = |error: &dyn std::error::Error| Status::internal(error.to_string());
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| internal(&error))?;
    let request = match authorization {
        Some(value) => with_authorization(value, ()).map_err(|error| Status::internal(error.to_string()))?,
        None => Request::new(()),
    };
    let path: PathAndQuery = path.parse().map_err(|error| internal(&error))?;
    grpc.unary(request, path, tonic_prost::ProstCodec::<(), ()>::default()).await.map(drop)
}

fn init(world: &World, arguments: &[&str]) -> Result<Output> {
    let config = world.pair.folder().join("tessera-issuer.toml");
    let mut command = clean_command(&binary("tessera")?);
    command.env("HOME", world.pair.folder()).args(["init", "-o", "json", "--config"]).arg(config).args(arguments);
    Ok(command.output()?)
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn every_administrative_call_refuses_whoever_may_not_administer(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let (issuer, trusted) = (world.pair.ports.issuer_url(), trusted(&world)?);
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let revoked = token_for(&world, &trusted, "tessera.admin", &issuer).await?;
    revoke(world.pair.ports.issuer_grpc, &trusted, &revoked).await?;
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let callers = [
        ("no credential", None, Code::Unauthenticated),
        ("a client's secret", Some(trusted.basic()), Code::Unauthenticated),
        ("rubbish", bearer("rubbish".to_owned()), Code::Unauthenticated),
        ("a token of another scope", bearer(world.token().await?), Code::Unauthenticated),
        (
            "the issuer's audience without the scope",
            bearer(token_for(&world, &trusted, "orders:read", &issuer).await?),
            Code::PermissionDenied,
        ),
        (
            "the scope for another audience",
            bearer(token_for(&world, &trusted, "tessera.admin", "orders-api").await?),
            Code::Unauthenticated,
        ),
        (
            "an introspector",
            bearer(token_for(&world, &trusted, "tessera.sync", &issuer).await?),
            Code::PermissionDenied,
        ),
        ("a revoked administrator's token", bearer(revoked), Code::Unauthenticated),
    ];
    let methods = methods_of("tessera.admin.v1")?;
    assert!(methods.len() >= 26, "{methods:?}");
    for method in &methods {
        for (who, authorization, expected) in &callers {
            let refused = call(&channel, method, authorization.as_deref()).await.expect_err(who);
            assert_eq!(refused.code(), *expected, "{method} by {who}: {refused:?}");
            let info = refused.get_details_error_info().expect("an ErrorInfo");
            assert_eq!(info.domain, "tessera", "{method} by {who}");
        }
    }
    // The same calls by an administrator get as far as their empty messages do.
    let administrator = bearer(token_for(&world, &trusted, "tessera.admin", &issuer).await?);
    for method in &methods {
        if let Err(status) = call(&channel, method, administrator.as_deref()).await {
            // The one whose empty message says which key: the one that waits, which is too young.
            let waits = method.ends_with("/PromoteKey") && status.code() == Code::FailedPrecondition;
            assert!(waits || status.code() == Code::InvalidArgument, "{method}: {status:?}");
        }
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_may_not_write(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let (issuer, trusted) = (world.pair.ports.issuer_url(), trusted(&world)?);
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let reader = token_for(&world, &trusted, "tessera.admin.read", &issuer).await?;
    let authorization = format!("Bearer {reader}");
    let mut read = 0;
    for method in methods_of("tessera.admin.v1")? {
        let answer = call(&channel, &method, Some(&authorization)).await;
        let verb = method.rsplit('/').next().unwrap_or_default();
        if verb.starts_with("Get") || verb.starts_with("List") {
            read += 1;
            let passed = answer.as_ref().map_or_else(|status| status.code() == Code::InvalidArgument, |()| true);
            assert!(passed, "{method}: {answer:?}");
        } else {
            let refused = answer.expect_err(&method);
            assert_eq!(
                (refused.code(), reason(&refused).as_str()),
                (Code::PermissionDenied, "SCOPE_MISSING"),
                "{method}"
            );
        }
    }
    assert!(read >= 8);
    let mut service = ClientServiceClient::new(channel.clone());
    let message = api::GetClientRequest { client_id: "service".to_owned() };
    let found = service.get_client(as_bearer(&reader, message)?).await?.into_inner().client.context("a client")?;
    assert_eq!(found.client_id, "service");
    // Nor does reading help to revoke somebody else's token.
    let token = world.token().await?;
    let message = RevokeTokenRequest { token: token.clone(), ..Default::default() };
    let mut tokens = TokenServiceClient::new(channel.clone());
    let refused = tokens.revoke_token(as_bearer(&reader, message)?).await.expect_err("a reader");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(world.is_active(&token).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_and_the_check_of_credentials_are_for_introspectors_alone(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let (issuer, trusted) = (world.pair.ports.issuer_url(), trusted(&world)?);
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let bearer = |token: String| Some(format!("Bearer {token}"));
    let callers = [
        ("no credential", None, Code::Unauthenticated),
        ("a client's secret", Some(trusted.basic()), Code::Unauthenticated),
        (
            "an administrator",
            bearer(token_for(&world, &trusted, "tessera.admin", &issuer).await?),
            Code::PermissionDenied,
        ),
        (
            "the scope for another audience",
            bearer(token_for(&world, &trusted, "tessera.sync", "orders-api").await?),
            Code::Unauthenticated,
        ),
        ("a resource server's user", bearer(world.token().await?), Code::Unauthenticated),
    ];
    let methods = methods_of("tessera.sync.v1")?;
    assert!(methods.len() >= 2, "{methods:?}");
    for method in &methods {
        for (who, authorization, expected) in &callers {
            let refused = call(&channel, method, authorization.as_deref()).await.expect_err(who);
            assert_eq!(refused.code(), *expected, "{method} by {who}: {refused:?}");
        }
    }

    let token = token_for(&world, &trusted, "tessera.sync", &issuer).await?;
    let mut service = SyncServiceClient::new(channel);
    let mut authenticate = async |client_id: &str, client_secret: &str| {
        let message =
            AuthenticateClientRequest { client_id: client_id.to_owned(), client_secret: client_secret.to_owned() };
        let request = as_bearer(&token, message).map_err(|error| Status::internal(error.to_string()))?;
        service.authenticate_client(request).await.map(tonic::Response::into_inner)
    };
    assert!(authenticate(&world.resource.id, &world.resource.secret).await?.revision > 0);
    let mut refusals = Vec::new();
    for (id, secret) in [("resource", "wrong"), ("nobody", "wrong"), ("resource", ""), ("", ""), ("a b", "\u{0}")] {
        let refused = authenticate(id, secret).await.expect_err("wrong");
        refusals.push((refused.code(), reason(&refused), refused.message().to_owned()));
    }
    assert!(refusals.iter().all(|refusal| refusal == &refusals[0]), "not to be told apart: {refusals:?}");
    assert_eq!(refusals[0].0, Code::Unauthenticated);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_introspector_whose_credential_is_taken_away_stops_answering_until_it_is_given_back(
    #[case] backend: Backend,
) -> Result<()> {
    let options = Options { introspector_sync: "max_staleness = \"1s\"".to_owned(), ..Options::default() };
    let Some(world) = world_with(backend, options).await? else { return Ok(()) };
    let live = world.token().await?;
    assert!(world.is_active(&live).await?);
    world.pair.tessera_json(&["client", "disable", "tessera-introspector", "--yes"])?;
    let refused = eventually("it is out of touch", async || match world.check(&live).await {
        Ok(answer) => {
            ensure!(answer.active, "nothing was revoked");
            Ok(None)
        }
        Err(status) => Ok(Some(status)),
    })
    .await?;
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "OUT_OF_TOUCH"));
    world.pair.tessera_json(&["client", "enable", "tessera-introspector"])?;
    assert!(world.is_active_again(&live).await?);
    world.revoke(&live).await?;
    assert!(!world.is_active(&live).await?);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_first_administrator_and_recovery_ends_its_old_credential(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let issuer = world.pair.ports.issuer_grpc;
    let old = Client { id: ADMINISTRATOR.to_owned(), secret: world.pair.administrator_secret()? };
    let old_token = world.admin_token().await?;
    let [second, recovered] = ["second.secret", "recovered.secret"].map(|name| world.pair.folder().join(name));
    let paths = [&second, &recovered].map(|path| path.display().to_string());

    let refused = init(&world, &["--admin-secret-out", &paths[0], "--introspector-secret-out", &paths[1]])?;
    let problem: serde_json::Value = serde_json::from_slice(&refused.stderr)?;
    assert_eq!((refused.status.code(), problem["reason"].as_str()), (Some(5), Some("ADMINISTRATOR_EXISTS")));
    assert!(!second.exists() && !recovered.exists(), "nothing is written");
    token(issuer, &old).await?;

    // Beside the running issuer.
    let output = init(&world, &["--recover", "--admin-secret-out", &paths[1]])?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mode = std::fs::metadata(&recovered)?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    let secret = std::fs::read_to_string(&recovered)?.trim().to_owned();
    let printed = [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat();
    assert!(!printed.contains(&secret), "the secret is in its file and nowhere else");
    let new = Client { secret, ..old.clone() };
    token(issuer, &new).await?;
    let refused = token(issuer, &old).await.expect_err("the old credential is dead").downcast::<Status>()?;
    assert_eq!(refused.code(), Code::Unauthenticated);

    let mut service = KeyServiceClient::new(channel(issuer).await?);
    eventually("the old credential's tokens are dead", async || {
        match service.list_keys(as_bearer(&old_token, api::ListKeysRequest::default())?).await {
            Ok(_) => Ok(None),
            Err(status) => {
                ensure!(status.code() == Code::Unauthenticated, "{status:?}");
                Ok(Some(()))
            }
        }
    })
    .await?;
    let new_token = token(issuer, &new).await?;
    service.list_keys(as_bearer(&new_token, api::ListKeysRequest::default())?).await?;
    let token = world.token().await?;
    assert!(world.is_active_again(&token).await?, "the rest goes on");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn reserved_scopes_are_nobodys_to_make_or_to_take(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    for scope in ["tessera.admin", "tessera.admin.read", "tessera.sync", "introspect"] {
        let refused = world.token_with(&world.service, scope, "orders-api").await?;
        assert_eq!((refused.status, refused.error().as_str()), (400, "invalid_scope"), "{scope}: {}", refused.body);
    }
    let mut scopes = ScopeServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    for name in ["tessera.everything", "tessera.admin", "introspect"] {
        let scope = api::Scope { name: name.to_owned(), ..api::Scope::default() };
        let refused = scopes
            .create_scope(as_bearer(&admin, api::CreateScopeRequest { scope: Some(scope) })?)
            .await
            .expect_err(name);
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "SCOPE_RESERVED"), "{name}");
    }
    let message = api::DeleteScopeRequest { name: "tessera.admin".to_owned() };
    assert!(scopes.delete_scope(as_bearer(&admin, message)?).await.is_err());
    let message = api::DeleteScopeRequest { name: "orders:read".to_owned() };
    let refused = scopes.delete_scope(as_bearer(&admin, message)?).await.expect_err("a client still has it");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "SCOPE_IN_USE"));
    Ok(())
}
