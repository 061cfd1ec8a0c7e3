//! Deleting what is over, and the floor.

mod belongings;

use std::time::Duration;

use rstest::rstest;
use tessera_kit::config::Listen;
use tessera_ledger::ReplicaId;
use tessera_ledger::event::Event;
use tessera_store::{HolderRecord, Tail};
use tessera_testkit::postgres::Cluster;
use tessera_types::{Clock as _, ErrorCode, Failure as _, Timestamp};
use tokio_util::sync::CancellationToken;

use self::belongings::{keep, left};
use super::revocation::is_active;
use super::{Backend, TestIssuer, token_request};
use crate::config::{Cleanup, Config};
use crate::grants;
use crate::operations::clients::{self, Patch};
use crate::operations::housekeeping::Housekeeping;
use crate::operations::revoke::{Authority, revoke};

const HOUR: Duration = Duration::from_hours(1);
const A_MONTH: Duration = Duration::from_hours(30 * 24);

impl TestIssuer {
    fn now(&self) -> Timestamp {
        self.cx().clock.now()
    }

    /// A token of a new client's, whose tokens live that long.
    async fn token(&self, client: &str, ttl: Duration) -> String {
        let secret = self.client(client, None).await.secret.expect("generated");
        let id = client.parse().expect("an id");
        let patch = Patch { access_ttl: Some(Some(ttl)), ..Patch::default() };
        clients::update(self.cx(), &id, None, patch).await.expect("changed");
        grants::issue(self.cx(), token_request(client, &secret)).await.expect("issued").access_token
    }
}

/// The job, driven by the test.
pub(super) fn job(issuer: &TestIssuer) -> Housekeeping {
    Housekeeping::new(issuer.cx().clone(), Cleanup { batch: 2, ..Cleanup::default() })
}

/// A round in which the database's clock says what the issuer's does.
pub(super) async fn round(issuer: &TestIssuer, job: &mut Housekeeping) {
    job.round(issuer.now()).await.expect("a round");
}

async fn floor(issuer: &TestIssuer) -> Option<Timestamp> {
    issuer.cx().store.log().floor().await.expect("read").map(|(_, floor)| floor)
}

/// Waits until the issuer has applied everything that is written.
async fn applied(issuer: &TestIssuer) {
    let head = issuer.cx().store.log().head().await.expect("a head").revision();
    issuer.cx().publication.applied(head, Duration::from_secs(60)).await.expect("applied");
}

fn has_stopped(issuer: &TestIssuer) -> bool {
    issuer.cx().telemetry.metrics.render().lines().any(|line| line == "tessera_floor_stopped 1")
}

