//! Who may administer and follow the log, and what administration refuses.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use rstest::rstest;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_api::admin::v1::key_service_client::KeyServiceClient;
use tessera_api::admin::v1::scope_service_client::ScopeServiceClient;
use tessera_api::admin::v1::{self as api};
use tessera_api::sync::v1::AuthenticateClientRequest;
use tessera_api::sync::v1::sync_service_client::SyncServiceClient;
use tessera_testkit::pair::{ADMINISTRATOR, Backend, Options};
use tessera_testkit::process::{binary, clean_command};
use tessera_tests::{
    Client, World, as_bearer, channel, create_client, eventually, reason, revoke, token, world, world_with,
};
use tokio::task::JoinSet;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// A client that may ask for every reserved scope, for the issuer and for somebody else.
fn trusted(world: &World) -> Result<Client> {
    let issuer = world.pair.ports.issuer_url();
    let rights = ["tessera.admin", "tessera.admin.read", "tessera.sync", "orders:read"];
    let arguments = [&["--grant", "client_credentials", "--scope"], &rights[..], &["--audience", &issuer, "orders-api"]];
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
        Some(value) => {
            tessera_tests::with_authorization(value, ()).map_err(|error| Status::internal(error.to_string()))?
        }
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
        ("an introspector", bearer(token_for(&world, &trusted, "tessera.sync", &issuer).await?), Code::PermissionDenied),
        ("a revoked administrator's token", bearer(revoked), Code::Unauthenticated),
    ];
    let methods = methods_of("tessera.admin.v1")?;
    assert!(methods.len() >= 17, "{methods:?}");
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
            assert_eq!(status.code(), Code::InvalidArgument, "{method}: {status:?}");
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
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "SCOPE_MISSING"), "{method}");
        }
    }
    assert!(read >= 6);
    let mut service = ClientServiceClient::new(channel);
    let message = api::GetClientRequest { client_id: "service".to_owned() };
    let found = service.get_client(as_bearer(&reader, message)?).await?.into_inner().client.context("a client")?;
    assert_eq!(found.client_id, "service");
    // Nor does reading help to revoke somebody else's token.
    let token = world.token().await?;
    let message = tessera_api::oauth::v1::RevokeTokenRequest { token: token.clone(), ..Default::default() };
    let mut tokens = tessera_api::oauth::v1::token_service_client::TokenServiceClient::new(
        tessera_tests::channel(world.pair.ports.issuer_grpc).await?,
    );
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
        ("an administrator", bearer(token_for(&world, &trusted, "tessera.admin", &issuer).await?), Code::PermissionDenied),
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
        let refused =
            scopes.create_scope(as_bearer(&admin, api::CreateScopeRequest { scope: Some(scope) })?).await.expect_err(name);
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "SCOPE_RESERVED"), "{name}");
    }
    let message = api::DeleteScopeRequest { name: "tessera.admin".to_owned() };
    assert!(scopes.delete_scope(as_bearer(&admin, message)?).await.is_err());
    let message = api::DeleteScopeRequest { name: "orders:read".to_owned() };
    let refused = scopes.delete_scope(as_bearer(&admin, message)?).await.expect_err("a client still has it");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "SCOPE_IN_USE"));
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn of_secrets_nothing_but_their_times_is_told(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let mut service = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let rotate = |overlap: Option<i64>| api::RotateClientSecretRequest {
        client_id: "service".to_owned(),
        overlap: overlap.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        expire_time: None,
    };
    let rotated = service.rotate_client_secret(as_bearer(&admin, rotate(None))?).await?.into_inner();
    assert!(rotated.client_secret.starts_with("tsk_") && rotated.confirmed);
    let message = api::ListClientSecretsRequest { client_id: "service".to_owned() };
    let listed = service.list_client_secrets(as_bearer(&admin, message)?).await?.into_inner();
    assert_eq!(listed.secrets.len(), 2, "two live at once");
    assert_eq!(listed.secrets[0].expire_time, None, "the newest first");
    let day = 24 * 60 * 60;
    let (made, ends) = (listed.secrets[0].create_time.context("made")?, listed.secrets[1].expire_time.context("an end")?);
    assert!((ends.seconds - made.seconds - day).abs() <= 60, "the one before ends after a day");
    let text = format!("{listed:?}");
    assert!(!text.contains(&rotated.client_secret) && !text.contains(&world.service.secret) && !text.contains("tsk_"));
    for out_of_bounds in [-1, 31 * day, i64::MAX] {
        let refused = service.rotate_client_secret(as_bearer(&admin, rotate(Some(out_of_bounds)))?).await;
        assert_eq!(refused.expect_err("out of bounds").code(), Code::InvalidArgument, "{out_of_bounds} s");
    }
    let message = api::ListClientSecretsRequest { client_id: "service".to_owned() };
    let after = service.list_client_secrets(as_bearer(&admin, message)?).await?.into_inner();
    assert_eq!(after, listed, "a refused rotation changes nothing");
    for secret in [&world.service.secret, &rotated.client_secret] {
        token(world.pair.ports.issuer_grpc, &Client { secret: secret.clone(), ..world.service.clone() }).await?;
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_is_not_found_and_what_there_is_is_taken_once(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    for arguments in [
        &["get", "nobody"][..],
        &["enable", "nobody"],
        &["disable", "nobody", "--yes"],
        &["delete", "nobody", "--yes"],
        &["revoke-tokens", "nobody", "--yes"],
        &["secret", "rotate", "nobody"],
        &["secret", "list", "nobody"],
        &["update", "nobody", "--name", "Somebody"],
    ] {
        let output = world.pair.tessera(&[&["client"], arguments].concat())?;
        assert_eq!(output.status.code(), Some(4), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // Eight at once want the same id: one gets it.
    let mut creations = JoinSet::new();
    for number in 0..8 {
        let mut service = ClientServiceClient::new(channel.clone());
        let client = api::Client {
            client_id: "wanted".to_owned(),
            name: format!("Wanted {number}"),
            resources: vec!["orders-api".to_owned()],
            ..api::Client::default()
        };
        let request = as_bearer(&admin, api::CreateClientRequest { client: Some(client), ..Default::default() })?;
        creations.spawn(async move { service.create_client(request).await });
    }
    let outcomes = creations.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
    }
    let mut service = ClientServiceClient::new(channel);
    let same_name = api::Client {
        client_id: "another".to_owned(),
        name: "service".to_owned(),
        resources: vec!["orders-api".to_owned()],
        ..api::Client::default()
    };
    let message = api::CreateClientRequest { client: Some(same_name), ..Default::default() };
    let refused = service.create_client(as_bearer(&admin, message)?).await.expect_err("the name is taken");
    assert_eq!(refused.code(), Code::AlreadyExists);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_update_names_fields_that_can_change_and_overwrites_nobody_elses(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let mut service = ClientServiceClient::new(channel.clone());
    let message = api::GetClientRequest { client_id: "service".to_owned() };
    let before = service.get_client(as_bearer(&admin, message)?).await?.into_inner().client.context("a client")?;
    let update = |client: api::Client, paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        api::UpdateClientRequest { client: Some(client), update_mask: Some(prost_types::FieldMask { paths }) }
    };

    for mask in [
        &[][..], &["enabled"], &["client_id"], &["etag"], &["type"], &["create_time"], &["secrets"], &["*"], &[""],
        &["name", "nope"], &["Name"], &["name.first"],
    ] {
        let refused = service.update_client(as_bearer(&admin, update(before.clone(), mask))?).await.expect_err("a bad mask");
        assert_eq!(refused.code(), Code::InvalidArgument, "{mask:?}");
        let violations = refused.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        assert_eq!(violations[0].field, "update_mask", "{mask:?}");
    }
    let none = api::UpdateClientRequest { client: Some(before.clone()), update_mask: None };
    assert_eq!(service.update_client(as_bearer(&admin, none)?).await.expect_err("no mask").code(), Code::InvalidArgument);

    // Only what the mask names is changed.
    let changed = api::Client { name: "Renamed".to_owned(), description: "Unmasked".to_owned(), scopes: Vec::new(), ..before.clone() };
    let after = service.update_client(as_bearer(&admin, update(changed, &["name"]))?).await?.into_inner();
    let after = after.client.context("a client")?;
    assert_eq!((after.name.as_str(), &after.description, &after.scopes), ("Renamed", &before.description, &before.scopes));
    assert_ne!(after.etag, before.etag);

    let stale = api::Client { description: "Too late".to_owned(), ..before.clone() };
    let refused =
        service.update_client(as_bearer(&admin, update(stale.clone(), &["description"]))?).await.expect_err("a stale etag");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "CHANGED_MEANWHILE"));
    let bad = api::Client { etag: "x' OR 1=1".to_owned(), ..stale.clone() };
    let refused = service.update_client(as_bearer(&admin, update(bad, &["description"]))?).await.expect_err("no etag of ours");
    assert_eq!(refused.code(), Code::InvalidArgument);

    // Of eight with the same etag one wins, whatever the database.
    let mut updates = JoinSet::new();
    for number in 0..8 {
        let mut service = service.clone();
        let client = api::Client { description: format!("Number {number}"), etag: after.etag.clone(), ..after.clone() };
        let request = as_bearer(&admin, update(client, &["description"]))?;
        updates.spawn(async move { service.update_client(request).await });
    }
    let outcomes = updates.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    }
    // Without an etag the last one wins.
    let blind = api::Client { etag: String::new(), ..stale };
    service.update_client(as_bearer(&admin, update(blind, &["description"]))?).await?;
    Ok(())
}

