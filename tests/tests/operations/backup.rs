//! Backup and restore: what was taken while everything ran is whole, and no introspector forgets what was revoked since.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};
use rstest::rstest;
use serde_json::Value;
use tessera_testkit::pair::{Backend, Options};
use tessera_testkit::postgres::Cluster;
use tessera_testkit::process::{Service, binary, clean_command};
use tessera_tests::{World, channel, check_on, eventually, reason, world_with};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Code;

/// Introspectors that soon stop answering when they hear nothing, and an issuer that soon says so.
fn impatient() -> Options {
    Options {
        issuer: "[sync]\nconfirm_within = \"1s\"".to_owned(),
        introspector_sync: "max_staleness = \"2s\"".to_owned(),
        ..Options::default()
    }
}

/// A world and its database, as an operator with a backup sees them.
struct Site {
    world: World,
    /// The database's URL, where it is PostgreSQL.
    postgres: Option<String>,
    backup: PathBuf,
    /// One more introspector, that has done no harm.
    other: (Service, SocketAddr),
}

impl Site {
    async fn start(backend: Backend) -> Result<Option<Self>> {
        let Some(world) = world_with(backend, impatient()).await? else { return Ok(None) };
        let configuration = fs::read_to_string(world.pair.folder().join("tessera-issuer.toml"))?;
        let postgres =
            configuration.lines().find_map(|line| Some(line.strip_prefix("url = \"")?.trim_end_matches('"')));
        let postgres = postgres.map(str::to_owned);
        let (service, grpc, _) = world.pair.another_introspector().await?;
        let backup = world.pair.folder().join("yesterday.backup");
        Ok(Some(Self { world, postgres, backup, other: (service, grpc) }))
    }

    /// Runs `tessera db …` beside the issuer.
    fn db(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = clean_command(&binary("tessera")?);
        command.env("HOME", self.world.pair.folder()).arg("db").args(arguments).arg("--config");
        Ok(command.arg(self.world.pair.folder().join("tessera-issuer.toml")).args(["-o", "json"]).output()?)
    }

    /// As [`db`](Self::db), where it must succeed; what it prints.
    fn db_json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.db(arguments)?;
        ensure!(output.status.success(), "tessera db {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).context("tessera prints no JSON")
    }

    fn take_backup(&self) -> Result<Value> {
        self.db_json(&["backup", "--out", self.backup()])
    }

    fn backup(&self) -> &str {
        self.backup.to_str().expect("the folder's name is text")
    }

    /// Stops the issuer. The introspectors run on.
    async fn stop_issuer(&mut self) -> Result<()> {
        ensure!(self.world.pair.issuer.terminate().await? == Some(0));
        Ok(())
    }

    async fn start_issuer(&mut self) -> Result<()> {
        self.world.pair.issuer.restart().await?;
        self.world.pair.issuer.ready().await
    }

