//! Client authentication.

use rstest::rstest;
use tessera_types::ErrorCode;
use tessera_types::Failure as _;

use super::{A_DAY, Backend, TestIssuer, presented, secret, token_request};
use crate::client_auth::{ClientAuthError, Refusal, authenticate, printable};
use crate::grants;
use crate::operations::clients;

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_looks_the_same(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let created = issuer.client("known", None).await;
    let right = created.secret.expect("generated");
    for (id, tried, why) in [
        ("unknown", Some(secret("guess")), Refusal::Unknown),
        ("unknown", Some(right.clone()), Refusal::Unknown),
        ("bad id", Some(secret("guess")), Refusal::Unknown),
        ("known", Some(secret("guess")), Refusal::WrongSecret),
        ("known", None, Refusal::WrongMethod),
    ] {
        let error = authenticate(issuer.cx(), &presented(id, tried)).await.expect_err("refused");
        assert!(matches!(error, ClientAuthError::Refused(reason) if reason == why), "{id}: {error:?}");
        let told = (error.code(), error.reason(), error.advice());
        let fixed = ClientAuthError::Refused(Refusal::Unknown);
        assert_eq!(told, (fixed.code(), fixed.reason(), fixed.advice()));
    }
    assert!(authenticate(issuer.cx(), &presented("known", Some(right))).await.is_ok());
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn at_most_two_secrets_live_and_each_ends_when_it_should(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let cx = issuer.cx();
    let created = issuer.client("c", None).await;
    let id = created.client.id.clone();
    let first = created.secret.expect("generated");
    let second = clients::rotate_secret(cx, &id, A_DAY, None).await.expect("rotated").secret;
    for live in [&first, &second] {
        assert!(authenticate(cx, &presented("c", Some(live.clone()))).await.is_ok(), "both live");
    }
    issuer.clock.advance(std::time::Duration::from_secs(1));
    let third = clients::rotate_secret(cx, &id, A_DAY, None).await.expect("rotated").secret;
    assert!(authenticate(cx, &presented("c", Some(first))).await.is_err(), "the oldest of three ends at once");
    assert!(authenticate(cx, &presented("c", Some(second.clone()))).await.is_ok());
    issuer.clock.advance(A_DAY);
    assert!(authenticate(cx, &presented("c", Some(second))).await.is_err(), "its overlap is over");
    assert!(authenticate(cx, &presented("c", Some(third.clone()))).await.is_ok());
    let last = clients::rotate_secret(cx, &id, std::time::Duration::ZERO, None).await.expect("rotated").secret;
    assert!(authenticate(cx, &presented("c", Some(third))).await.is_err(), "without overlap the old one ends at once");
    assert!(authenticate(cx, &presented("c", Some(last))).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_secret_is_remembered_only_while_it_is_the_clients() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let created = issuer.client("c", Some("chosen by a person: % + é")).await;
    let chosen = secret("chosen by a person: % + é");
    for _ in 0..2 {
        assert!(authenticate(cx, &presented("c", Some(chosen.clone()))).await.is_ok());
    }
    let kept = clients::list_secrets(cx, &created.client.id).await.expect("listed");
    clients::delete_secret(cx, &created.client.id, kept[0].id).await.expect("deleted");
    assert!(authenticate(cx, &presented("c", Some(chosen))).await.is_err(), "though it was remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_throttled_and_forgiven_and_successes_count_nothing() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let right = issuer.client("c", None).await.secret.expect("generated");
    for _ in 0..100 {
        authenticate(cx, &presented("c", Some(right.clone()))).await.expect("right");
    }
    let mut throttled = None;
    for attempt in 0..100 {
        let wrong = PresentedGuess::of(attempt);
        let error = authenticate(cx, &presented("c", Some(wrong))).await.expect_err("wrong");
        if error.code() == ErrorCode::Throttled {
            throttled = error.retry_after();
            break;
        }
    }
    let wait = throttled.expect("after so many failures");
    let chosen = presented("c", Some(secret("guess")));
    let error = authenticate(cx, &chosen).await.expect_err("wrong");
    assert_eq!(error.code(), ErrorCode::Throttled);
    assert!(authenticate(cx, &presented("c", Some(right))).await.is_ok(), "others' failures lock nobody out");
    issuer.clock.advance(wait);
    let error = authenticate(cx, &chosen).await.expect_err("wrong");
    assert_eq!(error.code(), ErrorCode::InvalidClient, "after the wait it said it is looked at again");
}

/// Of a guesser's attempts most are turned away without a look. All of them count, and none as a failure of ours.
#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_of_a_guesser_counts_and_none_as_our_fault() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    issuer.client("c", None).await;
    for attempt in 0..40 {
        let guess = token_request("c", &PresentedGuess::of(attempt));
        assert!(grants::issue(issuer.cx(), guess).await.is_err(), "wrong");
    }
    for attempt in 0..10 {
        let guess = token_request("c", &secret(&format!("chosen by a person {attempt}")));
        assert!(grants::issue(issuer.cx(), guess).await.is_err(), "not looked at");
    }
    let text = issuer.cx().telemetry.metrics.render();
    let requests = |outcome: &str, count: u32| {
        format!("tessera_token_requests_total{{grant_type=\"client_credentials\",outcome=\"{outcome}\"}} {count}")
    };
    for line in [
        "tessera_client_auth_failures_total{method=\"client_secret_post\"} 50".to_owned(),
        requests("invalid_client", 20),
        requests("throttled", 30),
        requests("temporarily_unavailable", 0),
        requests("server_error", 0),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing from\n{text}");
    }
}

/// What is a client's identifier is printed; what may be a secret in the wrong place, for all one can tell, is not.
#[tokio::test(flavor = "multi_thread")]
async fn logs_name_clients_there_are_and_no_others() {
    let Some(issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    issuer.client("known", None).await;
    let swapped = ["dev-secret", "a1b2c3d4e5f60718293a4b5c6d7e8f90", "tsk_abc", "two words", ""];
    assert_eq!(printable(issuer.cx(), "known"), "known");
    for id in swapped {
        assert_eq!(printable(issuer.cx(), id), "(unknown)", "{id}");
    }
}

/// Guesses of our own shape: wrong, and cheap to refuse.
struct PresentedGuess;

impl PresentedGuess {
    fn of(seed: u64) -> tessera_types::PresentedSecret {
        tessera_types::PresentedSecret::generate(&tessera_testkit::SeededRandom::new(1000 + seed))
    }
}
