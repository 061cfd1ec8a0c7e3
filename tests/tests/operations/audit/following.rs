//! `tessera audit tail`.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tessera_testkit::pair::{ADMINISTRATOR, Backend};
use tessera_testkit::process::{binary, clean_command};
use tessera_tests::{EVENTUALLY, World, create_client, world};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A command that follows.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(world: &World, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::from(clean_command(&binary("tessera")?));
        command
            .env("HOME", world.pair.folder())
            .env("TESSERA_ENDPOINT", format!("http://{}", world.pair.ports.issuer_grpc))
            .env("TESSERA_CLIENT_ID", ADMINISTRATOR)
            .env("TESSERA_CLIENT_SECRET_FILE", world.pair.folder().join("administrator.secret"));
        command.args(["audit", "tail", "-f", "-o", "json"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        Ok(Self { child, lines })
    }

    /// The next line, which is a record.
    async fn next(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(EVENTUALLY, self.lines.next_line()).await.context("nothing came")??;
        Ok(serde_json::from_str(&line.context("it ended")?)?)
    }

    /// Presses Ctrl-C; what it ends with.
    async fn interrupt(&mut self) -> Result<Option<i32>> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).context("it runs")?;
        kill_process(pid, Signal::INT)?;
        Ok(tokio::time::timeout(EVENTUALLY, self.child.wait()).await.context("it does not end")??.code())
    }
}

fn word(record: &Value) -> String {
    format!("{} {}", record["action"].as_str().unwrap_or("?"), record["target"]["id"].as_str().unwrap_or("?"))
}

/// What there is, then what comes, each once and one to a line; an issuer that is away is waited for; Ctrl-C is no failure.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_is_shown_as_it_comes_until_ctrl_c() -> Result<()> {
    let mut world = world(Backend::Sqlite).await?.context("SQLite is always there")?;
    let mut following = Following::start(&world, &["-n", "2", "--action", "client"])?;
    assert_eq!(word(&following.next().await?), "client.create service");
    assert_eq!(word(&following.next().await?), "client.create resource");
    create_client(&world.pair, "one", &["--resource", "orders-api"])?;
    world.pair.tessera_json(&["scope", "create", "not-asked-for"])?;
    world.pair.tessera_json(&["client", "disable", "one", "--yes"])?;
    let one = following.next().await?;
    assert_eq!(word(&one), "client.create one");
    assert_eq!(word(&following.next().await?), "client.disable one");
    world.pair.issuer.kill()?;
    world.pair.issuer.restart().await?;
    create_client(&world.pair, "two", &["--resource", "orders-api"])?;
    let two = following.next().await?;
    assert_eq!(word(&two), "client.create two");
    ensure!(two["record_id"].as_u64() > one["record_id"].as_u64(), "{one} {two}");
    assert_eq!(following.interrupt().await?, Some(0));
    Ok(())
}

/// The numbers after the backup's last are given again, and what they stand for now is shown.
#[tokio::test(flavor = "multi_thread")]
async fn over_a_restore_it_goes_on_from_where_the_backup_ended() -> Result<()> {
    let mut world = world(Backend::Sqlite).await?.context("SQLite is always there")?;
    let folder = world.pair.folder().to_owned();
    let configuration = folder.join("tessera-issuer.toml").display().to_string();
    let backup = folder.join("yesterday.backup").display().to_string();
    let db = |world: &World, arguments: &[&str]| {
        world.pair.tessera_json(&[&["db"], arguments, &["--config", &configuration]].concat())
    };
    db(&world, &["backup", "--out", &backup])?;
    let mut following = Following::start(&world, &["-n", "1"])?;
    // From here on it follows.
    let mut last = following.next().await?;
    for number in 0..5 {
        world.pair.tessera_json(&["scope", "create", &format!("lost:{number}")])?;
        last = following.next().await?;
        assert_eq!(word(&last), format!("scope.create lost:{number}"));
    }
    world.pair.issuer.terminate().await?;
    for file in ["", "-wal", "-shm"] {
        let file = folder.join(format!("data/tessera.db{file}"));
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    let restored = db(&world, &["restore", "--from", &backup, "--yes", "--max-staleness", "1s"])?;
    ensure!(restored["signing_keys"][0]["state"] == "active", "{restored}");
    world.pair.issuer.restart().await?;
    let restored = following.next().await?;
    assert_eq!(restored["action"], "database.restored");
    ensure!(restored["record_id"].as_u64() < last["record_id"].as_u64(), "{restored} {last}");
    world.pair.tessera_json(&["scope", "create", "new"])?;
    // The introspector's credential from before was refused meanwhile, which is recorded too.
    while word(&following.next().await?) != "scope.create new" {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_following_it_ends_and_shows_a_line_for_each_the_newest_last() -> Result<()> {
    let world = world(Backend::Sqlite).await?.context("SQLite is always there")?;
    let shown = tokio::time::timeout(
        EVENTUALLY.max(Duration::from_secs(1)),
        tokio::task::spawn_blocking(move || world.pair.tessera(&["audit", "tail", "-n", "2"])),
    )
    .await???;
    let shown = String::from_utf8(shown.stdout)?;
    let lines: Vec<&str> = shown.lines().collect();
    ensure!(lines.len() == 2, "{shown}");
    ensure!(lines[0].contains("client.create  client:service  ok  127.0.0.1"), "{shown}");
    ensure!(lines[1].contains("client.create  client:resource  ok  127.0.0.1"), "{shown}");
    Ok(())
}