    /// Loses the database.
    fn lose(&self) -> Result<()> {
        let Some(url) = &self.postgres else {
            for file in ["", "-wal", "-shm"] {
                let file = self.world.pair.folder().join(format!("data/tessera.db{file}"));
                if file.exists() {
                    fs::remove_file(file)?;
                }
            }
            return Ok(());
        };
        let name = url.rsplit('/').next().and_then(|last| last.split('?').next()).context("a name")?;
        let cluster = Cluster::shared()?.context("it was there a moment ago")?;
        // In this order: nobody may connect in between and be in the way.
        cluster.execute("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))?;
        cluster.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"))?;
        Ok(())
    }

    /// Puts the backup in place as somebody does who does not know of `tessera db restored`.
    fn put_back_by_hand(&self) -> Result<()> {
        let Some(url) = &self.postgres else {
            fs::copy(&self.backup, self.world.pair.folder().join("data/tessera.db"))?;
            return Ok(());
        };
        let output = Command::new("pg_restore").arg(format!("--dbname={url}")).arg(&self.backup).output()?;
        ensure!(output.status.success(), "pg_restore: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn introspectors(&self) -> [SocketAddr; 2] {
        [self.world.pair.ports.introspector_grpc, self.other.1]
    }

    /// What an introspector says now: `None` where it cannot tell.
    async fn ask(&self, introspector: SocketAddr, token: &str) -> Result<Option<bool>> {
        match check_on(channel(introspector).await?, &self.world.resource, token).await {
            Ok(answer) => Ok(Some(answer.active)),
            Err(status) if status.code() == Code::Unavailable => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    /// Waits until every introspector says the same.
    async fn every_one_says(&self, token: &str, expected: Option<bool>) -> Result<()> {
        for introspector in self.introspectors() {
            eventually("they agree", async || Ok((self.ask(introspector, token).await? == expected).then_some(())))
                .await?;
        }
        Ok(())
    }

    /// Waits until they tell the issuer's new tokens from others, and returns one.
    async fn every_one_follows(&self) -> Result<String> {
        let token = self.world.token().await?;
        self.every_one_says(&token, Some(true)).await?;
        Ok(token)
    }

    /// Asks every introspector for a revoked token again and again; that one says active is what never happens.
    fn watch(&self, revoked: &str) -> Watch {
        let (stop, mut stopped) = oneshot::channel();
        let (introspectors, resource, token) = (self.introspectors(), self.world.resource.clone(), revoked.to_owned());
        let task = tokio::spawn(async move {
            let mut asked = 0_u64;
            let channels = [channel(introspectors[0]).await?, channel(introspectors[1]).await?];
            while stopped.try_recv().is_err() {
                for channel in &channels {
                    match check_on(channel.clone(), &resource, &token).await {
                        Ok(answer) => ensure!(!answer.active, "a revoked token is active again"),
                        Err(status) => ensure!(status.code() == Code::Unavailable, "{status:?}"),
                    }
                    asked += 1;
                }
            }
            Ok(asked)
        });
        Watch { stop, task }
    }
}

struct Watch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<u64>>,
}

impl Watch {
    async fn end(self) -> Result<()> {
        // Where it has ended, it tells why.
        let _ = self.stop.send(());
        ensure!(self.task.await?? > 0);
        Ok(())
    }
}

fn number(revision: &str) -> Result<u64> {
    Ok(revision.split_once('.').context("a revision is epoch.number")?.1.parse()?)
}

fn is_owners_alone(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o777 == 0o600)
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_taken_under_load_is_whole(#[case] backend: Backend) -> Result<()> {
    let Some(mut site) = Site::start(backend).await? else { return Ok(()) };
    let token = site.world.token().await?;
    let before = number(&site.world.revoke(&token).await?)?;
    let (stop, mut stopped) = oneshot::channel::<()>();
    let load = tokio::spawn({
        let (issuer, service) = (site.world.pair.ports.issuer_grpc, site.world.service.clone());
        async move {
            let mut last = String::new();
            while stopped.try_recv().is_err() {
                let token = tessera_tests::token(issuer, &service).await?;
                last = tessera_tests::revoke(issuer, &service, &token).await?;
            }
            Ok::<_, anyhow::Error>(last)
        }
    });
    let taken = site.take_backup();
    let _ = stop.send(());
    let after = number(&load.await??)?;
    let taken = taken?;
    let at = taken["revision"].as_u64().context("a revision")?;
    assert!((before..=after).contains(&at), "{before} <= {at} <= {after}");
    for file in ["file", "manifest_file"] {
        assert!(is_owners_alone(Path::new(taken[file].as_str().context("a path")?))?);
    }
    let refused = site.db(&["backup", "--out", site.backup()])?;
    assert_eq!(refused.status.code(), Some(5), "nothing is overwritten: {}", String::from_utf8_lossy(&refused.stderr));

    site.stop_issuer().await?;
    let in_the_way = site.db(&["restore", "--from", site.backup(), "--yes"])?;
    assert_eq!(in_the_way.status.code(), Some(5), "{}", String::from_utf8_lossy(&in_the_way.stderr));
    site.lose()?;
    let restored = site.db_json(&["restore", "--from", site.backup(), "--yes", "--max-staleness", "2s"])?;
    let epoch = taken["epoch"].as_str().context("an epoch")?;
    assert_eq!(restored["former_revision"], format!("{epoch}.{at}"), "where the manifest says");
    let checked = site.db_json(&["verify"])?;
    assert_eq!(checked["revision"], restored["revision"], "and its chain holds");
    assert!(checked["entries"].as_u64() > Some(at));
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_not_restored(#[case] backend: Backend) -> Result<()> {
    let Some(mut site) = Site::start(backend).await? else { return Ok(()) };
    site.take_backup()?;
    site.stop_issuer().await?;
    site.lose()?;
    let mut bytes = fs::read(&site.backup)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&site.backup, bytes)?;
    let refused = site.db(&["restore", "--from", site.backup(), "--yes"])?;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("BACKUP_DAMAGED"), "{said}");
    Ok(())
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_no_introspector_says_active_for_what_was_revoked_since(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(mut site) = Site::start(backend).await? else { return Ok(()) };
    let (old, revoked) = (site.world.token().await?, site.world.token().await?);
    site.take_backup()?;
    let later = site.world.token().await?;
    site.world.revoke(&revoked).await?;
    for (token, active) in [(&old, true), (&later, true), (&revoked, false)] {
        site.every_one_says(token, Some(active)).await?;
    }
    let watch = site.watch(&revoked);
    site.stop_issuer().await?;
    site.lose()?;
    site.db_json(&["restore", "--from", site.backup(), "--yes", "--max-staleness", "2s"])?;
    site.start_issuer().await?;
    let new = site.every_one_follows().await?;
    for dead in [&revoked, &old, &later] {
        site.every_one_says(dead, Some(false)).await?;
    }
    assert_eq!(site.world.check_at_issuer(&revoked).await?.body, r#"{"active":false}"#);
    site.world.revoke_until_confirmed(&new).await?;
    site.every_one_says(&new, Some(false)).await?;
    watch.end().await
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_database_set_back_in_silence_is_noticed_and_makes_every_answer_unavailable(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(mut site) = Site::start(backend).await? else { return Ok(()) };
    let revoked = site.world.token().await?;
    let taken = site.take_backup()?;
    let lost = number(&site.world.revoke(&revoked).await?)? - taken["revision"].as_u64().context("a revision")?;
    site.every_one_says(&revoked, Some(false)).await?;
    let watch = site.watch(&revoked);
    site.stop_issuer().await?;
    site.lose()?;
    site.put_back_by_hand()?;
    site.start_issuer().await?;
    site.every_one_says(&revoked, None).await?;
    let running = site.db(&["restored", "--yes"])?;
    assert_eq!(running.status.code(), Some(5), "the issuer runs: {}", String::from_utf8_lossy(&running.stderr));

    // The log grows past where the introspectors stand, by other events.
    for _ in 0..lost + 3 {
        let token = site.world.token().await?;
        let refused = site.world.revoke(&token).await.expect_err("the introspectors confirm nothing");
        assert_eq!(reason(&refused), "REVOCATION_UNCONFIRMED");
    }
    eventually("the hash tells", async || {
        Ok(site.world.pair.issuer.said()?.contains("the log has another hash at revision").then_some(()))
    })
    .await?;
    site.every_one_says(&revoked, None).await?;
    assert!(site.world.pair.issuer.metrics().await?.contains("\ntessera_log_rewritten 1"));
    for introspector in [&site.world.pair.introspector, &site.other.0] {
        assert!(!introspector.is_ready().await);
        assert!(introspector.metrics().await?.contains("\ntessera_log_rewritten 1"));
        assert!(introspector.said()?.contains("tessera db restored"), "what to do is said");
    }

    site.stop_issuer().await?;
    site.db_json(&["restored", "--yes", "--max-staleness", "2s"])?;
    site.start_issuer().await?;
    let new = site.every_one_follows().await?;
    site.every_one_says(&revoked, Some(false)).await?;
    site.world.revoke_until_confirmed(&new).await?;
    for introspector in [&site.world.pair.introspector, &site.other.0] {
        assert!(introspector.metrics().await?.contains("\ntessera_log_rewritten 0"));
    }
    watch.end().await
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn kept_tokens_live_on_and_the_first_confirmation_waits_for_whoever_may_still_answer(
    #[case] backend: Backend,
) -> Result<()> {
    let Some(mut site) = Site::start(backend).await? else { return Ok(()) };
    let (old, dead) = (site.world.token().await?, site.world.token().await?);
    site.world.revoke(&dead).await?;
    site.take_backup()?;
    site.stop_issuer().await?;
    site.lose()?;
    let unasked = site.db(&["restore", "--from", site.backup(), "--keep-tokens"])?;
    assert_eq!(unasked.status.code(), Some(2), "not without a yes: {}", String::from_utf8_lossy(&unasked.stderr));
    let tried = site.db(&["restore", "--from", site.backup(), "--keep-tokens", "--dry-run"])?;
    assert_eq!(tried.status.code(), Some(0), "{}", String::from_utf8_lossy(&tried.stderr));
    site.db_json(&["restore", "--from", site.backup(), "--keep-tokens", "--yes"])?;
    site.start_issuer().await?;
    let new = site.every_one_follows().await?;
    site.every_one_says(&old, Some(true)).await?;
    site.every_one_says(&dead, Some(false)).await?;
    // Whoever joined after the backup is in no row of it.
    let refused = site.world.revoke(&new).await.expect_err("an introspector nobody knows of may still answer");
    if reason(&refused) != "REVOCATION_UNCONFIRMED" {
        bail!("{refused:?}");
    }
    site.every_one_says(&new, Some(false)).await
}