/// What somebody may make of a page token: every byte changed, pieces cut off and put on, and what injections look like.
fn mutations(token: &str) -> Vec<String> {
    let mut mutated: Vec<String> = (0..token.len()).map(|end| token[..end].to_owned()).collect();
    for position in 0..token.len() {
        for other in ["A", "_", "'", "%", "=", "é"] {
            mutated.push(format!("{}{other}{}", &token[..position], &token[position + 1..]));
        }
    }
    mutated.extend(["' OR 1=1 --", "1", "MTo", "MToA", "MTon", "MTo7", "MjphYmM", "\u{0}", "😀"].map(str::to_owned));
    mutated.push(format!("{token}{token}"));
    mutated.push(token.repeat(300));
    mutated
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_and_a_changed_page_token_is_never_our_fault(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let channel = channel(world.pair.ports.issuer_grpc).await?;
    let (mut clients, mut scopes, mut keys) = (
        ClientServiceClient::new(channel.clone()),
        ScopeServiceClient::new(channel.clone()),
        KeyServiceClient::new(channel),
    );
    // An order that is not the locale's: upper case, digits and punctuation beside lower case.
    for id in ["Zebra", "apple", "apple-2", "10", "_x"] {
        create_client(&world.pair, id, &["--resource", "orders-api"])?;
    }
    let (mut seen, mut page_token, mut tokens) = (Vec::new(), String::new(), Vec::new());
    loop {
        let message = api::ListClientsRequest { page_size: 2, page_token, ..Default::default() };
        let page = clients.list_clients(as_bearer(&admin, message)?).await?.into_inner();
        ensure!(page.clients.len() <= 2, "a page too long");
        seen.extend(page.clients.into_iter().map(|client| client.client_id));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        tokens.push(page_token.clone());
    }
    let all = ["10", "Zebra", "_x", "apple", "apple-2", "resource", "service", "tessera-admin", "tessera-introspector"];
    assert_eq!(seen, all, "each once, by identifier");

    let message = api::ListScopesRequest { page_size: 1, ..Default::default() };
    let of_scopes = scopes.list_scopes(as_bearer(&admin, message)?).await?.into_inner().next_page_token;
    for page_token in tokens.iter().take(2).chain([&of_scopes]).flat_map(|token| mutations(token)) {
        let allowed = |status: &Status| status.code() == Code::InvalidArgument;
        let message = api::ListClientsRequest { page_size: 2, page_token: page_token.clone(), ..Default::default() };
        if let Err(status) = clients.list_clients(as_bearer(&admin, message)?).await {
            assert!(allowed(&status), "clients with {page_token:?}: {status:?}");
        }
        let message = api::ListScopesRequest { page_size: 2, page_token: page_token.clone() };
        if let Err(status) = scopes.list_scopes(as_bearer(&admin, message)?).await {
            assert!(allowed(&status), "scopes with {page_token:?}: {status:?}");
        }
        let message = api::ListKeysRequest { page_size: 2, page_token: page_token.clone() };
        if let Err(status) = keys.list_keys(as_bearer(&admin, message)?).await {
            assert!(allowed(&status), "keys with {page_token:?}: {status:?}");
        }
    }
    for (page_size, expected) in [(i32::MAX, Ok(all.len())), (0, Ok(all.len())), (-1, Err(Code::InvalidArgument))] {
        let message = api::ListClientsRequest { page_size, ..Default::default() };
        let page = clients.list_clients(as_bearer(&admin, message)?).await;
        assert_eq!(page.map(|page| page.into_inner().clients.len()).map_err(|status| status.code()), expected, "{page_size}");
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_text_and_not_a_pattern(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let mut clients = ClientServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    for (id, name) in [("percent", "50% off"), ("accent", "Épicerie"), ("quote", "O'Brien\\Söhne_1")] {
        world.pair.tessera_json(&["client", "create", "--client-id", id, "--name", name, "--resource", "orders-api"])?;
    }
    for (filter, expected) in [
        ("%", &["percent"][..]),
        ("_", &["quote"]),
        ("\\", &["quote"]),
        ("'", &["quote"]),
        ("' OR '1'='1", &[]),
        ("o'brien", &["quote"]),
        // Of ASCII letters alone the case does not matter, alike on every database.
        ("ÉPICERIE", &["accent"]),
        ("épicerie", &[]),
        ("e%f", &[]),
    ] {
        let message = api::ListClientsRequest { name_contains: filter.to_owned(), ..Default::default() };
        let found = clients.list_clients(as_bearer(&admin, message)?).await?.into_inner().clients;
        let ids: Vec<_> = found.iter().map(|client| client.client_id.as_str()).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let nul = api::ListClientsRequest { name_contains: "a\u{0}b".to_owned(), ..Default::default() };
    match clients.list_clients(as_bearer(&admin, nul)?).await {
        Ok(page) => assert_eq!(page.into_inner().clients, []),
        Err(status) => assert_eq!(status.code(), Code::InvalidArgument, "{status:?}"),
    }
    Ok(())
}
