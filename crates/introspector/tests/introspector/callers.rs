//! Who may ask.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tessera_api::introspection::v1::consistency::Requirement;
use tessera_api::introspection::v1::{Consistency, IntrospectRequest, IntrospectResponse};
use tessera_check::AccessClaims;
use tessera_ledger::{Event, Subject};
use tonic::{Code, Request, Status};

use crate::setting::{RESOURCE, Setting, audiences, authorized, basic, client, disabled, reason, revoked, unchanged};

async fn ask(setting: &Setting, authorization: &str) -> Result<IntrospectResponse, Status> {
    let message = IntrospectRequest { token: "garbage".to_owned(), ..IntrospectRequest::default() };
    setting.grpc().introspect(authorized(authorization, message)).await.map(tonic::Response::into_inner)
}

fn authentications(setting: &Setting) -> usize {
    setting.issuer.inner().authentications.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_secret_is_checked_with_the_issuer_once_a_minute() {
    let setting = Setting::ready().await;
    let header = basic(RESOURCE.0, RESOURCE.1);
    for _ in 0..5 {
        ask(&setting, &header).await.expect("an answer");
    }
    assert_eq!(authentications(&setting), 1);
    for (seconds, expected) in [(59, 1), (1, 2)] {
        setting.clock.advance(Duration::from_secs(seconds));
        setting.until("garbage", Result::is_ok).await;
        assert_eq!(authentications(&setting), expected);
    }
}

#[tokio::test]
async fn a_burst_of_one_header_makes_one_call() {
    let setting = Setting::ready().await;
    setting.issuer.inner().authentication_answers.forget_permits(usize::MAX);
    let header = basic(RESOURCE.0, RESOURCE.1);
    let burst = futures::future::join_all((0..50).map(|_| ask(&setting, &header)));
    let release = async {
        while authentications(&setting) == 0 {
            tokio::task::yield_now().await;
        }
        setting.issuer.inner().authentication_answers.add_permits(50);
    };
    let (answers, ()) = tokio::join!(burst, release);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(authentications(&setting), 1);
}

#[tokio::test]
async fn any_change_of_the_client_ends_what_was_remembered() {
    let setting = Setting::ready().await;
    let header = basic(RESOURCE.0, RESOURCE.1);
    ask(&setting, &header).await.expect("an answer");
    setting.issuer.publish(client("somebody-else", &[], &[])).await;
    ask(&setting, &header).await.expect("an answer");
    assert_eq!(authentications(&setting), 1, "not of this client");

    setting.issuer.publish(client(RESOURCE.0, &[], &["demo-resource"])).await;
    ask(&setting, &header).await.expect("an answer");
    assert_eq!(authentications(&setting), 2);
    let watermark = Event::WatermarkRaised(Subject::Client(RESOURCE.0.parse().expect("an id")));
    setting.issuer.publish(watermark).await;
    ask(&setting, &header).await.expect("an answer");
    assert_eq!(authentications(&setting), 3);

    setting.issuer.secret(RESOURCE.0, "rotated");
    setting.issuer.publish(client(RESOURCE.0, &[], &["demo-resource"])).await;
    assert_eq!(ask(&setting, &header).await.expect_err("the old secret").code(), Code::Unauthenticated);
    ask(&setting, &basic(RESOURCE.0, "rotated")).await.expect("the new one");
}

#[tokio::test]
async fn a_disabled_caller_is_refused_at_once() {
    let setting = Setting::ready().await;
    ask(&setting, &basic(RESOURCE.0, RESOURCE.1)).await.expect("an answer");
    setting.issuer.publish(disabled(RESOURCE.0)).await;
    let error = ask(&setting, &basic(RESOURCE.0, RESOURCE.1)).await.expect_err("disabled");
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_client_are_refused_alike_and_remembered_briefly() {
    let setting = Setting::ready().await;
    let mut told = Vec::new();
    for header in [basic(RESOURCE.0, "wrong"), basic("nobody", "secret")] {
        let before = authentications(&setting);
        for _ in 0..5 {
            let error = ask(&setting, &header).await.expect_err("refused");
            told.push((error.code(), reason(&error), error.message().to_owned()));
        }
        assert_eq!(authentications(&setting) - before, 1);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0, told[0].1.as_str()), (Code::Unauthenticated, "CLIENT_AUTHENTICATION_FAILED"));

    setting.issuer.secret(RESOURCE.0, "wrong");
    setting.clock.advance(Duration::from_secs(1));
    setting.until("garbage", |answer| !answer.as_ref().is_err_and(|e| e.code() == Code::Unavailable)).await;
    ask(&setting, &basic(RESOURCE.0, "wrong")).await.expect("asked anew a second later");
}

#[tokio::test]
async fn any_change_of_the_client_ends_a_remembered_refusal() {
    let setting = Setting::ready().await;
    for name in [RESOURCE.0, "new-resource"] {
        let header = basic(name, "another");
        for _ in 0..2 {
            assert_eq!(ask(&setting, &header).await.expect_err("refused").code(), Code::Unauthenticated);
        }
        setting.issuer.secret(name, "another");
        setting.issuer.publish(client(name, &[], &["demo-resource"])).await;
        ask(&setting, &header).await.expect("an answer, at the same moment");
    }

    let header = basic(RESOURCE.0, "third");
    ask(&setting, &header).await.expect_err("refused");
    setting.issuer.publish(client("somebody-else", &[], &[])).await;
    let before = authentications(&setting);
    ask(&setting, &header).await.expect_err("refused");
    assert_eq!(authentications(&setting), before, "not of this client");
    setting.issuer.secret(RESOURCE.0, "third");
    setting.issuer.publish(Event::WatermarkRaised(Subject::Client(RESOURCE.0.parse().expect("an id")))).await;
    ask(&setting, &header).await.expect("an answer");
}

#[tokio::test]
async fn an_answer_about_the_client_before_its_change_is_not_shared_after_it() {
    let setting = Setting::ready().await;
    let inner = setting.issuer.inner();
    inner.authentication_answers.forget_permits(usize::MAX);
    let header = basic(RESOURCE.0, RESOURCE.1);
    let steps = async {
        setting.until_asked(1).await;
        setting.issuer.publish(unchanged(RESOURCE.0)).await;
        let second = ask(&setting, &header);
        let release = async {
            setting.until_asked(2).await;
            inner.authentication_answers.add_permits(50);
        };
        tokio::join!(second, release).0
    };
    let (first, second) = tokio::join!(ask(&setting, &header), steps);
    first.expect("an answer");
    second.expect("an answer");
}

/// Asks for a fully consistent answer, and lets `meanwhile` happen when the caller is known and its question waits.
async fn ask_across(setting: &Setting, authorization: &str, meanwhile: impl Future<Output = ()>) -> Result<(), Status> {
    let inner = setting.issuer.inner();
    inner.head_answers.forget_permits(usize::MAX);
    let mut heads = inner.head_requests.subscribe();
    heads.mark_unchanged();
    let message = IntrospectRequest {
        token: "garbage".to_owned(),
        consistency: Some(Consistency { requirement: Some(Requirement::FullyConsistent(true)) }),
        ..IntrospectRequest::default()
    };
    let mut request = authorized(authorization, message);
    request.set_timeout(Duration::from_secs(20));
    let mut grpc = setting.grpc();
    let between = async {
        heads.changed().await.expect("the issuer lives");
        meanwhile.await;
        inner.head_answers.add_permits(50);
    };
    tokio::join!(grpc.introspect(request), between).0.map(drop)
}

#[tokio::test]
async fn a_caller_that_is_changed_during_its_call_is_asked_about_again() {
    let setting = Setting::ready().await;
    let header = basic(RESOURCE.0, RESOURCE.1);
    ask(&setting, &header).await.expect("an answer");
    let change = async {
        setting.issuer.publish(unchanged(RESOURCE.0)).await;
    };
    ask_across(&setting, &header, change).await.expect("its credential is as good as before");
    assert_eq!(authentications(&setting), 2);

    let rotation = async {
        setting.issuer.secret(RESOURCE.0, "rotated");
        setting.issuer.publish(unchanged(RESOURCE.0)).await;
    };
    let error = ask_across(&setting, &header, rotation).await.expect_err("the old secret");
    assert_eq!(error.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_caller_that_is_changed_while_the_issuer_cannot_be_asked_is_not_refused() {
    let setting = Setting::ready().await;
    let header = basic(RESOURCE.0, RESOURCE.1);
    ask(&setting, &header).await.expect("an answer");
    let change = async {
        setting.issuer.publish(unchanged(RESOURCE.0)).await;
        setting.issuer.refuse_authentications(true);
    };
    let error = ask_across(&setting, &header, change).await.expect_err("nobody to ask");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "ISSUER_UNREACHABLE"));
}

#[tokio::test]
async fn a_caller_that_changes_all_the_time_is_told_to_try_again() {
    use tonic_types::StatusExt as _;
    let setting = Setting::ready().await;
    setting.issuer.restless(RESOURCE.0);
    let error = ask(&setting, &basic(RESOURCE.0, RESOURCE.1)).await.expect_err("it cannot be told");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "CALLER_CHANGED"));
    let retry = error.get_details_retry_info().expect("says when").retry_delay;
    assert_eq!(retry, Some(Duration::ZERO), "at once");
}

