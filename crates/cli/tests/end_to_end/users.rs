use tessera_api::admin::v1::User;
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_cli::problem::Exit;
use tessera_types::{GrantId, RefreshToken};

use crate::Shell;
use crate::server::{Server, token_of};

fn user(name: &str) -> User {
    User {
        user_id: format!("usr_{name}"),
        username: name.into(),
        email: format!("{name}@example.test"),
        enabled: true,
        has_password: true,
        etag: "e1".into(),
        ..User::default()
    }
}

async fn with_users(names: &[&str]) -> (Server, Shell) {
    let server = Server::start().await;
    server.book.lock().expect("not poisoned").users = names.iter().map(|name| user(name)).collect();
    let shell = Shell::at(&server);
    (server, shell)
}

/// What came as the last secret.
fn imported(server: &Server) -> String {
    server.book.lock().expect("not poisoned").imported.clone()
}

fn file(shell: &Shell, name: &str, text: &str) -> String {
    let path = shell.home.path().join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[tokio::test]
async fn a_created_user_is_shown_and_the_password_is_not() {
    let (server, shell) = with_users(&[]).await;
    let shell = shell.input("pa ss word\n");
    let line = "user create --username ada --email ada@example.test --name Ada --password-stdin -o json";
    let ran = shell.run(line).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(ran.err, "", "no talk beside JSON");
    insta::assert_snapshot!(ran.out, @r#"
    {
      "user_id": "usr_ada",
      "username": "ada",
      "name": "Ada",
      "email": "ada@example.test",
      "enabled": true,
      "has_password": true,
      "create_time": null,
      "update_time": null,
      "etag": ""
    }
    "#);
    assert_eq!(imported(&server), "plain pa ss word");
    assert_eq!(server.calls(), ["IssueToken", "CreateUser"]);
    assert_eq!(server.authorization("CreateUser"), "Bearer token-of-dev-admin");
    let taken = shell.run(line).await;
    assert_eq!((taken.exit, &taken.error()["reason"]), (Exit::Conflict, &"USERNAME_TAKEN".into()));
    assert_eq!(shell.run("user get ada -o name").await.out, "usr_ada\n");
}

#[tokio::test]
async fn a_password_comes_from_stdin_a_file_or_as_a_hash_or_not_at_all() {
    let (server, shell) = with_users(&[]).await;
    let plain = file(&shell, "plain", "from a file\r\n");
    let hash = file(&shell, "hash", " $2b$06$x \n");
    for (name, flags, came) in [
        ("a", format!("--password-file {plain}"), "plain from a file"),
        ("b", format!("--password-hash-file {hash}"), "hash $2b$06$x"),
        ("c", "--no-password".to_owned(), ""),
    ] {
        let ran = shell.run(&format!("user create --username {name} {flags}")).await;
        assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
        assert_eq!(imported(&server), came);
    }
    let calls = server.calls().len();
    let nowhere = shell.run("user create --username d -o json").await;
    assert_eq!((nowhere.exit, &nowhere.error()["reason"]), (Exit::Usage, &"NO_PASSWORD".into()));
    assert!(nowhere.error()["hint"].as_str().expect("a hint").contains("--no-password"));
    assert_eq!(shell.run("user create --username d --password-stdin").await.exit, Exit::Usage, "an empty one");
    assert_eq!(shell.run("user create --username d --password-file /nowhere").await.exit, Exit::Usage);
    assert_eq!(server.calls().len(), calls, "nothing was asked");
}

#[tokio::test]
async fn every_page_of_users_is_listed_and_a_limit_is_kept() {
    let (_server, shell) = with_users(&["a", "ab", "b", "bb", "c"]).await;
    assert_eq!(shell.run("user list -o name").await.out, "usr_a\nusr_ab\nusr_b\nusr_bb\nusr_c\n");
    assert_eq!(shell.run("user list -o name --limit 3").await.out, "usr_a\nusr_ab\nusr_b\n");
    assert_eq!(shell.run("user list -o name --contains b").await.out, "usr_ab\nusr_b\nusr_bb\n");
    assert_eq!(shell.run("user list -o name --disabled").await.out, "");
    insta::assert_snapshot!(shell.run("user list --limit 1").await.out, @r"
    USER ID  USERNAME  NAME  E-MAIL          STATE
    usr_a    a         -     a@example.test  enabled
    ");
}

#[tokio::test]
async fn a_user_may_be_named_by_id_username_or_address() {
    let (server, shell) = with_users(&["ada"]).await;
    for who in ["usr_ada", "ada", "ada@example.test"] {
        assert_eq!(shell.run(&format!("user get {who} -o name")).await.out, "usr_ada\n");
        // The changes name the identifier: the server here takes nothing else.
        for verb in ["disable --yes", "enable", "revoke --yes", "update --name x"] {
            let (verb, flags) = verb.split_once(' ').unwrap_or((verb, ""));
            let ran = shell.run(&format!("user {verb} {who} {flags}")).await;
            assert_eq!(ran.exit, Exit::Ok, "{verb} {who}: {}", ran.err);
        }
    }
    let nobody = shell.run("user disable nobody --yes -o json").await;
    assert_eq!((nobody.exit, &nobody.error()["reason"]), (Exit::NotFound, &"USER_NOT_FOUND".into()));
    assert_eq!(server.authorization("GetUser"), "Bearer token-of-dev-admin");
}

#[tokio::test]
async fn what_a_user_loses_is_asked_and_never_taken_unasked() {
    let (server, shell) = with_users(&["ada"]).await;
    let shell = shell.input("n3w-passw0rd\n");
    let lines = [
        "user disable ada",
        "user password ada --password-stdin",
        "user revoke ada",
        "token revoke --user ada",
        "user delete ada",
    ];
    for line in lines {
        let ran = shell.run(line).await;
        assert_eq!(ran.exit, Exit::Usage, "{line}");
        let dry = shell.run(&format!("{line} --dry-run -o json")).await;
        assert_eq!((dry.exit, &dry.json()["dry_run"]), (Exit::Ok, &true.into()), "{line}: {}", dry.err);
    }
    assert!(server.calls().iter().all(|call| ["IssueToken", "GetUser"].contains(call)), "{:?}", server.calls());
    for line in lines {
        let ran = shell.run(&format!("{line} -y")).await;
        assert_eq!(ran.exit, Exit::Ok, "{line}: {}", ran.err);
        assert!(ran.out.contains("1-43") && !ran.out.contains("n3w-passw0rd"), "{line}: {}", ran.out);
    }
    assert_eq!(imported(&server), "plain n3w-passw0rd");
    assert_eq!(shell.run("user delete ada --dry-run").await.exit, Exit::NotFound);
}

#[tokio::test]
async fn an_update_of_a_user_sends_what_it_changes_and_the_etag() {
    let (server, shell) = with_users(&["ada"]).await;
    let ran = shell.run("user update ada --username countess --name x --clear email -o json").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!((&ran.json()["username"], &ran.json()["email"]), (&"countess".into(), &"".into()));
    assert_eq!(server.book.lock().expect("not poisoned").masks, [["username", "email", "name"]]);
    assert_eq!(shell.run("user update countess").await.exit, Exit::Usage, "nothing to change");
}

#[tokio::test]
async fn a_users_token_is_got_with_a_password() {
    let (server, shell) = with_users(&[]).await;
    let shell = shell.input("dev-password\n");
    let ran = shell.run("token get password --username ada --password-stdin --scope a").await;
    assert_eq!((ran.exit, ran.out), (Exit::Ok, token_of("demo-app") + "\n"), "{}", ran.err);
    let ran = shell.run("token get password --username ada --password-stdin -o json").await;
    assert_eq!(ran.json()["refresh_token"], "tsk_rt_next");
    let grant = server.book.lock().expect("not poisoned").grant.clone();
    let Some((Grant::Password(grant), client_id)) = grant else { panic!("another grant") };
    assert_eq!(
        (grant.username.as_str(), grant.password.as_str(), client_id.as_str()),
        ("ada", "dev-password", "demo-app")
    );
    // A client without a secret names itself; the server says where one has one.
    let ran = shell.run("token get password --client-id other-web --username ada --password-stdin").await;
    assert_eq!((ran.exit, ran.out), (Exit::Ok, token_of("other-web") + "\n"), "{}", ran.err);
    let ran = shell.run("token get password --client-id other --username ada --password-stdin -o json").await;
    assert_eq!(ran.exit, Exit::Denied);
    assert!(ran.error()["hint"].as_str().expect("a hint").contains("--secret-stdin"), "{}", ran.err);
    let both = "token get password --client-id other --secret-stdin --username ada --password-stdin -o json";
    assert_eq!(shell.run(both).await.error()["reason"], "STDIN_TAKEN_TWICE");
    assert_eq!(shell.run("token get password --username ada -o json").await.error()["reason"], "NO_PASSWORD");
}

#[tokio::test]
async fn a_users_token_is_refreshed() {
    let (server, shell) = with_users(&[]).await;
    let path = file(&shell, "refresh", "tsk_rt_first\n");
    let ran = shell.run(&format!("token get refresh --client-id demo-web --refresh-token-file {path} -o yaml")).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert!(
        ran.out.contains("refresh_token: tsk_rt_next") || ran.out.contains("refresh_token: \"tsk_rt_next\""),
        "{}",
        ran.out
    );
    let grant = server.book.lock().expect("not poisoned").grant.clone();
    let Some((Grant::RefreshToken(grant), client_id)) = grant else { panic!("another grant") };
    assert_eq!((grant.refresh_token.as_str(), client_id.as_str()), ("tsk_rt_first", "demo-web"));
    let shell = shell.input(" tsk_rt_second \n");
    assert_eq!(shell.run("token get refresh --refresh-token-stdin").await.out, token_of("demo-app") + "\n");
    assert_eq!(shell.run("token get refresh").await.exit, Exit::Usage);
    assert_eq!(Shell::at(&server).run("token get refresh --refresh-token-stdin").await.exit, Exit::Usage, "empty");
}

#[tokio::test]
async fn a_refresh_token_is_revoked_as_oneself_or_else_as_an_administrator() {
    let (server, shell) = with_users(&[]).await;
    let token = RefreshToken { grant: GrantId([1; 16]), generation: 3, secret: [7; 32], tag: [8; 16] }.to_text();
    let shell = shell.input(&token);
    server.book.lock().expect("not poisoned").refresh_tokens_of = Some("dev-admin");
    let ran = shell.run("token revoke -").await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "the refresh token revoked at revision 1-7\n"), "{}", ran.err);
    assert!(server.authorization("RevokeToken").starts_with("Basic "));
    server.book.lock().expect("not poisoned").refresh_tokens_of = Some("demo-web");
    let ran = shell.run("token revoke -").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(server.authorization("RevokeToken"), "Bearer token-of-dev-admin");
    assert_eq!(server.book.lock().expect("not poisoned").revoked, [token.as_str(), token.as_str()]);
}
