//! Authorization codes: one winner, and what a replay does.

use std::time::Duration;

use rstest::rstest;
use tessera_types::RedirectUri;

use super::people::{People, REDIRECT, VERIFIER, asked, code_in, redemption, refresh_of, user_client};
use super::revocation::is_active;
use super::{Backend, TestIssuer};
use crate::grants::authorization_code::CodeError;
use crate::grants::{GrantRequest, TokenError};
use crate::operations::authorization::{self, Asked, AuthorizeError, DecideError, Decider, Mistake, Untrusted};
use crate::operations::clients::{self, Patch};
use crate::operations::users;

fn why(result: Result<crate::minting::Minted, TokenError>) -> CodeError {
    match result {
        Err(TokenError::Code(error)) => error,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was issued"),
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_redemptions_at_once_one_wins_and_the_replays_kill_what_it_won(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let code = people.code().await;
    let all = futures::future::join_all((0..64).map(|_| people.redeem(&code))).await;
    let (won, lost): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for result in lost {
        assert_eq!(why(result), CodeError::Replayed);
    }
    let minted = won.into_iter().next().expect("one").expect("issued");
    assert!(!is_active(&people.issuer, &minted.access_token));
    people.refresh(&refresh_of(&minted)).await.err().expect("its family is dead too");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_gets_something_wrong_revokes_nothing(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let other = user_client(&people.issuer, "other").await;
    let code = people.code().await;
    let minted = people.redeem(&code).await.expect("issued");
    let given = |text: &str| Some(text.to_owned());
    let wrong = |redirect: Option<String>, verifier: Option<String>| {
        GrantRequest::authorization_code(given(&code), redirect, verifier).expect("given")
    };
    let another = "a".repeat(43);
    for (grant, expected) in [
        (wrong(given(REDIRECT), given(&another)), CodeError::Verifier),
        (wrong(given(REDIRECT), None), CodeError::Verifier),
        (wrong(given(REDIRECT), given("short")), CodeError::Verifier),
        (wrong(given("https://app.example/cb2"), given(VERIFIER)), CodeError::RedirectUri),
        (wrong(None, given(VERIFIER)), CodeError::RedirectUri),
    ] {
        assert_eq!(why(people.run(grant).await), expected);
    }
    assert_eq!(why(people.run_as(&other, redemption(&code)).await), CodeError::NotYours);
    assert!(is_active(&people.issuer, &minted.access_token));
    assert_eq!(why(people.redeem(&code).await), CodeError::Replayed);
    assert!(!is_active(&people.issuer, &minted.access_token));
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_code_lives_for_a_minute_and_dies_with_whatever_it_hangs_on(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let late = people.code().await;
    people.issuer.advance(Duration::from_secs(60)).await;
    assert_eq!(why(people.redeem(&late).await), CodeError::Expired);
    let code = people.code().await;
    users::revoke_tokens(people.issuer.cx(), people.ada.id).await.expect("revoked");
    assert_eq!(why(people.redeem(&code).await), CodeError::Revoked);
    let code = people.code().await;
    clients::revoke_tokens(people.issuer.cx(), &"app".parse().expect("an id")).await.expect("revoked");
    assert_eq!(why(people.redeem(&code).await), CodeError::Revoked);
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_without_a_challenge_is_refused(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let request = people.ask(&Asked { challenge: None, challenge_method: None, ..asked() }).await;
    let decider = Decider::User(people.ada.id);
    let answer = authorization::decide(people.issuer.cx(), &request, &decider, true).await.expect("decided");
    assert_eq!(why(people.redeem(&code_in(&answer)).await), CodeError::Verifier);
    let given = |text: &str| Some(text.to_owned());
    let without = GrantRequest::authorization_code(given(&code_in(&answer)), given(REDIRECT), None).expect("given");
    people.run(without).await.expect("a confidential client may leave PKCE out");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_decided_once_and_by_somebody_who_may_sign_in(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let request = people.ask(&asked()).await;
    let decider = Decider::User(people.ada.id);
    let all = futures::future::join_all((0..16).map(|_| authorization::decide(cx, &request, &decider, true))).await;
    let decided: Vec<_> = all.iter().filter(|result| result.is_ok()).collect();
    assert_eq!(decided.len(), 1, "{all:?}");
    assert!(all.iter().all(|result| matches!(result, Ok(_) | Err(DecideError::Gone))), "{all:?}");
    let denied = people.ask(&asked()).await;
    let answer = authorization::decide(cx, &denied, &decider, false).await.expect("decided");
    assert!(answer.contains("error=access_denied") && answer.contains("state=xyz") && answer.contains("iss="));
    let late = people.ask(&asked()).await;
    people.issuer.advance(Duration::from_secs(600)).await;
    let result = authorization::decide(cx, &late, &decider, true).await;
    assert!(matches!(result, Err(DecideError::Gone)), "{result:?}");
    let request = people.ask(&asked()).await;
    users::set_enabled(cx, people.ada.id, false).await.expect("disabled");
    let result = authorization::decide(cx, &request, &decider, true).await;
    assert!(matches!(result, Err(DecideError::SignedOut)), "{result:?}");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_where_it_is_safe(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let given = |text: &str| Some(text.to_owned());
    for (wrong, expected) in [
        (Asked { client_id: given("nobody"), ..asked() }, Untrusted::Client),
        (Asked { client_id: None, ..asked() }, Untrusted::Client),
        (Asked { redirect_uri: given("https://app.example/cb/"), ..asked() }, Untrusted::RedirectUri),
        (Asked { redirect_uri: given("https://APP.example/cb"), ..asked() }, Untrusted::RedirectUri),
    ] {
        let result = authorization::create(cx, &wrong).await;
        assert!(matches!(&result, Err(AuthorizeError::Untrusted(why)) if *why == expected), "{expected:?}");
    }
    for (wrong, expected, code) in [
        (Asked { response_type: given("token"), ..asked() }, Mistake::ResponseType, "unsupported_response_type"),
        (Asked { response_type: None, ..asked() }, Mistake::ResponseTypeMissing, "invalid_request"),
        (Asked { scope: given("a c"), ..asked() }, Mistake::Scope, "invalid_scope"),
        (Asked { scope: given("tessera.admin"), ..asked() }, Mistake::Scope, "invalid_scope"),
        (Asked { audience: given("elsewhere"), ..asked() }, Mistake::Audience, "invalid_target"),
        (Asked { challenge_method: given("plain"), ..asked() }, Mistake::ChallengeMethod, "invalid_request"),
        (Asked { repeated: true, ..asked() }, Mistake::Repeated, "invalid_request"),
    ] {
        match authorization::create(cx, &wrong).await {
            Err(AuthorizeError::Mistaken { mistake, redirect }) => {
                assert_eq!(mistake, expected);
                let begins = format!("{REDIRECT}?error={code}&");
                assert!(redirect.starts_with(&begins) && redirect.contains("&state=xyz&iss="), "{redirect}");
            }
            other => panic!("{expected:?}: {:?}", other.map(|(_, pending)| pending)),
        }
    }
    let only = Asked { redirect_uri: None, ..asked() };
    authorization::create(cx, &only).await.expect("there is one alone");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_place_for_errors_gets_them_there_and_its_implicit_scopes_in_any_case(
    #[case] backend: Backend,
) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let failed: RedirectUri = "https://app.example/failed?from=tessera".parse().expect("a redirect URI");
    let patch = Patch {
        failure_uri: Some(Some(failed)),
        implicit_scopes: Some("b".parse().expect("scopes")),
        ..Patch::default()
    };
    clients::update(cx, &"app".parse().expect("an id"), None, patch).await.expect("changed");
    let begins = "https://app.example/failed?from=tessera&error=";
    let decider = Decider::User(people.ada.id);
    let denied = people.ask(&asked()).await;
    let answer = authorization::decide(cx, &denied, &decider, false).await.expect("decided");
    assert!(answer.starts_with(&format!("{begins}access_denied")) && answer.contains("&state=xyz"), "{answer}");
    let wrong = Asked { response_type: Some("token".to_owned()), ..asked() };
    match authorization::create(cx, &wrong).await {
        Err(AuthorizeError::Mistaken { redirect, .. }) => assert!(redirect.starts_with(begins), "{redirect}"),
        other => panic!("{:?}", other.map(|(_, pending)| pending)),
    }
    for (scope, expected) in [("a", "b a"), ("b", "b"), ("b a", "b a")] {
        let request = people.ask(&Asked { scope: Some(scope.to_owned()), ..asked() }).await;
        let answer = authorization::decide(cx, &request, &decider, true).await.expect("decided");
        assert!(answer.starts_with(REDIRECT), "{answer}");
        let minted = people.redeem(&code_in(&answer)).await.expect("issued");
        assert_eq!(minted.scopes.to_string(), expected, "{scope}");
    }
}
