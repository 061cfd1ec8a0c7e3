//! Following the log, losing it, and saying so.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tessera_api::introspection::v1::consistency::Requirement;
use tessera_api::introspection::v1::{Consistency, IntrospectRequest, IntrospectResponse};
use tessera_api::sync::v1;
use tessera_ledger::event::{Event, Position, Subject};
use tonic::{Code, Status};

use crate::setting::{RESOURCE, Setting, authorized, basic, client, reason, revoked};

fn with(token: &str, requirement: Requirement) -> IntrospectRequest {
    let consistency = Some(Consistency { requirement: Some(requirement) });
    IntrospectRequest { token: token.to_owned(), consistency, ..IntrospectRequest::default() }
}

fn is_unavailable(answer: &Result<IntrospectResponse, Status>) -> bool {
    answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable)
}

fn is_active(answer: &Result<IntrospectResponse, Status>) -> bool {
    answer.as_ref().is_ok_and(|response| response.active)
}

fn hellos(setting: &Setting) -> Vec<Option<Position>> {
    setting.issuer.inner().hellos.borrow().iter().map(|hello| hello.position).collect()
}

#[tokio::test]
async fn before_the_first_snapshot_nothing_is_active_and_nothing_inactive() {
    let setting = Setting::unsynchronized().await;
    for token in [setting.token(), "garbage".to_owned()] {
        let error = setting.ask(&token).await.expect_err("not synchronized");
        assert_eq!(error.code(), Code::Unavailable);
    }
    assert!(!setting.running.is_ready());
    setting.issuer.refuse_streams(false);
    setting.running.wait_ready().await;
    assert!(setting.is_active(&setting.token()).await);
}

#[tokio::test]
async fn out_of_touch_for_too_long_is_unavailable_and_comes_back() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert!(setting.is_active(&token).await);
    setting.issuer.partition().await;
    setting.clock.advance(Duration::from_secs(10));
    assert!(setting.is_active(&token).await, "ten seconds are allowed");
    setting.clock.advance(Duration::from_millis(1));
    for token in [&*token, "garbage"] {
        let error = setting.ask(token).await.expect_err("out of touch");
        assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "OUT_OF_TOUCH"));
    }
    setting.issuer.refuse_streams(false);
    setting.until(&token, is_active).await;
}

#[tokio::test]
async fn a_broken_stream_is_resumed_where_it_ended() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let token = setting.sign(&claims);
    assert!(setting.is_active(&token).await);
    setting.issuer.partition().await;
    let revision = setting.issuer.append(revoked(&claims));
    setting.issuer.refuse_streams(false);
    setting.issuer.confirmed(revision).await;
    assert!(!setting.is_active(&token).await);
    let hellos = hellos(&setting);
    assert_eq!(hellos[0], None);
    assert_eq!(hellos[1].map(|position| position.revision), Some(3), "no second snapshot is asked for");
}

#[tokio::test]
async fn a_restored_log_is_loaded_anew_and_its_older_tokens_wait() {
    let setting = Setting::ready().await;
    let old = setting.token();
    assert!(setting.is_active(&old).await);
    setting.issuer.restore(2, 3);
    setting.issuer.cut();
    let fresh = setting.token();
    setting.until(&fresh, is_active).await;
    assert!(is_unavailable(&setting.ask(&old).await), "its revision is of a log that is gone");
}

#[tokio::test]
async fn what_is_older_than_a_restore_is_inactive_where_the_new_log_says_so() {
    let setting = Setting::ready().await;
    let old = setting.token();
    assert!(setting.is_active(&old).await);
    let former = setting.issuer.epoch();
    setting.issuer.restore(2, 3);
    setting.issuer.append(Event::EpochBegan { former });
    setting.issuer.cut();
    let fresh = setting.token();
    setting.until(&fresh, is_active).await;
    assert!(setting.is_active(&old).await, "kept");
    setting.issuer.publish(Event::WatermarkRaised(Subject::Everything)).await;
    assert!(!setting.is_active(&old).await && !setting.is_active(&fresh).await);
    assert!(setting.is_active(&setting.token()).await);
}

#[tokio::test]
async fn a_rewritten_log_is_noticed_by_its_hash_and_followed_only_under_a_new_epoch() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert!(setting.is_active(&token).await);
    setting.issuer.deltas(false);
    let mut refused = setting.issuer.inner().refused.subscribe();
    refused.mark_unchanged();
    setting.issuer.rewrite(2, vec![client("another", &[], &[]), client(RESOURCE.0, &[], &["demo-resource"])]);
    setting.issuer.cut();
    refused.changed().await.expect("it is told");
    assert_eq!(hellos(&setting)[1].map(|position| position.revision), Some(3));
    setting.clock.advance(Duration::from_secs(11));
    assert!(is_unavailable(&setting.ask(&token).await));
    assert_eq!(setting.issuer.inner().snapshots.load(Ordering::SeqCst), 1, "no snapshot of what is there now");
    setting.issuer.deltas(true);
    setting.issuer.restore(2, 4);
    setting.until(&setting.token(), is_active).await;
}

#[tokio::test]
async fn an_unknown_event_is_never_confirmed_and_makes_every_answer_unavailable() {
    let setting = Setting::ready().await;
    let token = setting.token();
    assert!(setting.is_active(&token).await);
    setting.issuer.refuse_streams(true);
    let unknown = v1::LogEvent { revision: 4, hash: vec![0; 32], event: Some(v1::Event { kind: None }) };
    let delta = v1::Delta { events: vec![unknown], age: Some(prost_types::Duration::default()), traces: Vec::new() };
    setting.issuer.say(v1::WatchResponse { message: Some(v1::watch_response::Message::Delta(delta)) });
    setting.until(&token, is_unavailable).await;
    assert_eq!(*setting.issuer.inner().acked.borrow(), 3);
    assert!(!setting.running.is_ready() || is_unavailable(&setting.ask(&token).await));
}

