//! One pair for all tests of a process: started by whoever comes first, gone with the process.
//!
//! Tests that use it do not restart its processes, and bring clients of their own for whatever fails or changes.

use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tessera_testkit::pair::{Backend, Options};
use tessera_testkit::process;
use tokio::sync::OnceCell;

use crate::{Client, World, world_with};

/// Ends processes when its standard input ends: a static is never dropped, and a killed test runs no destructor.
const KEEPER: &str = r#"
cat >/dev/null
folder=$1
shift
kill -KILL "$@"
rm -rf -- "$folder"
"#;

struct Shared {
    world: World,
    _lifeline: ChildStdin,
}

/// The pair, on SQLite: for what does not depend on the database.
pub async fn shared() -> Result<&'static World> {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED.get_or_try_init(start).await.map(|shared| &shared.world)
}

async fn start() -> Result<Shared> {
    // What owners may give to applications of their own.
    let issuer = "[applications]\nscopes = [\"orders:read\"]\n".to_owned();
    let world = world_with(Backend::Sqlite, Options { issuer, ..Options::default() })
        .await?
        .context("SQLite is always there")?;
    let lifeline = keep(&world)?;
    Ok(Shared { world, _lifeline: lifeline })
}

/// Sees to it that a world in a static ends with this process. What is returned must be kept as long as the world.
pub fn keep(world: &World) -> Result<ChildStdin> {
    let pids = [world.pair.issuer.pid(), world.pair.introspector.pid()].map(|pid| pid.to_string());
    let mut keeper = Command::new("/bin/sh")
        .args(["-c", KEEPER, "keeper"])
        .arg(world.pair.folder())
        .args(pids)
        // Apart from our group: what ends the tests from a terminal must not end the keeper first.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    keeper.stdin.take().context("it was asked for")
}

impl World {
    /// A token of the introspector's own client, for the feed.
    pub async fn sync_token(&self) -> Result<String> {
        let secret = std::fs::read_to_string(self.pair.folder().join("introspector.secret"))?;
        let client = Client { id: "tessera-introspector".to_owned(), secret: secret.trim().to_owned() };
        let answer = self.token_with(&client, "tessera.sync", &self.pair.ports.issuer_url()).await?;
        answer.json()?["access_token"].as_str().map(str::to_owned).with_context(|| answer.body)
    }

    /// Fails where a process is gone or has panicked.
    pub async fn is_unharmed(&self) -> Result<()> {
        let ports = self.pair.ports;
        for (service, ops) in [(&self.pair.issuer, ports.issuer_ops), (&self.pair.introspector, ports.introspector_ops)]
        {
            ensure!(process::status(ops, "/livez").await? == 200, "not live:\n{}", service.said()?);
            let said = service.said()?;
            ensure!(!said.contains("panicked"), "a panic:\n{said}");
        }
        Ok(())
    }
}
