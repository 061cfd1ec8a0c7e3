//! After a restore: what was got before it, and what of it may be kept.

use std::time::Duration;

use rstest::rstest;
use tessera_ledger::event::{Event, Subject};
use tessera_store::{AuditFilter, Database, DatabaseOptions};
use tessera_testkit::SeededRandom;

use super::people::{People, refresh_of};
use super::{Backend, TestIssuer};
use crate::operations::restored::{Restored, Terms};

/// Stops the issuer, says that its database was restored, and starts it again.
async fn restored(people: People, keep_tokens: bool) -> People {
    let People { issuer, ada, app } = people;
    let TestIssuer { running, clock, config, folder } = issuer;
    running.shutdown().await;
    let url = config.check().expect("it was good before").database_url;
    let store = Database::connect(&DatabaseOptions::new(&url)).await.expect("opens");
    let operation = Restored { store: &store, clock: &*clock, random: &SeededRandom::new(9) };
    let former = store.log().head().await.expect("a head");
    let terms = Terms { keep_tokens, max_staleness: Duration::from_secs(2) };
    let done = operation.begin_epoch(terms).await.expect("begins");
    assert_eq!(done.former, former);
    assert_ne!(done.position.epoch, former.epoch);
    assert_eq!(done.position.revision, former.revision + if keep_tokens { 1 } else { 2 });
    let newest =
        store.audit().after(&AuditFilter::default(), 0, 10_000).await.expect("listed").pop().expect("a record");
    assert_eq!((newest.action.as_str(), newest.actor.id.as_str()), ("database.restored", "tessera db restored"));
    let holders = store.holders().list().await.expect("listed");
    assert_eq!(holders.iter().map(|holder| holder.max_staleness).collect::<Vec<_>>(), [terms.max_staleness]);
    store.close().await;
    let running = TestIssuer::run(&config, &clock, 10).await;
    People { issuer: TestIssuer { running, clock, config, folder }, ada, app }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_got_before_a_restore_gives_nothing_after_it(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let (before, code) = (people.by_password().await, people.code().await);
    let people = restored(people, false).await;
    assert!(people.refresh(&refresh_of(&before)).await.is_err(), "its family is older than the epoch");
    assert!(people.redeem(&code).await.is_err(), "so is the code");
    let after = people.by_password().await;
    people.refresh(&refresh_of(&after)).await.expect("what is new is good");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_over_a_restore_is_held_against_later_watermarks(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let (before, code) = (people.by_password().await, people.code().await);
    let people = restored(people, true).await;
    people.redeem(&code).await.expect("kept");
    let next = people.refresh(&refresh_of(&before)).await.expect("kept");
    let people = restored(people, true).await;
    let next = people.refresh(&refresh_of(&next)).await.expect("also over a second one");
    let cx = people.issuer.cx();
    let mut tx = cx.store.begin().await.expect("begins");
    tx.record(Event::WatermarkRaised(Subject::User(people.ada.id.to_string().into())));
    let raised = cx.publication.commit(tx).await.expect("commits").position.revision();
    cx.replica.wait_for(raised).await;
    assert!(people.refresh(&refresh_of(&next)).await.is_err(), "a watermark from after the restore");
}