fn deleted(issuer: &TestIssuer, kind: &str) -> u64 {
    let text = issuer.cx().telemetry.metrics.render();
    let of_kind = format!("tessera_cleanup_deleted_total{{kind=\"{kind}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&of_kind)).map_or(0, |count| count.parse().expect("a number"))
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_deleted_when_it_is_due_and_not_before(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    issuer.client("c", None).await;
    let mut job = job(&issuer);
    let now = issuer.now();
    keep(&issuer, "c", &[now.plus(HOUR), now.plus(HOUR * 2)]).await;
    let (hour, month) = (3600, 30 * 24 * 3600);
    let steps = [
        (hour - 1, [2, 2, 2, 2, 2]),
        (1, [1, 2, 1, 1, 2]),
        (hour * 23, [0, 2, 0, 0, 2]),
        (hour, [0, 1, 0, 0, 2]),
        (hour, [0, 0, 0, 0, 2]),
        (month - hour * 25 - 1, [0, 0, 0, 0, 2]),
        (1, [0, 0, 0, 0, 1]),
        (hour, [0, 0, 0, 0, 0]),
    ];
    for (step, expected) in steps {
        issuer.clock.advance(Duration::from_secs(step));
        round(&issuer, &mut job).await;
        assert_eq!(left(&issuer, "c").await, expected, "at {}", issuer.now());
    }
    for kind in ["authorization_request", "authorization_code", "refresh_family", "session", "client_secret"] {
        assert_eq!(deleted(&issuer, kind), 2, "{kind}");
    }
    assert_eq!(deleted(&issuer, "revocation"), 0);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_round_deletes_all_that_is_due_batch_by_batch(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    issuer.client("c", None).await;
    let mut job = job(&issuer);
    // Four and a half times a batch.
    keep(&issuer, "c", &[issuer.now().plus(HOUR); 9]).await;
    issuer.clock.advance(HOUR);
    round(&issuer, &mut job).await;
    assert_eq!(left(&issuer, "c").await, [0, 9, 0, 0, 9]);
    assert_eq!(deleted(&issuer, "session"), 9);
}

/// The revocations in a snapshot.
async fn revocations(issuer: &TestIssuer) -> usize {
    let facts = issuer.cx().store.log().snapshot().await.expect("read").facts;
    facts.iter().filter(|fact| matches!(fact.event, Event::TokenRevoked { .. })).count()
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_below_the_floor_stays_inactive_also_when_the_clock_is_set_back(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let begun = issuer.now();
    let (short, long) = (issuer.token("short", HOUR).await, issuer.token("long", HOUR * 24).await);
    let alive = issuer.token("alive", HOUR * 24).await;
    for token in [&short, &long] {
        revoke(issuer.cx(), Authority::Administrator, token).await.expect("revoked");
    }
    let mut job = job(&issuer);
    round(&issuer, &mut job).await;
    assert_eq!((floor(&issuer).await, revocations(&issuer).await), (None, 2), "nothing has expired");
    issuer.clock.advance(HOUR * 3);
    round(&issuer, &mut job).await;
    applied(&issuer).await;
    assert_eq!(floor(&issuer).await, Some(issuer.now().minus(Duration::from_mins(1))));
    assert_eq!((revocations(&issuer).await, deleted(&issuer, "revocation")), (1, 1));
    let head = issuer.head().await;
    issuer.clock.advance(HOUR);
    round(&issuer, &mut job).await;
    assert_eq!(issuer.head().await, head, "nothing more has expired, so the log says nothing");

    issuer.clock.set_wall(begun.plus(Duration::from_mins(5)));
    let active = |issuer: &TestIssuer| [&short, &long, &alive].map(|token| is_active(issuer, token));
    assert_eq!(active(&issuer), [false, false, true]);
    let issuer = issuer.restart().await;
    assert_eq!(active(&issuer), [false, false, true], "nor does a snapshot revive it");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_keeps_what_is_remembered_and_the_floor_until_a_restart(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let token = issuer.token("c", HOUR).await;
    revoke(issuer.cx(), Authority::Administrator, &token).await.expect("revoked");
    keep(&issuer, "c", &[issuer.now().plus(HOUR)]).await;
    let mut jumped = job(&issuer);
    let begun = issuer.now();
    issuer.clock.set_wall(begun.plus(A_MONTH));
    jumped.round(begun).await.expect("a round");
    assert!(has_stopped(&issuer), "an alarm");
    assert_eq!(left(&issuer, "c").await, [1; 5], "by the database's clock nothing is over");
    issuer.clock.set_wall(begun);
    issuer.clock.advance(HOUR * 3);
    round(&issuer, &mut jumped).await;
    assert!(has_stopped(&issuer), "it stays");
    assert_eq!((floor(&issuer).await, revocations(&issuer).await), (None, 1));
    assert_eq!(left(&issuer, "c").await, [0, 1, 1, 0, 1], "requests and sessions are over by both");

    let issuer = issuer.restart().await;
    assert!(!has_stopped(&issuer));
    let mut job = job(&issuer);
    round(&issuer, &mut job).await;
    assert_eq!(left(&issuer, "c").await, [0, 1, 0, 0, 1]);
    assert_eq!(revocations(&issuer).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_delete_only_what_is_over_by_both_and_remembered_by_nobody() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    issuer.client("c", None).await;
    keep(&issuer, "c", &[issuer.now().minus(A_MONTH), issuer.now().plus(HOUR)]).await;
    for off in [A_MONTH * 2, Duration::from_secs(61)] {
        let mut job = job(&issuer);
        assert!(!has_stopped(&issuer));
        job.round(issuer.now().plus(off)).await.expect("a round");
        assert!(has_stopped(&issuer));
        assert_eq!(left(&issuer, "c").await, [1, 2, 2, 1, 2]);
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_token_below_the_floor_is_nothing_to_revoke_once_everybody_knows_the_floor(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    issuer.config.sync.confirm_within = Duration::from_secs(1);
    let issuer = issuer.restart().await;
    let (revoked, forgotten) = (issuer.token("a", HOUR).await, issuer.token("b", HOUR).await);
    let alive = issuer.token("c", HOUR * 24).await;
    revoke(issuer.cx(), Authority::Administrator, &revoked).await.expect("revoked");
    let record = HolderRecord {
        replica: ReplicaId([1; 16]),
        name: "here".to_owned(),
        max_staleness: Duration::from_secs(5),
        joined: issuer.now(),
    };
    let holder = issuer.cx().publication.join(&record).await.expect("joined");
    let mut job = job(&issuer);
    issuer.clock.advance(HOUR * 3);
    round(&issuer, &mut job).await;
    applied(&issuer).await;
    let head = issuer.head().await;

    // Its clock may be slow, and without the floor it would go on saying active.
    let unheard = tokio::spawn({
        let (cx, token) = (issuer.cx().clone(), forgotten.clone());
        async move { revoke(&cx, Authority::Administrator, &token).await }
    });
    while !unheard.is_finished() {
        issuer.clock.advance(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
    let error = unheard.await.expect("no panic").expect_err("it has not heard of the floor");
    assert_eq!((error.code(), error.reason()), (ErrorCode::TemporarilyUnavailable, "REVOCATION_UNCONFIRMED"));
    holder.ack(head);
    let revision = revoke(issuer.cx(), Authority::Administrator, &forgotten).await.expect("nothing to revoke");
    assert_eq!(revision.number, head, "the floor's");
    revoke(issuer.cx(), Authority::Administrator, &revoked).await.expect("nothing to revoke");
    assert_eq!(issuer.head().await, head, "nothing was written");
    holder.ack(head + 1);
    revoke(issuer.cx(), Authority::Administrator, &alive).await.expect("revoked");
    assert_eq!(issuer.head().await, head + 1);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_database_costs_a_round_and_the_next_one_goes_on(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    issuer.client("c", None).await;
    let mut job = job(&issuer);
    keep(&issuer, "c", &[issuer.now().plus(HOUR)]).await;
    issuer.clock.advance(HOUR);
    // Somebody else holds what it needs: the writer on SQLite, the tables on PostgreSQL.
    let holder = match backend {
        Backend::Sqlite => Some(issuer.cx().store.begin().await.expect("begins")),
        Backend::Postgres => {
            sql(&issuer, "ALTER TABLE sessions RENAME TO aside");
            None
        }
    };
    let failed = job.round(issuer.now()).await;
    assert!(failed.is_err(), "{failed:?}");
    match holder {
        Some(holder) => holder.rollback().await.expect("rolls back"),
        None => sql(&issuer, "ALTER TABLE aside RENAME TO sessions"),
    }
    round(&issuer, &mut job).await;
    assert_eq!(left(&issuer, "c").await, [0, 1, 0, 0, 1]);
}

fn sql(issuer: &TestIssuer, statement: &str) {
    let cluster = Cluster::shared().expect("started").expect("installed");
    let name = issuer.config.database.url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name");
    cluster.execute(name, statement).expect("it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_issuers_may_clean_one_database_at_once() {
    let Some(issuer) = TestIssuer::start(Backend::Postgres).await else { return };
    let second = Config { listen: Listen::free_ports(), ..issuer.config.clone() };
    let second = TestIssuer::run(&second, &issuer.clock, 9).await;
    for number in 0..5 {
        let token = issuer.token(&format!("c{number}"), HOUR).await;
        revoke(issuer.cx(), Authority::Administrator, &token).await.expect("revoked");
    }
    keep(&issuer, "c0", &[issuer.now().plus(HOUR); 9]).await;
    let settings = Cleanup { batch: 1, ..Cleanup::default() };
    let mut jobs = [issuer.cx(), &second.cx].map(|cx| Housekeeping::new(cx.clone(), settings.clone()));
    issuer.clock.advance(HOUR * 3);
    let head = issuer.head().await;
    let now = issuer.now();
    let rounds = jobs.iter_mut().map(|job| job.round(now));
    for result in futures::future::join_all(rounds).await {
        result.expect("no error");
    }
    assert_eq!(issuer.head().await, head + 1, "one floor");
    for job in &mut jobs {
        job.round(now).await.expect("a round");
    }
    assert_eq!(left(&issuer, "c0").await, [0, 9, 0, 0, 9]);
    assert_eq!(revocations(&issuer).await, 0);
    second.shutdown().await;
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn it_runs_by_itself_keeps_the_newest_of_the_log_and_stops_when_told(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    for number in 0..5 {
        issuer.client(&format!("c{number}"), None).await;
    }
    let settings = Cleanup { interval: Duration::from_millis(1), batch: 1, keep_log: 3 };
    let stop = CancellationToken::new();
    let running = tokio::spawn(Housekeeping::new(issuer.cx().clone(), settings).run(stop.clone()));
    let head = issuer.head().await;
    let store = &issuer.cx().store;
    while store.log().after(head - 4, 1).await.expect("read") != Tail::Compacted {
        tokio::task::yield_now().await;
    }
    let Tail::Entries(kept) = store.log().after(head - 3, 10).await.expect("read") else { panic!("too much") };
    assert_eq!(kept.len(), 3);
    stop.cancel();
    running.await.expect("it has ended");
}
