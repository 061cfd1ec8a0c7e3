//! An issuer that dies in the midst of rotations (SIGKILL) neither forks a family nor locks anybody out.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_testkit::pair::Backend;
use tessera_tests::Client;
use tessera_tests::doors::{At, BOTH, Door, Grant};
use tessera_tests::people::people;
use tokio::sync::mpsc;

/// So many refresh without pause.
const CLIENTS: usize = 6;

/// After so many acknowledgements each time the issuer is killed; the others are wherever they are then.
const DEATHS: [usize; 6] = [1, 7, 16, 4, 29, 11];

/// What a client holds.
#[derive(Clone)]
struct Holder {
    door: Door,
    /// The token it has, which it may have presented without hearing an answer.
    held: String,
    /// The one before.
    before: Option<String>,
}

impl Holder {
    /// Refreshes again and again until nobody answers, telling of each success.
    async fn refresh_until_the_end(mut self, at: At, app: Client, told: mpsc::UnboundedSender<()>) -> Result<Self> {
        loop {
            match at.ask(self.door, &app, Grant::Refresh(&self.held), "").await {
                Ok(Ok(tokens)) => {
                    self.before = Some(std::mem::replace(&mut self.held, tokens.refresh()?.to_owned()));
                    // Whoever counts may have heard enough.
                    let _ = told.send(());
                }
                Ok(Err(refusal)) => anyhow::bail!("{refusal:?}"),
                // Nothing that the issuer said: the connection broke.
                Err(_) => return Ok(self),
            }
        }
    }

    /// Whatever it holds is good for the one successor, and that is good too.
    async fn is_served_and_alone(&mut self, at: At, app: &Client) -> Result<String> {
        let refresh = async |door, token: &str| at.issue(door, app, Grant::Refresh(token)).await;
        if let Some(before) = &self.before {
            let again = refresh(self.door, before).await.context("the token before")?;
            ensure!(again.refresh()? == self.held, "the token before has two successors");
        }
        let next = refresh(self.door, &self.held).await.context("the token held")?;
        for door in BOTH {
            let again = refresh(door, &self.held).await.context("the token held, again")?;
            ensure!(again.refresh == next.refresh, "the token held has two successors");
        }
        let last = refresh(self.door, next.refresh()?).await.context("its successor")?;
        let held = std::mem::replace(&mut self.held, last.refresh()?.to_owned());
        let again = refresh(self.door, &held).await.context("the token held, once more")?;
        ensure!(again.refresh == next.refresh, "and its successor's use makes no other");
        self.before = next.refresh;
        Ok(last.access)
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_amid_rotations_forks_no_family_and_locks_nobody_out(#[case] backend: Backend) -> Result<()> {
    let Some(mut people) = people(backend, "refresh_reuse_grace = \"60s\"").await? else { return Ok(()) };
    let (at, app) = (people.at(), people.app.clone());
    let mut holders = Vec::new();
    for number in 0..CLIENTS {
        let held = people.by_code().await?.refresh()?.to_owned();
        holders.push(Holder { door: BOTH[number % 2], held, before: None });
    }
    for (death, acknowledged) in DEATHS.into_iter().enumerate() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let running: Vec<_> = holders
            .drain(..)
            .map(|holder| tokio::spawn(holder.refresh_until_the_end(at, app.clone(), tell.clone())))
            .collect();
        drop(tell);
        for _ in 0..acknowledged {
            told.recv().await.context("nobody refreshes any more")?;
        }
        people.world.pair.issuer.kill()?;
        for holder in running {
            holders.push(holder.await?.with_context(|| format!("death {death}"))?);
        }
        people.world.pair.issuer.restart().await?;
        people.world.pair.issuer.ready().await?;
        for holder in &mut holders {
            let access = holder.is_served_and_alone(at, &app).await.with_context(|| format!("death {death}"))?;
            ensure!(people.world.is_active_again(&access).await?, "death {death}: a usable pair");
        }
    }
    Ok(())
}
