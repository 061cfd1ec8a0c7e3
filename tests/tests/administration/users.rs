//! Users: what is told of them, lists, and what becomes of a person's tokens.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use serde_json::Value;
use tessera_api::admin::v1::user_service_client::UserServiceClient;
use tessera_api::admin::v1::{self as api};
use tessera_testkit::pair::{Backend, Options};
use tessera_tests::{Answer, Client, World, as_bearer, channel, create_client, post, reason, world, world_with};
use tokio::task::JoinSet;
use tonic::Code;

use crate::clients::mutations;

/// A file with this in it; its path.
fn file(world: &World, name: &str, text: &str) -> Result<String> {
    let path = world.pair.folder().join(name);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

fn create(world: &World, name: &str, arguments: &[&str]) -> Result<Value> {
    world.pair.tessera_json(&[&["user", "create", "--username", name], arguments].concat())
}

/// A pair where the password grant is on, with a first-party client.
async fn first_party(backend: Backend) -> Result<Option<(World, Client)>> {
    let issuer = "[tokens]\npassword_grant = true".to_owned();
    let Some(world) = world_with(backend, Options { issuer, ..Options::default() }).await? else { return Ok(None) };
    let shape = ["--grant", "password", "refresh_token", "--scope", "orders:read", "--default-scope", "orders:read"];
    let app = create_client(&world.pair, "app", &[&shape[..], &["--audience", "orders-api"]].concat())?;
    Ok(Some((world, app)))
}

async fn sign_in(world: &World, app: &Client, who: &str, password: &str) -> Result<Answer> {
    let fields = [("grant_type", "password"), ("username", who), ("password", password)];
    post(world.pair.ports.issuer_http, "/oauth2/token", Some(app), &fields).await
}

async fn access_token(world: &World, app: &Client, who: &str, password: &str) -> Result<String> {
    let answer = sign_in(world, app, who, password).await?;
    answer.json()?["access_token"].as_str().map(str::to_owned).with_context(|| answer.body.clone())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_tokens_end_with_each_change_that_takes_something_away(#[case] backend: Backend) -> Result<()> {
    let Some((world, app)) = first_party(backend).await? else { return Ok(()) };
    let [old, new] = ["correct horse", "battery staple"];
    let (old_file, new_file) = (file(&world, "old", old)?, file(&world, "new", new)?);
    let ada = create(&world, "ada", &["--email", "Ada@example.test", "--password-file", &old_file])?;
    let token = access_token(&world, &app, "ADA@example.test", old).await?;
    let told = world.check(&token).await?;
    assert_eq!(
        (told.active, told.sub.as_str(), told.username.as_str()),
        (true, ada["user_id"].as_str().context("id")?, "ada")
    );

    let mut password = old;
    for (arguments, after) in [
        (&["user", "password", "ada", "--password-file", &new_file, "--yes"][..], new),
        (&["user", "revoke", "ada@example.test", "--yes"], new),
        (&["token", "revoke", "--user", "ADA", "--yes"], new),
        (&["user", "disable", "ada", "--yes"], new),
    ] {
        let before = access_token(&world, &app, "ada", password).await?;
        assert!(world.is_active(&before).await?, "{arguments:?}");
        let done = world.pair.tessera_json(arguments)?;
        assert!(done["revision"].as_str().is_some_and(|revision| !revision.is_empty()), "{done}");
        assert!(!world.is_active(&before).await?, "{arguments:?}");
        password = after;
    }
    let disabled = sign_in(&world, &app, "ada", new).await?;
    let wrong = sign_in(&world, &app, "ada", old).await?;
    assert_eq!((disabled.status, disabled.error(), &disabled.body), (400, "invalid_grant".to_owned(), &wrong.body));
    world.pair.tessera_json(&["user", "enable", "ada"])?;
    assert!(!world.is_active(&token).await?, "nothing is revived");
    let last = access_token(&world, &app, "ada", new).await?;
    assert!(world.is_active(&last).await?);
    world.pair.tessera_json(&["user", "delete", "ada", "--yes"])?;
    assert!(!world.is_active(&last).await?);
    assert_eq!(world.pair.tessera(&["user", "get", "ada"])?.status.code(), Some(4));
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn whose_hash_was_imported_signs_in(#[case] backend: Backend) -> Result<()> {
    let Some((world, app)) = first_party(backend).await? else { return Ok(()) };
    // Of the password `a`, as jBCrypt's own test vectors have it.
    let hash = file(&world, "hash", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe\n")?;
    create(&world, "moved", &["--password-hash-file", &hash])?;
    for _ in 0..2 {
        assert!(world.is_active(&access_token(&world, &app, "moved", "a").await?).await?);
        assert_eq!(sign_in(&world, &app, "moved", "b").await?.error(), "invalid_grant");
    }
    for (text, says) in [("5f4dcc3b5aa765d61d8327deb882cf99", "argon2id"), ("$2a$31$m0CrhHm10qJ3lXRY.5zDGO", "bcrypt")]
    {
        let path = file(&world, "bad", text)?;
        let output = world.pair.tessera(&["user", "create", "--username", "x", "--password-hash-file", &path])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && !said.contains(text), "which kinds there are, and not the hash: {said}");
    }
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_user_of_a_name_and_nobody_overwrites_anothers_change(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let service = UserServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let mut creations = JoinSet::new();
    for username in ["wanted", "Wanted", "WANTED", "wANTED"].iter().cycle().take(8) {
        let mut service = service.clone();
        let user = api::User { username: (*username).to_owned(), ..api::User::default() };
        let request = as_bearer(&admin, api::CreateUserRequest { user: Some(user), password: None })?;
        creations.spawn(async move { service.create_user(request).await });
    }
    let (made, refused): (Vec<_>, Vec<_>) = creations.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for status in refused.into_iter().filter_map(Result::err) {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "USERNAME_TAKEN"), "{status:?}");
    }
    let made = made.into_iter().find_map(Result::ok).and_then(|made| made.into_inner().user).context("a user")?;
    let mut updates = JoinSet::new();
    for number in 0..8 {
        let mut service = service.clone();
        let user = api::User { name: format!("Number {number}"), username: "unmasked".to_owned(), ..made.clone() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["name".to_owned()] });
        let request = as_bearer(&admin, api::UpdateUserRequest { user: Some(user), update_mask })?;
        updates.spawn(async move { service.update_user(request).await });
    }
    let outcomes = updates.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "of eight with the same etag one wins");
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    }
    let mut service = service;
    let message = api::GetUserRequest { user: "wanted".to_owned() };
    let after = service.get_user(as_bearer(&admin, message)?).await?.into_inner().user.context("a user")?;
    assert_eq!((&after.username, &after.user_id, after.has_password), (&made.username, &made.user_id, false));
    assert!(after.name.starts_with("Number "), "{}", after.name);
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn users_come_in_pages_and_a_changed_page_token_is_never_our_fault(#[case] backend: Backend) -> Result<()> {
    let Some(world) = world(backend).await? else { return Ok(()) };
    let admin = world.admin_token().await?;
    let mut service = UserServiceClient::new(channel(world.pair.ports.issuer_grpc).await?);
    let mut all = Vec::new();
    for name in ["Zebra", "apple", "50%off", "o'brien", "épicerie", "x_1", "x-1"] {
        let made = create(&world, name, &["--no-password"])?;
        all.push(made["user_id"].as_str().context("an id")?.to_owned());
    }
    all.sort_unstable();
    let (mut seen, mut page_token, mut tokens) = (Vec::new(), String::new(), Vec::new());
    loop {
        let message = api::ListUsersRequest { page_size: 2, page_token, ..Default::default() };
        let page = service.list_users(as_bearer(&admin, message)?).await?.into_inner();
        ensure!(page.users.len() <= 2, "a page too long");
        seen.extend(page.users.into_iter().map(|user| user.user_id));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
        tokens.push(page_token.clone());
    }
    assert_eq!(seen, all, "each once, by identifier, in no locale's order");
    for page_token in mutations(&tokens[0]) {
        let message = api::ListUsersRequest { page_size: 2, page_token: page_token.clone(), ..Default::default() };
        if let Err(status) = service.list_users(as_bearer(&admin, message)?).await {
            assert_eq!(status.code(), Code::InvalidArgument, "{page_token:?}: {status:?}");
        }
    }
    for (page_size, expected) in [(i32::MAX, Ok(all.len())), (0, Ok(all.len())), (-1, Err(Code::InvalidArgument))] {
        let message = api::ListUsersRequest { page_size, ..Default::default() };
        let page = service.list_users(as_bearer(&admin, message)?).await;
        assert_eq!(page.map(|page| page.into_inner().users.len()).map_err(|status| status.code()), expected);
    }
    for (filter, expected) in
        [("%", &["50%off"][..]), ("_", &["x_1"]), ("'", &["o'brien"]), ("' OR '1'='1", &[]), ("ZEBRA", &["Zebra"])]
    {
        let message = api::ListUsersRequest { contains: filter.to_owned(), ..Default::default() };
        let found = service.list_users(as_bearer(&admin, message)?).await?.into_inner().users;
        let names: Vec<_> = found.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(names, expected, "{filter:?}");
    }
    let nul = api::ListUsersRequest { contains: "a\u{0}b".to_owned(), ..Default::default() };
    let refused = service.list_users(as_bearer(&admin, nul)?).await.expect_err("no text of a database's");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    Ok(())
}
