//! The programs in other languages: `tests/node/grants.mjs` and `tests/python/grants.py`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rstest::rstest;
use tessera_testkit::pair::Backend;
use tessera_testkit::process::clean_command;
use tessera_tests::tool;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::cast::Cast;

/// What each program says it did, in this order.
const STEPS: [&str; 12] = [
    "metadata",
    "client_credentials",
    "access token",
    "introspection",
    "revocation",
    "password",
    "authorization_code",
    "refresh_token",
    "revocation of a refresh token",
    "denied",
    "public client",
    "refusals",
];

/// How long a program may take, on a busy machine.
const WITHIN: Duration = Duration::from_secs(180);

#[rstest]
#[case::sqlite(Backend::Sqlite, "RS256")]
#[case::postgres(Backend::Postgres, "ES256")]
#[case::eddsa(Backend::Sqlite, "EdDSA")]
#[tokio::test(flavor = "multi_thread")]
async fn oauth4webapi_runs_every_grant_from_the_metadata_alone(
    #[case] backend: Backend,
    #[case] algorithm: &str,
) -> Result<()> {
    let Some(node) = tool("TEST_TESSERA_NODE")? else { return Ok(()) };
    let Some(modules) = tool("TEST_TESSERA_NODE_MODULES")? else { return Ok(()) };
    let Some(cast) = Cast::assemble(backend, algorithm).await? else { return Ok(()) };
    // Modules are looked for beside the program, and the source tree is not to have any.
    let folder = cast.world.pair.folder();
    let program = folder.join("grants.mjs");
    std::fs::copy(source("node/grants.mjs"), &program)?;
    std::os::unix::fs::symlink(std::path::absolute(modules)?, folder.join("node_modules"))?;
    plays(&cast, &node, &program).await
}

// Not with EdDSA: Authlib takes only the algorithms that RFC 9864 still recommends.
#[rstest]
#[case::sqlite(Backend::Sqlite, "RS256")]
#[case::postgres(Backend::Postgres, "ES256")]
#[tokio::test(flavor = "multi_thread")]
async fn authlib_runs_every_grant_from_the_metadata_alone(
    #[case] backend: Backend,
    #[case] algorithm: &str,
) -> Result<()> {
    let Some(python) = tool("TEST_TESSERA_PYTHON")? else { return Ok(()) };
    let Some(cast) = Cast::assemble(backend, algorithm).await? else { return Ok(()) };
    plays(&cast, &python, &source("python/grants.py")).await
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program to its end and fails unless it took every step.
async fn plays(cast: &Cast, interpreter: &Path, program: &Path) -> Result<()> {
    let mut command = clean_command(interpreter);
    // It must leave nothing in the source tree.
    command.arg(program).env("PYTHONDONTWRITEBYTECODE", "1");
    let steps = tokio::time::timeout(WITHIN, play(cast, command)).await.context("the program does not end")??;
    ensure!(steps == STEPS, "{steps:?}");
    Ok(())
}

/// Runs a program, playing the person whenever it needs one; the steps it took.
async fn play(cast: &Cast, mut command: Command) -> Result<Vec<String>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let mut input = child.stdin.take().context("its input was asked for")?;
    let mut output = BufReader::new(child.stdout.take().context("its output was asked for")?).lines();
    let mut errors = child.stderr.take().context("its errors were asked for")?;
    let complaints = tokio::spawn(async move {
        let mut said = String::new();
        let _ = errors.read_to_string(&mut said).await;
        said
    });
    input.write_all(format!("{}\n", cast.told()).as_bytes()).await?;
    let mut steps = Vec::new();
    while let Some(line) = output.next_line().await? {
        let back = match line.split_once(' ') {
            Some(("ok", step)) => {
                steps.push(step.to_owned());
                continue;
            }
            Some(("allow", url)) => cast.decide(url, true).await?,
            Some(("deny", url)) => cast.decide(url, false).await?,
            _ => bail!("it says {line:?}"),
        };
        input.write_all(format!("{back}\n").as_bytes()).await?;
    }
    let status = child.wait().await?;
    ensure!(status.success(), "after {steps:?}: {status}\n{}", complaints.await?);
    Ok(steps)
}
