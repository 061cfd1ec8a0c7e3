use tessera_cli::problem::Exit;

use crate::Shell;
use crate::server::Server;

#[tokio::test]
async fn a_context_is_added_used_and_listed_without_its_secret() {
    let server = Server::start().await;
    let shell = Shell::new().input("dev-secret\n");
    let line = format!("context add lab --endpoint {} --client-id dev-admin --secret-stdin", server.url());
    let ran = shell.run(&line).await;
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Ok, "lab added\n"), "{}", ran.err);
    assert_eq!(shell.run("client list").await.exit, Exit::Ok, "the first context is in use");
    let listed = shell.run("context list -o json").await;
    assert_eq!((&listed.json()[0]["name"], &listed.json()[0]["current"]), (&"lab".into(), &true.into()));
    assert!(!listed.out.contains("dev-secret"));
    assert_eq!(shell.run(&line).await.exit, Exit::Conflict);
    assert_eq!(shell.run("context use nowhere").await.exit, Exit::NotFound);
    assert_eq!(shell.run("--context nowhere client list").await.exit, Exit::NotFound);
}

#[tokio::test]
async fn a_context_in_plain_text_off_this_machine_must_say_so() {
    let shell = Shell::new();
    let ran = shell.run("context add far --endpoint http://issuer.example").await;
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("PLAINTEXT_REFUSED"), "{}", ran.err);
    assert_eq!(shell.run("context add far --endpoint http://issuer.example --insecure").await.exit, Exit::Ok);
}

#[tokio::test]
async fn nothing_is_sent_off_this_machine_without_a_credential_of_ones_own() {
    let ran = Shell::new().run("client list --endpoint https://issuer.example -o json").await;
    assert_eq!((ran.exit, &ran.error()["reason"]), (Exit::Denied, &"NO_CREDENTIAL".into()));
    let ran = Shell::new().run("introspect a.b.c --introspector https://introspector.example -o json").await;
    assert_eq!((ran.exit, &ran.error()["reason"]), (Exit::Denied, &"NO_CREDENTIAL".into()));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_says_how_to_start_one() {
    let ran = Shell::new().run("client list --endpoint http://127.0.0.1:1 -o json").await;
    assert_eq!(ran.exit, Exit::Unavailable);
    assert_eq!((&ran.error()["code"], &ran.error()["reason"]), (&"UNAVAILABLE".into(), &"CANNOT_CONNECT".into()));
    assert!(ran.error()["hint"].as_str().expect("a hint").contains("tessera dev"));
}

#[tokio::test]
async fn usage_errors_are_objects_too_and_help_is_data() {
    let ran = Shell::new().run("client creat -o json").await;
    assert_eq!((ran.exit, &ran.error()["code"]), (Exit::Usage, &"INVALID_ARGUMENT".into()));
    assert!(ran.error()["message"].as_str().expect("text").contains("creat"));
    let help = Shell::new().run("client create --help").await;
    assert_eq!((help.exit, help.err.as_str()), (Exit::Ok, ""));
    assert!(help.out.contains("Examples:"));
    assert!(!help.out.contains('\u{1b}'), "no colour where there is no terminal");
}

#[tokio::test]
async fn version_and_completion_need_no_server_and_no_good_contexts_file() {
    let shell = Shell::new();
    let folder = shell.home.path().join("tessera");
    std::fs::create_dir(&folder).expect("create");
    std::fs::write(folder.join("config.toml"), "not toml").expect("write");
    assert_eq!(shell.run("version -o name").await.out, format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert!(shell.run("completion bash").await.out.contains("_tessera"));
    assert_eq!(shell.run("client list").await.exit, Exit::Usage);
}
