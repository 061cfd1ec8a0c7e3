use tessera_api::admin::v1::Client;
use tessera_cli::problem::Exit;

use crate::Shell;
use crate::server::Server;

fn client(id: &str) -> Client {
    Client {
        client_id: id.into(),
        name: format!("name of {id}"),
        enabled: true,
        scopes: vec!["a".into(), "b".into()],
        default_scopes: vec!["b".into()],
        etag: "e1".into(),
        ..Client::default()
    }
}

async fn with_clients(ids: &[&str]) -> (Server, Shell) {
    let server = Server::start().await;
    server.book.lock().expect("not poisoned").clients = ids.iter().map(|id| client(id)).collect();
    let shell = Shell::at(&server);
    (server, shell)
}

#[tokio::test]
async fn a_created_client_is_shown_with_its_secret_this_once() {
    let (server, shell) = with_clients(&[]).await;
    let line = "client create --name billing --grant client_credentials --scope a b --scope c --default-scope a \
                --audience x --resource y --lifetime 15m --claims-profile legacy -o json";
    let ran = shell.run(line).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(ran.err, "", "no talk beside JSON");
    insta::assert_snapshot!(ran.out, @r#"
    {
      "client_id": "chosen-by-server",
      "name": "billing",
      "description": "",
      "type": "confidential",
      "enabled": true,
      "grant_types": [
        "client_credentials"
      ],
      "scopes": [
        "a",
        "b",
        "c"
      ],
      "default_scopes": [
        "a"
      ],
      "audiences": [
        "x"
      ],
      "resources": [
        "y"
      ],
      "redirect_uris": [],
      "access_token_lifetime": 900,
      "claims_profile": "legacy",
      "organization_id": "",
      "owner_id": "",
      "site_url": "",
      "logo_url": "",
      "failure_uri": "",
      "implicit_scopes": [],
      "last_used_time": null,
      "create_time": null,
      "update_time": null,
      "etag": "",
      "client_secret": "tsk_generated",
      "revision": "1-42"
    }
    "#);
    assert_eq!(server.calls(), ["IssueToken", "CreateClient"]);
    assert_eq!(server.authorization("CreateClient"), "Bearer token-of-dev-admin");

    let got = shell.run("client get chosen-by-server -o json").await;
    assert_eq!(got.json()["client_id"], "chosen-by-server");
    assert!(got.json().get("client_secret").is_none());
}

#[tokio::test]
async fn an_imported_secret_comes_from_stdin_and_is_not_shown() {
    let (server, shell) = with_clients(&[]).await;
    let shell = shell.input("imp0rted\n");
    let ran = shell.run("client create --name n --client-id mine --secret-stdin").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert!(!ran.out.contains("imp0rted") && !ran.err.contains("imp0rted"));
    assert_eq!(server.book.lock().expect("not poisoned").imported, "imp0rted");
}

#[tokio::test]
async fn names_alone_would_lose_the_secret() {
    let (server, shell) = with_clients(&[]).await;
    let ran = shell.run("client create --name n -o name").await;
    assert_eq!(ran.exit, Exit::Usage);
    assert_eq!(server.calls(), [""; 0], "nothing was asked");
    assert_eq!(shell.run("client create --name n --public -o name").await.out, "chosen-by-server\n");
}

#[tokio::test]
async fn a_servers_refusal_is_an_exit_code_and_an_object() {
    let (_server, shell) = with_clients(&["a"]).await;
    let ran = shell.run("client get nobody -o json").await;
    assert_eq!(ran.exit, Exit::NotFound);
    assert_eq!(ran.out, "");
    insta::assert_snapshot!(ran.err, @r#"{"code":"NOT_FOUND","reason":"CLIENT_NOT_FOUND","message":"there is no such client","hint":null,"request_id":"request-7"}"#);
    let taken = shell.run("client create --name name_of_a --public").await;
    assert_eq!(taken.exit, Exit::Ok);
    let taken = shell.run("client create --name name_of_a --public").await;
    assert_eq!(taken.exit, Exit::Conflict);
    insta::assert_snapshot!(taken.err, @r#"
    error: the name is taken (NAME_TAKEN)
    request id: request-7
    "#);
}

#[tokio::test]
async fn every_page_is_listed_and_a_limit_is_kept() {
    let (_server, shell) = with_clients(&["a", "b", "c", "d", "e"]).await;
    assert_eq!(shell.run("client list -o name").await.out, "a\nb\nc\nd\ne\n");
    assert_eq!(shell.run("client list -o name --limit 3").await.out, "a\nb\nc\n");
    assert_eq!(shell.run("client list -o name --disabled").await.out, "");
    insta::assert_snapshot!(shell.run("client list --limit 1").await.out, @r#"
    CLIENT ID  NAME       TYPE     STATE    GRANTS  SCOPES
    a          name of a  unknown  enabled  -       a b
    "#);
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_asked_and_never_done_unasked() {
    let (server, shell) = with_clients(&["a"]).await;
    for line in ["client delete a", "client disable a", "client revoke-tokens a", "token revoke --client a"] {
        let ran = shell.run(line).await;
        assert_eq!(ran.exit, Exit::Usage, "{line}");
        let dry = shell.run(&format!("{line} --dry-run -o json")).await;
        assert_eq!((dry.exit, &dry.json()["dry_run"]), (Exit::Ok, &true.into()), "{line}");
    }
    assert!(server.calls().iter().all(|call| ["IssueToken", "GetClient"].contains(call)), "{:?}", server.calls());
    for line in ["client disable a --yes", "client revoke-tokens a --yes", "client delete a -y"] {
        let ran = shell.run(line).await;
        assert_eq!(ran.exit, Exit::Ok, "{line}: {}", ran.err);
        assert!(ran.out.contains("1-42"), "{line}: {}", ran.out);
    }
    assert_eq!(shell.run("client delete a --dry-run").await.exit, Exit::NotFound);
}

#[tokio::test]
async fn an_update_sends_what_it_changes_and_the_etag() {
    let (server, shell) = with_clients(&["a"]).await;
    let ran = shell.run("client update a --add-scope c --name new --clear description -o json").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(ran.json()["scopes"], serde_json::json!(["a", "b", "c"]));
    let masks = server.book.lock().expect("not poisoned").masks.clone();
    assert_eq!(masks, [["description", "name", "scopes"]]);
}

#[tokio::test]
async fn an_update_that_takes_something_away_is_asked() {
    let (server, shell) = with_clients(&["a"]).await;
    assert_eq!(shell.run("client update a --remove-scope b").await.exit, Exit::Usage);
    assert_eq!(shell.run("client update a --scope a").await.exit, Exit::Usage);
    assert!(!server.calls().contains(&"UpdateClient"));
    let ran = shell.run("client update a --remove-scope b --yes -o json").await;
    assert_eq!(
        (&ran.json()["scopes"], &ran.json()["default_scopes"]),
        (&["a"].as_slice().into(), &serde_json::json!([]))
    );
    assert_eq!(shell.run("client update a").await.exit, Exit::Usage, "nothing to change");
}

#[tokio::test]
async fn secrets_are_rotated_listed_and_deleted() {
    let (server, shell) = with_clients(&["a"]).await;
    let rotated = shell.run("client secret rotate a -o json").await;
    assert_eq!(
        (&rotated.json()["client_secret"], &rotated.json()["secret_id"]),
        (&"tsk_rotated".into(), &"s-2".into())
    );
    assert_eq!(rotated.json()["confirmed"], true);
    assert_eq!(shell.run("client secret rotate a -o name").await.exit, Exit::Usage);
    assert_eq!(shell.run("client secret rotate a --overlap 0").await.exit, Exit::Usage, "asked");
    assert_eq!(shell.run("client secret list a -o name").await.out, "s-1\n");
    assert_eq!(shell.run("client secret delete a s-9 --yes").await.exit, Exit::NotFound);
    assert_eq!(shell.run("client secret delete a s-1").await.exit, Exit::Usage, "asked");
    assert!(!server.calls().contains(&"DeleteClientSecret"));
    assert_eq!(shell.run("client secret delete a s-1 --yes").await.exit, Exit::Ok);
}

#[tokio::test]
async fn a_reader_may_look_and_not_change() {
    let (server, shell) = with_clients(&["a"]).await;
    server.book.lock().expect("not poisoned").reader = true;
    assert_eq!(shell.run("client get a").await.exit, Exit::Ok);
    let ran = shell.run("client delete a --yes").await;
    assert_eq!(ran.exit, Exit::Denied);
    assert!(ran.err.contains("SCOPE_NOT_ALLOWED"), "{}", ran.err);
    let asked = server.book.lock().expect("not poisoned").scopes.concat();
    assert_eq!(asked, ["tessera.admin", "tessera.admin.read", "tessera.admin"]);
}

#[tokio::test]
async fn a_wrong_secret_is_denied() {
    let (_server, shell) = with_clients(&["a"]).await;
    let shell = shell.set("TESSERA_CLIENT_ID", "dev-admin").set("TESSERA_CLIENT_SECRET", "wr0ng");
    let ran = shell.run("client list -o json").await;
    assert_eq!((ran.exit, &ran.error()["reason"]), (Exit::Denied, &"INVALID_CLIENT".into()));
    assert!(!ran.err.contains("wr0ng"));
}
