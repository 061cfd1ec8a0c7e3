//! Many at once, also at two issuers on one database: one successor, one winner, and never a failure of the server's.

use anyhow::{Context as _, Result, ensure};
use rstest::rstest;
use tessera_testkit::pair::Backend;
use tessera_testkit::process::Service;
use tessera_tests::doors::{At, BOTH, Door, Grant, Outcome};
use tessera_tests::people::{People, people, redemption};
use tessera_tests::{Client, eventually};
use tokio::task::JoinSet;

/// How many come at once.
const MANY: usize = 64;

/// So that a busy machine does not end the grace in the midst of a test.
const LONG_GRACE: &str = "refresh_reuse_grace = \"60s\"";

/// What every one of many is about.
#[derive(Clone, Copy)]
enum What {
    Refresh,
    Redeem,
}

/// The issuers of a world: one on SQLite, two on PostgreSQL. The second one lives as long as its process is held.
async fn issuers(people: &People, backend: Backend) -> Result<(Vec<At>, Option<Service>)> {
    let first = people.at();
    if backend == Backend::Sqlite {
        return Ok((vec![first], None));
    }
    let (service, grpc, http) = people.world.pair.another_issuer().await?;
    Ok((vec![first, At { http, grpc }], Some(service)))
}

/// Presents a token or a code many times at once, spread over issuers and doors.
async fn all_at_once(issuers: &[At], client: &Client, what: What, presented: &str) -> Result<Vec<Outcome>> {
    let mut running = JoinSet::new();
    for number in 0..MANY {
        let (at, door) = (issuers[number % issuers.len()], BOTH[number / issuers.len() % BOTH.len()]);
        let (client, presented) = (client.clone(), presented.to_owned());
        running.spawn(async move {
            let grant = match what {
                What::Refresh => Grant::Refresh(&presented),
                What::Redeem => redemption(&presented),
            };
            at.ask(door, &client, grant, "").await
        });
    }
    let mut outcomes = Vec::with_capacity(MANY);
    while let Some(outcome) = running.join_next().await {
        outcomes.push(outcome??);
    }
    Ok(outcomes)
}

/// Item 26: whoever refreshes, wherever, gets the same successor; there is one afterwards.
#[rstest]
#[case::one_issuer_on_sqlite(Backend::Sqlite)]
#[case::two_issuers_on_postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn refreshes_at_once_get_one_successor_and_no_failure(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, LONG_GRACE).await? else { return Ok(()) };
    let (issuers, _second) = issuers(&people, backend).await?;
    let mut presented = people.by_code().await?.refresh()?.to_owned();
    for round in 0..3 {
        let outcomes = all_at_once(&issuers, &people.app, What::Refresh, &presented).await?;
        let mut successors = Vec::new();
        for outcome in outcomes {
            let tokens = outcome.map_err(|refusal| anyhow::anyhow!("round {round}: {refusal:?}"))?;
            successors.push(tokens.refresh()?.to_owned());
        }
        successors.dedup();
        ensure!(successors.len() == 1, "round {round}: {} successors", successors.len());
        let successor = successors.pop().context("one")?;
        let mut next = Vec::new();
        for at in issuers.iter().cycle().take(2) {
            let again = at.issue(Door::Http, &people.app, Grant::Refresh(&presented)).await?;
            ensure!(again.refresh()? == successor, "round {round}: another one later");
            let tokens = at.issue(Door::Grpc, &people.app, Grant::Refresh(&successor)).await?;
            ensure!(people.world.is_active_again(&tokens.access).await?, "round {round}");
            next.push(tokens.refresh()?.to_owned());
        }
        ensure!(next[0] == next[1], "round {round}: the one successor has one successor");
        presented.clone_from(&next[0]);
    }
    Ok(())
}

/// Item 22: one winner; for the others the code was used, which revokes what the winner got (item 23).
#[rstest]
#[case::one_issuer_on_sqlite(Backend::Sqlite)]
#[case::two_issuers_on_postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn redemptions_at_once_have_one_winner_and_no_failure(#[case] backend: Backend) -> Result<()> {
    let Some(people) = people(backend, LONG_GRACE).await? else { return Ok(()) };
    let (issuers, _second) = issuers(&people, backend).await?;
    for round in 0..3 {
        let code = people.code(&people.app, &people.ada, "").await?;
        let outcomes = all_at_once(&issuers, &people.app, What::Redeem, &code).await?;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        ensure!(won.len() == 1, "round {round}: {} winners", won.len());
        for refusal in lost.into_iter().filter_map(Result::err) {
            ensure!(refusal.error == "invalid_grant", "round {round}: {refusal:?}");
            ensure!(refusal.reason.as_deref().is_none_or(|reason| reason == "CODE_REPLAYED"), "{refusal:?}");
        }
        let tokens = won.into_iter().find_map(Result::ok).context("a winner")?;
        // The second issuer's log reaches the introspector through the first.
        eventually("the winner's token is dead", async || {
            Ok((!people.world.is_active_again(&tokens.access).await?).then_some(()))
        })
        .await?;
        for at in &issuers {
            at.refuses(&people.app, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
        }
    }
    Ok(())
}

/// Items 29 and 30, Keycloak #51312: whoever wins, once the revocation has returned nothing of the grant is active.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_racing_a_revocation_leaves_nothing_alive(#[case] backend: Backend) -> Result<()> {
    const ROUNDS: usize = 24;
    let Some(people) = people(backend, LONG_GRACE).await? else { return Ok(()) };
    let at = people.at();
    let mut refreshed = 0;
    for round in 0..ROUNDS {
        let (door, other) = (BOTH[round % 2], BOTH[(round + 1) % 2]);
        let first = people.by_code().await?;
        let second = at.issue(door, &people.app, Grant::Refresh(first.refresh()?)).await?;
        // Spent or current, either takes the grant along.
        let revoked = if round % 3 == 0 { &first } else { &second };
        let refreshing = async |later: usize| {
            for _ in 0..later {
                tokio::task::yield_now().await;
            }
            at.ask(door, &people.app, Grant::Refresh(second.refresh()?), "").await
        };
        let revoking = async {
            at.revoke(other, &people.app, revoked.refresh()?, "").await?;
            // What was given out before the revocation is dead as soon as it has returned.
            ensure!(!people.world.check(&second.access).await?.active, "round {round}: after OK");
            Ok(())
        };
        let (one, done, another) = tokio::join!(refreshing(0), revoking, refreshing(round));
        done?;
        for outcome in [one?, another?] {
            let Ok(tokens) = outcome else { continue };
            refreshed += 1;
            ensure!(!people.world.check(&tokens.access).await?.active, "round {round}: a token of the race");
            at.refuses(&people.app, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
        }
        for tokens in [&first, &second] {
            ensure!(!people.world.everybody_says_active(&tokens.access).await?, "round {round}");
            at.refuses(&people.app, Grant::Refresh(tokens.refresh()?), "", "invalid_grant").await?;
        }
    }
    assert!((1..2 * ROUNDS).contains(&refreshed), "no race was lost and won: {refreshed}");
    Ok(())
}
