//! Revoking.

use std::time::Duration;

use rstest::rstest;
use tessera_check::{AudienceRule, Verdict};
use tessera_ledger::ReplicaId;
use tessera_store::HolderRecord;
use tessera_testkit::postgres::Cluster;
use tessera_types::{Audience, ErrorCode, Failure as _};

use super::{Backend, TestIssuer, presented, token_request};
use crate::grants;
use crate::operations::revoke::{Authority, RevokeError, revoke};

pub(super) fn is_active(issuer: &TestIssuer, token: &str) -> bool {
    let audience: Audience = "demo-resource".parse().expect("an audience");
    let rule = AudienceRule { resources: std::slice::from_ref(&audience), only: None };
    matches!(issuer.cx().checker.check(token, rule), Ok(Verdict::Active(_)))
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn repeating_a_revocation_waits_for_the_recorded_revision(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    let secret = issuer.client("c", None).await.secret.expect("generated");
    let token = grants::issue(cx, token_request("c", &secret)).await.expect("issued").access_token;
    assert!(is_active(&issuer, &token));
    let as_client = || Authority::Client(presented("c", Some(secret.clone())));
    let all = futures::future::join_all((0..16).map(|_| revoke(cx, as_client(), &token))).await;
    let revisions: Vec<_> = all.into_iter().map(|r| r.expect("revoked")).collect();
    assert!(revisions.iter().all(|r| *r == revisions[0]), "one event, whoever asked: {revisions:?}");
    assert!(!is_active(&issuer, &token));
    assert_eq!(revoke(cx, Authority::Administrator, &token).await.expect("revoked"), revisions[0]);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn many_revocations_at_once_are_all_kept(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    let secret = issuer.client("c", None).await.secret.expect("generated");
    let mut tokens = Vec::new();
    for _ in 0..300 {
        tokens.push(grants::issue(cx, token_request("c", &secret)).await.expect("issued").access_token);
    }
    let before = issuer.head().await;
    let revoking = tokens.iter().map(|token| revoke(cx, Authority::Administrator, token));
    for revoked in futures::future::join_all(revoking).await {
        revoked.expect("revoked");
    }
    assert_eq!(issuer.head().await, before + 300);
    assert!(tokens.iter().all(|token| !is_active(&issuer, token)));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clients_token_stays_active() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let mine = issuer.client("mine", None).await.secret.expect("generated");
    let yours = issuer.client("yours", None).await.secret.expect("generated");
    let token = grants::issue(cx, token_request("mine", &mine)).await.expect("issued").access_token;
    let error = revoke(cx, Authority::Client(presented("yours", Some(yours))), &token).await.expect_err("refused");
    assert!(matches!(error, RevokeError::NotYours));
    assert!(is_active(&issuer, &token));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_revoked_all_the_same() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let secret = issuer.client("c", None).await.secret.expect("generated");
    let token = grants::issue(cx, token_request("c", &secret)).await.expect("issued").access_token;
    let before = issuer.head().await;
    issuer.clock.advance(super::A_DAY);
    revoke(cx, Authority::Administrator, &token).await.expect("revoked");
    assert_eq!(issuer.head().await, before + 1, "a clock that runs ahead must not skip a revocation");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_nothing_to_revoke() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let before = issuer.head().await;
    for garbage in ["x", "a.b.c", "", "é", &"x".repeat(20_000)] {
        revoke(issuer.cx(), Authority::Administrator, garbage).await.expect("nothing to do");
    }
    assert_eq!(issuer.head().await, before);
}

/// Fosite hid a storage error once, and a revocation "succeeded" (CVE-2020-15223).
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_database_is_never_a_successful_revocation(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    let secret = issuer.client("c", None).await.secret.expect("generated");
    let token = grants::issue(cx, token_request("c", &secret)).await.expect("issued").access_token;
    cx.store.close().await;
    let error = revoke(cx, Authority::Administrator, &token).await.expect_err("never OK");
    assert_eq!(error.code(), ErrorCode::TemporarilyUnavailable, "{error:?}");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_issuer_waits_for_introspectors_that_may_still_answer(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let max_staleness = Duration::from_secs(5);
    let record = HolderRecord {
        replica: ReplicaId([1; 16]),
        name: "here".to_owned(),
        max_staleness,
        joined: issuer.cx().clock.now(),
    };
    // Its stream is open when the issuer stops: it may answer from memory for a while.
    let holder = issuer.cx().publication.join(&record).await.expect("joined");
    let issuer = issuer.restart().await;
    drop(holder);
    let holders = issuer.cx().publication.holders().clone();
    assert_eq!(holders.count(), 1, "known from the process before");
    let waiting = tokio::spawn(async move { holders.wait(1, Duration::from_secs(3600)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "nothing is called done while it may say active");
    issuer.clock.advance(max_staleness * 2);
    // Its coming back, or that time, ends the wait.
    let back = issuer.cx().publication.join(&record).await.expect("joined");
    back.ack(1);
    assert!(waiting.await.expect("no panic"));
    issuer.cx().publication.goodbye(back).await.expect("left");
    assert_eq!(issuer.restart().await.cx().publication.holders().count(), 0, "a goodbye is remembered");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_algorithm_signs_once_it_is_known_and_the_old_ones_tokens_stay_good(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    let secret = issuer.client("c", None).await.secret.expect("generated");
    let old = grants::issue(issuer.cx(), token_request("c", &secret)).await.expect("issued").access_token;
    issuer.config.tokens.signing_alg = "ES256".to_owned();
    let issuer = issuer.restart().await;
    let cx = issuer.cx();
    let signs_with = || cx.signer.load_full().expect("a key").algorithm();
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    while signs_with() != tessera_types::Algorithm::Es256 {
        looks.tick().await;
    }
    let states: Vec<_> =
        crate::operations::keys::list(cx).await.expect("listed").into_iter().map(|k| k.state).collect();
    assert_eq!(states.len(), 2, "{states:?}");
    assert!(is_active(&issuer, &old), "under the retiring key");
    let new = grants::issue(cx, token_request("c", &secret)).await.expect("issued").access_token;
    assert!(is_active(&issuer, &new));
    assert!(crate::operations::keys::jwks(cx).expect("loaded").matches("kid").count() == 2);
}

/// The one introspector that was wrong is restarted, and does not come back with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_introspectors_word_that_the_log_is_another_counts_for_a_minute() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let shown = async |value: u8| {
        let line = format!("tessera_log_rewritten {value}");
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        let seen = async {
            while !cx.telemetry.metrics.render().lines().any(|shown| shown == line) {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen).await.expect("it is looked at every second");
    };
    shown(0).await;
    cx.publication.contradicted(cx.clock.monotonic());
    shown(1).await;
    issuer.clock.advance(Duration::from_secs(61));
    shown(0).await;
}

/// An asynchronous standby that is promoted under a running issuer lacks its last commits; so does a backup. A revocation written
/// there gets a revision that everybody seems to have confirmed already.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lost_commits_confirms_nothing() {
    let Some(issuer) = TestIssuer::start(Backend::Postgres).await else { return };
    let cx = issuer.cx();
    let secret = issuer.client("c", None).await.secret.expect("generated");
    let issue = async || grants::issue(cx, token_request("c", &secret)).await.expect("issued").access_token;
    let (early, late) = (issue().await, issue().await);
    revoke(cx, Authority::Administrator, &early).await.expect("revoked");
    revoke(cx, Authority::Administrator, &issue().await).await.expect("revoked");
    let cluster = Cluster::shared().expect("started").expect("installed");
    let name = issuer.config.database.url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name");
    let lose_two = "UPDATE log_head SET (revision, hash) = (SELECT revision, hash FROM log_events \
                    WHERE revision = (SELECT max(revision) - 2 FROM log_events)); \
                    DELETE FROM log_events WHERE revision > (SELECT revision FROM log_head);";
    cluster.execute(name, lose_two).expect("lost");
    let error = revoke(cx, Authority::Administrator, &late).await.expect_err("never OK");
    assert_eq!(error.code(), ErrorCode::TemporarilyUnavailable, "{error:?}");
    let audience: Audience = "demo-resource".parse().expect("an audience");
    while cx.publication.in_touch(cx.clock.monotonic()) {
        tokio::task::yield_now().await;
    }
    let rule = AudienceRule { resources: std::slice::from_ref(&audience), only: None };
    let answer = crate::operations::access::check(cx, &late, rule).await;
    assert!(answer.is_err(), "nobody can tell: {answer:?}");
}