#[tokio::test]
async fn a_gap_is_no_confirmation_and_the_stream_begins_anew() {
    let setting = Setting::ready().await;
    let event = tessera_ledger::wire::event_to_wire(&client("x", &[], &[]));
    let far = v1::LogEvent { revision: 9, hash: vec![0; 32], event: Some(event) };
    let delta = v1::Delta { events: vec![far], age: Some(prost_types::Duration::default()), traces: Vec::new() };
    setting.issuer.say(v1::WatchResponse { message: Some(v1::watch_response::Message::Delta(delta)) });
    let mut hellos = setting.issuer.inner().hellos.subscribe();
    hellos.wait_for(|hellos| hellos.len() == 2).await.expect("it connects again");
    setting.until(&setting.token(), is_active).await;
    assert_eq!(*setting.issuer.inner().acked.borrow(), 3);
}

#[tokio::test]
async fn what_was_just_issued_is_active_at_once() {
    let setting = Setting::ready().await;
    setting.issuer.deltas(false);
    setting.issuer.append(client("brand-new", &["demo-resource"], &[]));
    let claims = tessera_check::AccessClaims { client: "brand-new".parse().expect("an id"), ..setting.claims() };
    let token = setting.sign(&claims);
    let release = async {
        tokio::task::yield_now().await;
        setting.issuer.deltas(true);
    };
    let (answer, ()) = tokio::join!(setting.ask(&token), release);
    assert!(answer.expect("an answer").active);
}

#[tokio::test]
async fn a_token_whose_revision_does_not_come_is_unavailable_within_the_deadline() {
    let setting = Setting::ready().await;
    setting.issuer.deltas(false);
    setting.issuer.append(client("brand-new", &["demo-resource"], &[]));
    let token = setting.token();
    let error = setting.ask(&token).await.expect_err("behind");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "REPLICA_BEHIND"));

    let message = IntrospectRequest { token, ..IntrospectRequest::default() };
    let mut request = authorized(&basic(RESOURCE.0, RESOURCE.1), message);
    request.set_timeout(Duration::from_secs(2));
    let error = setting.grpc().introspect(request).await.expect_err("behind");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "REPLICA_BEHIND"));
}

#[tokio::test]
async fn at_least_waits_for_the_revision() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let token = setting.sign(&claims);
    assert!(setting.is_active(&token).await);
    setting.issuer.deltas(false);
    let revision = format!("{}.{}", setting.issuer.epoch(), setting.issuer.append(revoked(&claims)));
    assert!(setting.is_active(&token).await, "leased does not wait");
    let error = setting.ask_for(with(&token, Requirement::AtLeast(revision.clone()))).await.expect_err("behind");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "REPLICA_BEHIND"));
    setting.issuer.deltas(true);
    let answer = setting.ask_for(with(&token, Requirement::AtLeast(revision))).await.expect("an answer");
    assert!(!answer.active);
}

#[tokio::test]
async fn fully_consistent_sees_what_was_durable_before_the_call() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let token = setting.sign(&claims);
    assert!(setting.ask_for(with(&token, Requirement::FullyConsistent(true))).await.expect("an answer").active);
    setting.issuer.deltas(false);
    setting.issuer.append(revoked(&claims));
    let error = setting.ask_for(with(&token, Requirement::FullyConsistent(true))).await.expect_err("behind");
    assert_eq!(error.code(), Code::Unavailable);
    setting.issuer.deltas(true);
    assert!(!setting.ask_for(with(&token, Requirement::FullyConsistent(true))).await.expect("an answer").active);
}

#[tokio::test]
async fn fully_consistent_never_joins_a_read_in_flight() {
    let setting = Setting::ready().await;
    let claims = setting.claims();
    let token = setting.sign(&claims);
    assert!(setting.is_active(&token).await);
    let inner = setting.issuer.inner();
    inner.head_answers.forget_permits(usize::MAX);
    let first = async {
        let _ = setting.ask_for(with("garbage", Requirement::FullyConsistent(true))).await;
    };
    let second = async {
        inner.head_requests.subscribe().wait_for(|count| *count == 1).await.expect("the issuer lives");
        // Durable after the first read, and before the second call begins.
        setting.issuer.deltas(false);
        setting.issuer.append(revoked(&claims));
        let asked = setting.ask_for(with(&token, Requirement::FullyConsistent(true)));
        let release = async {
            inner.head_answers.add_permits(2);
            inner.head_requests.subscribe().wait_for(|count| *count == 2).await.expect("the issuer lives");
            setting.issuer.deltas(true);
        };
        tokio::join!(asked, release).0
    };
    let ((), answer) = tokio::join!(first, second);
    assert!(!answer.expect("an answer").active);
}

#[tokio::test]
async fn fully_consistent_without_an_issuer_is_unavailable() {
    let setting = Setting::ready().await;
    setting.issuer.inner().head_answers.forget_permits(usize::MAX);
    let error = setting.ask_for(with("garbage", Requirement::FullyConsistent(true))).await.expect_err("no head");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "HEAD_UNKNOWN"));
}

#[tokio::test]
async fn many_fully_consistent_calls_share_few_reads() {
    let setting = Setting::ready().await;
    setting.ask("garbage").await.expect("the caller is known from here on");
    let calls = (0..100).map(|_| setting.ask_for(with("garbage", Requirement::FullyConsistent(true))));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok));
    let reads = *setting.issuer.inner().head_requests.borrow();
    assert!(reads < 100, "{reads} reads");
}
