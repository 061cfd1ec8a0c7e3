//! The audit: what is not there unless it was recorded, what a flood costs, and how long records are kept.

use rstest::rstest;
use tessera_store::{Action, Actor, AuditFilter, AuditRecord};
use tessera_types::{Failure as _, Timestamp};

use super::*;
use crate::audit::By;
use crate::client_auth;
use crate::operations::clients;
use crate::operations::housekeeping::Housekeeping;

async fn records(issuer: &TestIssuer) -> Vec<AuditRecord> {
    issuer.cx().store.audit().after(&AuditFilter::default(), 0, 10_000).await.expect("listed")
}

async fn of(issuer: &TestIssuer, action: Action) -> Vec<AuditRecord> {
    let mut records = records(issuer).await;
    records.retain(|record| record.action == action.as_str());
    records
}

/// Takes the audit's tables away.
async fn break_audit(issuer: &TestIssuer) {
    let store = &issuer.cx().store;
    let applied = store.migration_status().await.expect("a status");
    let steps = applied.iter().filter(|migration| &*migration.name >= "m20261127_000010").count();
    store.rollback(u32::try_from(steps).expect("few")).await.expect("taken back");
}

#[rstest]
#[case(Backend::Sqlite)]
#[case(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_done(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let created = issuer.client("orders", None).await;
    let head = issuer.head().await;
    break_audit(&issuer).await;
    let error = clients::set_enabled(issuer.cx(), &created.client.id, false).await.err().expect("not recorded");
    assert_eq!(error.reason(), "STORE_NOT_PREPARED", "{error:?}");
    let kept = clients::find(issuer.cx(), &created.client.id).await.expect("still there");
    assert!(kept.enabled, "not disabled");
    assert_eq!(issuer.head().await, head, "and nobody is told that it is");
}

#[rstest]
#[case(Backend::Sqlite)]
#[case(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_the_callers_and_what_changes_nothing_is_no_record(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let created = issuer.client("orders", None).await;
    let from = Some("192.0.2.1".parse().expect("an address"));
    let cx = issuer.cx().acting(By { from, ..By::of(Actor::Client("boss".parse().expect("an id"))) });
    let changed = clients::set_enabled(&cx, &created.client.id, false).await.expect("disabled");
    clients::set_enabled(&cx, &created.client.id, false).await.expect("disabled already");
    let told = of(&issuer, Action::ClientDisable).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].actor.id.as_str(), told[0].address.as_deref()), ("boss", Some("192.0.2.1")));
    assert_eq!(told[0].revision, Some(changed.revision));
}

#[rstest]
#[case(Backend::Sqlite)]
#[case(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_failures_alike_are_two_records(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    issuer.client("orders", None).await;
    let attempt = presented("orders", Some(secret("tsk_wrong")));
    for _ in 0..1000 {
        client_auth::authenticate(issuer.cx(), &attempt).await.expect_err("refused");
    }
    issuer.cx().write_attempts(true).await;
    let counts: Vec<u64> = of(&issuer, Action::ClientAuthenticate)
        .await
        .iter()
        .filter(|record| record.reason.as_deref() == Some("WRONG_SECRET"))
        .map(|record| record.count)
        .collect();
    assert!(counts.len() <= 2 && !counts.is_empty(), "{counts:?}");
    let all: u64 = of(&issuer, Action::ClientAuthenticate).await.iter().map(|record| record.count).sum();
    assert_eq!(all, 1000, "each is counted");
}

#[rstest]
#[case(Backend::Sqlite)]
#[case(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn records_are_kept_as_long_as_is_configured(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    issuer.config.audit.keep = 30 * A_DAY;
    issuer = issuer.restart().await;
    issuer.client("old", None).await;
    let mut job = Housekeeping::new(issuer.cx().clone(), issuer.config.cleanup.clone());
    issuer.advance(29 * A_DAY).await;
    issuer.client("new", None).await;
    let created = async || -> Vec<String> {
        let told = of(&issuer, Action::ClientCreate).await;
        told.into_iter().filter_map(|record| record.target).map(|target| target.id).collect()
    };
    job.round(issuer.clock.now()).await.expect("a round");
    assert_eq!(created().await, ["old", "new"]);
    issuer.advance(A_DAY).await;
    // Clocks that differ are believed by nobody.
    let mut mistaken = Housekeeping::new(issuer.cx().clone(), issuer.config.cleanup.clone());
    mistaken.round(Timestamp(issuer.clock.now().0 + 3600)).await.expect("a round");
    assert_eq!(created().await, ["old", "new"]);
    job.round(issuer.clock.now()).await.expect("a round");
    assert_eq!(created().await, ["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_kept_for_ever_where_that_is_configured() {
    let mut issuer = TestIssuer::start(Backend::Sqlite).await.expect("SQLite is always there");
    issuer.config.audit.keep = Duration::ZERO;
    issuer = issuer.restart().await;
    issuer.client("old", None).await;
    let mut job = Housekeeping::new(issuer.cx().clone(), issuer.config.cleanup.clone());
    issuer.advance(5000 * A_DAY).await;
    job.round(issuer.clock.now()).await.expect("a round");
    assert_eq!(of(&issuer, Action::ClientCreate).await.len(), 1);
}
