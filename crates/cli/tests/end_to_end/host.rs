//! Commands that work on this host without a server: the real issuer, introspector and database underneath.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tessera_cli::problem::Exit;

use crate::{Ran, Shell};

/// A shell with an issuer's configuration.
struct Host {
    shell: Shell,
    config: PathBuf,
}

impl Host {
    fn new() -> Self {
        let shell = Shell::new();
        let data = shell.home.path().join("data");
        fs::create_dir(&data).expect("create");
        let config = shell.home.path().join("issuer.toml");
        fs::write(&config, format!("data_dir = \"{}\"\nissuer_url = \"https://id.example\"\n", data.display()))
            .expect("write");
        Self { shell, config }
    }

    async fn run(&self, line: &str) -> Ran {
        self.shell.run(&format!("{line} --config {} -o json", self.config.display())).await
    }

    fn secret(&self, client: &str) -> String {
        let path = self.shell.home.path().join("data").join(format!("{client}.secret"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::read_to_string(path).expect("readable")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_over_a_pair_of_its_own_passes() {
    let ran = Shell::new().run("try --own -o json").await;
    assert_eq!(ran.exit, Exit::Ok, "{}{}", ran.out, ran.err);
    let answers: Vec<_> = ran.json()["steps"].as_array().expect("steps").iter().map(|s| s["step"].clone()).collect();
    assert_eq!(answers, ["token", "introspect", "revoke", "introspect"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_administrator_is_made_and_its_secret_is_written_once() {
    let host = Host::new();
    let ran = host.run("init").await;
    assert_eq!(ran.exit, Exit::Ok, "{}", ran.err);
    assert_eq!(ran.json()["administrator"]["client_id"], "tessera-admin");
    let (admin, introspector) = (host.secret("tessera-admin"), host.secret("tessera-introspector"));
    assert!(admin.starts_with("tsk_") && introspector.starts_with("tsk_") && admin != introspector);
    assert!(!ran.out.contains("tsk_") && !ran.err.contains("tsk_"), "in their files and nowhere else");

    let again = host.run("init").await;
    assert_eq!((again.exit, &again.error()["reason"]), (Exit::Conflict, &"ADMINISTRATOR_EXISTS".into()));
    assert_eq!(host.secret("tessera-admin"), admin);

    assert_eq!(host.run("init --recover").await.exit, Exit::Ok);
    assert_ne!(host.secret("tessera-admin"), admin);
    assert_eq!(host.secret("tessera-introspector"), introspector, "running introspectors go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_way_stops_init_before_there_is_an_administrator() {
    let host = Host::new();
    let way = host.shell.home.path().join("data/tessera-introspector.secret");
    fs::write(&way, "mine").expect("write");
    let ran = host.run("init").await;
    assert_eq!((ran.exit, &ran.error()["reason"]), (Exit::Conflict, &"SECRET_FILE_EXISTS".into()));
    assert_eq!(fs::read_to_string(&way).expect("there"), "mine");
    fs::remove_file(&way).expect("remove");
    assert_eq!(host.run("init").await.exit, Exit::Ok, "nothing was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_are_pending_then_applied() {
    let host = Host::new();
    let before = host.run("db status --exit-status").await;
    assert_eq!((before.exit, &before.json()[0]["state"]), (Exit::No, &"pending".into()), "{}", before.err);
    let migrated = host.run("db migrate").await;
    assert_eq!(migrated.json().as_array().map(Vec::len), before.json().as_array().map(Vec::len));
    assert_eq!(host.run("db migrate").await.json(), serde_json::json!([]));
    let after = host.run("db status --exit-status").await;
    assert_eq!((after.exit, &after.json()[0]["state"]), (Exit::Ok, &"applied".into()));
}

#[tokio::test]
async fn a_bad_configuration_is_told_with_its_line() {
    let host = Host::new();
    fs::write(&host.config, "data_dri = \"x\"\n").expect("write");
    let ran = host.run("db status").await;
    assert_eq!(ran.exit, Exit::Usage);
    let message = ran.error()["message"].as_str().expect("text").to_owned();
    assert!(message.contains("issuer.toml:1") && message.contains("did you mean data_dir"), "{message}");
}

#[tokio::test]
async fn development_is_for_this_machine() {
    let ran = Shell::new().run("dev --issuer-url https://id.example -o json").await;
    assert_eq!((ran.exit, &ran.error()["reason"]), (Exit::Usage, &"NOT_LOOPBACK".into()));
}
