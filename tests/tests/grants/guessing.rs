//! Guessing a person's password (item 28; Authelia CVE-2025-24806).

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tessera_tests::doors::{BOTH, Door, Grant, post_as};
use tessera_tests::people::{PASSWORD, shared_people};
use tessera_tests::person::Person;
use tessera_tests::refusal::assert_refused;
use tessera_tests::{eventually, reason};
use tonic::Code;
use tonic_types::StatusExt as _;

/// The failure that blocks.
const LAST: usize = 10;

/// One counter for all the names of a person and all the doors there are; it blocks nobody else, and ends.
#[tokio::test]
async fn username_and_email_share_one_counter_at_every_door() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    let (grace, other) = (people.person("grace").await?, people.person("not-grace").await?);
    let names = [grace.name.clone(), grace.email.clone(), grace.name.to_uppercase(), grace.email.to_uppercase()];
    for (number, name) in names.iter().cycle().take(LAST).enumerate() {
        if number % 3 == 2 {
            let refused = people.sign_in(name, "wrong").await.expect_err("wrong");
            ensure!(refused.code() == Code::FailedPrecondition, "failure {number}: {refused:?}");
        } else {
            let refused = at.ask(BOTH[number % 2], app, Grant::Password(name, "wrong"), "").await?.expect_err("wrong");
            ensure!(refused.error == "invalid_grant", "failure {number}: {refused:?}");
        }
    }
    for (door, name) in BOTH.into_iter().flat_map(|door| names.iter().map(move |name| (door, name))) {
        let refused =
            at.ask(door, app, Grant::Password(name, PASSWORD), "").await?.expect_err("not even the right one");
        ensure!(refused.throttled && refused.error == "temporarily_unavailable", "{door:?} {name}: {refused:?}");
        let wait = refused.wait.context("how long to wait")?;
        ensure!((Duration::from_secs(1)..=Duration::from_secs(10)).contains(&wait), "{door:?}: {wait:?}");
        ensure!(refused.reason.is_none_or(|reason| reason == "TOO_MANY_FAILED_LOGINS"), "{door:?}");
    }
    let refused = people.sign_in(&grace.email, PASSWORD).await.expect_err("nor by a front end");
    ensure!(refused.code() == Code::ResourceExhausted, "{refused:?}");
    ensure!(reason(&refused) == "TOO_MANY_FAILED_LOGINS" && refused.get_details_retry_info().is_some(), "{refused:?}");
    let mut at_the_page = Person::new(at.http);
    at_the_page.open("/login").await?;
    let answer = &at_the_page.login(&grace.name, PASSWORD).await?.page()?.answer;
    ensure!(answer.status == 429 && answer.header("retry-after").is_some(), "nor at the page: {answer:?}");

    at.issue(Door::Http, app, Grant::Password(&other.email, PASSWORD)).await.context("somebody else")?;
    let tokens = eventually("the block ends", async || {
        let outcome = at.ask(Door::Grpc, app, Grant::Password(&grace.name, PASSWORD), "").await?;
        ensure!(outcome.as_ref().err().is_none_or(|refusal| refusal.throttled), "{outcome:?}");
        Ok(outcome.ok())
    })
    .await?;
    assert!(people.world.everybody_says_active(&tokens.access).await?);
    Ok(())
}

/// Unknown people are counted like known ones, or the counter would tell who is there.
#[tokio::test]
async fn nobody_is_throttled_like_somebody() -> Result<()> {
    let people = shared_people().await?;
    let (at, app) = (people.at(), &people.app);
    for number in 0..LAST {
        let grant = Grant::Password("nobody@example.test", "wrong");
        let refused = at.ask(BOTH[number % 2], app, grant, "").await?.expect_err("nobody");
        ensure!(refused.error == "invalid_grant", "failure {number}: {refused:?}");
    }
    let fields = [("grant_type", "password"), ("username", "nobody@example.test"), ("password", "wrong")];
    let answer = post_as(at.http, "/oauth2/token", app, &fields).await?;
    assert_refused(&answer, 429, "temporarily_unavailable", "nobody");
    let wait: u64 = answer.header("retry-after").context("no Retry-After")?.parse()?;
    assert!((1..=10).contains(&wait), "{wait} s");
    Ok(())
}
