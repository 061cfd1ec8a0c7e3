use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tessera_cli::problem::Exit;

use crate::Shell;
use crate::server::{Server, token_of};

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn a_token_is_printed_alone_and_in_full_as_json() {
    let server = Server::start().await;
    let shell = Shell::at(&server);
    let ran = shell.run("token get client-credentials").await;
    assert_eq!((ran.exit, ran.out, ran.err), (Exit::Ok, token_of("dev-admin") + "\n", String::new()));
    let shell = shell.input("other-secret\n");
    let full = shell.run("token get client-credentials --client-id other --secret-stdin --scope a b -o json").await;
    assert_eq!(full.json()["access_token"], token_of("other"));
    assert_eq!((&full.json()["expires_in"], &full.json()["scope"]), (&900.into(), &"a b".into()));
    assert_eq!(server.authorization("IssueToken"), basic("other", "other-secret"));
}

#[tokio::test]
async fn a_client_without_a_secret_asks_nobody() {
    let server = Server::start().await;
    let ran = Shell::at(&server).run("token get client-credentials --client-id other").await;
    assert_eq!(ran.exit, Exit::Usage);
    assert_eq!(server.calls(), [""; 0]);
}

#[tokio::test]
async fn ones_own_token_is_revoked_as_oneself_and_anothers_as_an_administrator() {
    let server = Server::start().await;
    let ran = Shell::at(&server).input(&token_of("dev-admin")).run("token revoke -").await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "jti-dev-admin revoked at revision 1-7\n"));
    assert_eq!(server.authorization("RevokeToken"), basic("dev-admin", "dev-secret"));
    let ran = Shell::at(&server).run(&format!("token revoke {}", token_of("other"))).await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(server.authorization("RevokeToken"), "Bearer token-of-dev-admin");
    let ran = Shell::at(&server).input("").run("token revoke").await;
    assert_eq!(ran.exit, Exit::Usage, "an empty token");
}

#[tokio::test]
async fn an_unconfirmed_revocation_is_said_to_be_durable() {
    let server = Server::start().await;
    server.book.lock().expect("not poisoned").unconfirmed = true;
    let ran = Shell::at(&server).input(&token_of("dev-admin")).run("token revoke -o json").await;
    assert_eq!(ran.exit, Exit::Unavailable);
    assert_eq!(ran.error()["reason"], "REVOCATION_UNCONFIRMED");
    assert!(ran.error()["hint"].as_str().expect("a hint").contains("durable"));
}

#[tokio::test]
async fn the_exit_status_answers_where_it_is_asked_to() {
    let server = Server::start().await;
    let shell = Shell::at(&server).input(&token_of("other"));
    let ran = shell.run("introspect --scope orders:read --exit-status").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(server.authorization("Introspect"), basic("demo-resource", "dev-secret"));
    assert_eq!(shell.run("introspect --scope orders:write --exit-status").await.exit, Exit::No);
    assert_eq!(shell.run("introspect --scope orders:write").await.exit, Exit::Ok);
    let garbage = shell.run("introspect garbage --exit-status -o json").await;
    assert_eq!((garbage.exit, garbage.json()), (Exit::No, serde_json::json!({ "active": false })));
}

#[tokio::test]
async fn an_explanation_asks_the_issuer_too() {
    let server = Server::start().await;
    let shell = Shell::at(&server).input(&token_of("other"));
    let ran = shell.run("introspect --explain -o json").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    let findings = ran.json()["explanation"].clone();
    let about = |check: &str| {
        let found = findings.as_array().expect("a list").iter().find(|f| f["check"] == check);
        found.unwrap_or_else(|| panic!("no {check} in {findings}")).clone()
    };
    assert_eq!((&about("client")["good"], &about("client")["detail"]), (&false.into(), &"other does not exist".into()));
    assert_eq!(about("expiry")["good"], true);
}

#[tokio::test]
async fn the_token_and_the_secret_cannot_share_stdin() {
    let server = Server::start().await;
    let ran = Shell::at(&server).run("introspect - --client-id a --secret-stdin").await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("STDIN_TAKEN_TWICE"), "{}", ran.err);
}

#[tokio::test]
async fn a_token_is_decoded_without_asking_anybody() {
    let ran = Shell::new().input(&format!(" {}\n", token_of("other"))).run("token inspect - -o json").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(ran.json()["claims"]["client_id"], "other");
    assert_eq!(ran.json()["signature_checked"], false);
    assert_eq!(Shell::new().run("token inspect not.a-token").await.exit, Exit::Usage);
}

#[tokio::test]
async fn a_walk_passes_where_all_four_answers_are_right() {
    let server = Server::start().await;
    let ran = Shell::at(&server).run("try").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.out);
    assert!(lines.iter().all(|line| line.starts_with("ok") && line.contains('s')), "{}", ran.out);
    assert_eq!(server.calls(), ["IssueToken", "Introspect", "RevokeToken", "Introspect"]);
    let another = Server::start().await;
    let json = Shell::at(&another).run("try -o json").await;
    assert_eq!((&json.json()["passed"], json.json()["steps"].as_array().map(Vec::len)), (&true.into(), Some(4)));
}

#[tokio::test]
async fn a_walk_fails_where_a_revoked_token_is_called_active() {
    let server = Server::start().await;
    server.book.lock().expect("not poisoned").forgetful = true;
    let ran = Shell::at(&server).run("try").await;
    assert_eq!(ran.exit, Exit::Internal);
    assert!(ran.out.lines().last().expect("lines").starts_with("wrong"), "{}", ran.out);
    assert!(ran.err.contains("WRONG_ANSWER"), "{}", ran.err);
}

#[tokio::test]
async fn health_is_of_both_servers() {
    let server = Server::start().await;
    let ran = Shell::at(&server).run("health -o json").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.out);
    assert_eq!(ran.json()[1]["status"], "SERVING");
    let half =
        Shell::new().set("TESSERA_ENDPOINT", &server.url()).set("TESSERA_INTROSPECTOR_ENDPOINT", "http://127.0.0.1:1");
    let ran = half.run("health -o json").await;
    assert_eq!((ran.exit, &ran.json()[1]["status"]), (Exit::Unavailable, &"UNREACHABLE".into()));
}