#[tokio::test]
async fn an_empty_secret_never_authenticates() {
    let setting = Setting::ready().await;
    setting.issuer.secret(RESOURCE.0, "");
    let error = ask(&setting, &basic(RESOURCE.0, "")).await.expect_err("refused");
    assert_eq!(error.code(), Code::Unauthenticated);
    assert_eq!(authentications(&setting), 0);
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_unavailable_and_never_a_refusal() {
    let setting = Setting::ready().await;
    setting.issuer.inner().authentication_answers.forget_permits(usize::MAX);
    let error = ask(&setting, &basic(RESOURCE.0, RESOURCE.1)).await.expect_err("no answer");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "ISSUER_UNREACHABLE"));
}

#[tokio::test]
async fn no_credential_and_malformed_ones_are_refused() {
    let setting = Setting::ready().await;
    let message = IntrospectRequest { token: "garbage".to_owned(), ..IntrospectRequest::default() };
    let error = setting.grpc().introspect(Request::new(message)).await.expect_err("no credential");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unauthenticated, "CLIENT_AUTHENTICATION_MISSING"));
    for header in ["Basic !!!", "Basic", "Digest x", "Bearer", "Bearer a b"] {
        let error = ask(&setting, header).await.expect_err("malformed");
        assert_eq!(error.code(), Code::Unauthenticated, "{header}");
    }
}

#[tokio::test]
async fn a_caller_without_resources_is_told_what_to_do() {
    let setting = Setting::ready().await;
    setting.issuer.secret("demo-service", "secret");
    let error = ask(&setting, &basic("demo-service", "secret")).await.expect_err("nothing to ask about");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::PermissionDenied, "NO_RESOURCES"));
    assert!(error.message().contains("give it resources"), "{}", error.message());
}

#[tokio::test]
async fn a_caller_made_a_moment_ago_may_ask_at_once() {
    let setting = Setting::ready().await;
    setting.issuer.deltas(false);
    setting.issuer.append(client("new-resource", &[], &["demo-resource"]));
    setting.issuer.secret("new-resource", "secret");
    let header = basic("new-resource", "secret");
    let asking = ask(&setting, &header);
    let release = async {
        while authentications(&setting) == 0 {
            tokio::task::yield_now().await;
        }
        setting.issuer.deltas(true);
    };
    tokio::join!(asking, release).0.expect("it waited for the client");
}

#[tokio::test]
async fn a_bearer_token_is_checked_here() {
    let setting = Setting::ready().await;
    let claims = setting.caller_claims();
    let header = format!("Bearer {}", setting.sign(&claims));
    ask(&setting, &header).await.expect("an answer");
    ask(&setting, &header.replace("Bearer", "bEARER")).await.expect("whatever its case");
    assert_eq!(authentications(&setting), 0);
    setting.issuer.publish(revoked(&claims)).await;
    assert_eq!(ask(&setting, &header).await.expect_err("revoked").code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_bearer_token_must_be_meant_for_the_introspector_and_of_a_machine() {
    let setting = Setting::ready().await;
    let good = setting.caller_claims();
    let person = AccessClaims { subject: "user-1".to_owned(), ..good.clone() };
    let nowhere = AccessClaims { audience: audiences(&["demo-resource"]), ..good.clone() };
    let scopeless = AccessClaims { scopes: "orders:read".parse().expect("a scope"), ..good.clone() };
    let resourceless =
        AccessClaims { subject: "demo-service".to_owned(), client: "demo-service".parse().expect("an id"), ..good };
    for (claims, code) in [
        (nowhere, Code::Unauthenticated),
        (scopeless, Code::PermissionDenied),
        (person, Code::PermissionDenied),
        (resourceless, Code::PermissionDenied),
    ] {
        let error = ask(&setting, &format!("Bearer {}", setting.sign(&claims))).await.expect_err("refused");
        assert_eq!(error.code(), code, "{}", reason(&error));
    }
}
