//! What is decided about authorization requests: by people, and in their name because they did before.

use rstest::rstest;
use tessera_store::{Consent, StoreError};
use tessera_types::{Audience, ClientId, ClientType, ScopeSet};

use super::people::{People, REDIRECT, asked, code_in, redemption, user, user_client};
use super::revocation::is_active;
use super::{Backend, TestIssuer, draft};
use crate::grants::authorization_code::CodeError;
use crate::grants::{self, TokenError, TokenRequest};
use crate::operations::authorization::{self, Asked, DecideError, Decider, Decision};
use crate::operations::clients::{self, Draft, Patch};
use crate::operations::{consents, users};

fn app() -> ClientId {
    "app".parse().expect("a client id")
}

async fn consent(people: &People) -> Option<Consent> {
    people.issuer.cx().store.consents().find(people.ada.id, &app()).await.expect("read")
}

impl People {
    async fn decide(&self, asked: &Asked, decision: Decision) -> Result<String, DecideError> {
        let request = self.ask(asked).await;
        authorization::decide(self.issuer.cx(), &request, &Decider::User(self.ada.id), decision).await
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_is_withdrawn_stays_so_whatever_is_approved_meanwhile(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    for _ in 0..8 {
        people.decide(&asked(), Decision::Allow).await.expect("allowed");
        let request = people.ask(&asked()).await;
        let decider = Decider::User(people.ada.id);
        let app = app();
        let approved = authorization::decide(cx, &request, &decider, Decision::Remembered);
        let (approved, withdrawn) = tokio::join!(approved, consents::withdraw(cx, people.ada.id, &app));
        withdrawn.expect("withdrawn");
        assert_eq!(consent(&people).await, None);
        match approved {
            Ok(answer) => {
                let error = people.redeem(&code_in(&answer)).await.err().expect("dead");
                assert!(matches!(error, TokenError::Code(CodeError::Revoked | CodeError::Unknown)), "{error:?}");
            }
            Err(error) => assert!(matches!(error, DecideError::NotAllowedBefore | DecideError::NotReady), "{error:?}"),
        }
        let result = people.decide(&asked(), Decision::Remembered).await;
        assert!(matches!(result, Err(DecideError::NotAllowedBefore)), "{result:?}");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn of_two_decisions_at_once_neither_is_lost(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    for _ in 0..8 {
        let [a, b] = ["a", "b"].map(|scope| Asked { scope: Some(scope.to_owned()), ..asked() });
        let (one, other) = tokio::join!(people.decide(&a, Decision::Allow), people.decide(&b, Decision::Allow));
        one.and(other).expect("allowed");
        let kept = consent(&people).await.expect("kept").scopes;
        assert!(kept.contains("a") && kept.contains("b"), "{kept}");
        consents::withdraw(people.issuer.cx(), people.ada.id, &app()).await.expect("withdrawn");
    }
}

/// RFC 8252 section 8.6.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[tokio::test(flavor = "multi_thread")]
async fn where_the_operator_wants_it_people_are_asked_each_time_for_native_applications(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    issuer.config.sessions.remember_native_consent = false;
    let issuer = issuer.restart().await;
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let uris = ["http://127.0.0.1/cb", "com.example.app:/cb", "https://claimed.example/cb"];
    let rest = Patch {
        grants: Some(vec![tessera_types::GrantType::AuthorizationCode]),
        redirect_uris: Some(uris.iter().map(|uri| uri.parse().expect("a redirect URI")).collect()),
        ..draft("native").rest
    };
    let native = Draft { kind: ClientType::Public, rest, ..draft("native") };
    clients::create(cx, native, None).await.expect("created");
    for (uri, remembered) in uris.into_iter().zip([false, false, true]) {
        let native = Asked { client_id: Some("native".to_owned()), redirect_uri: Some(uri.to_owned()), ..asked() };
        people.decide(&native, Decision::Allow).await.expect("allowed");
        let result = people.decide(&native, Decision::Remembered).await;
        assert_eq!(result.is_ok(), remembered, "{uri}: {result:?}");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_from_a_client_meanwhile_is_not_given_to_it(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let decider = Decider::User(people.ada.id);
    let both = Asked { scope: Some("a b".to_owned()), ..asked() };
    let request = people.ask(&both).await;
    let patch = Patch { scopes: Some("a".parse().expect("scopes")), ..Patch::default() };
    clients::update(cx, &app(), None, patch).await.expect("narrowed");
    let answer = authorization::decide(cx, &request, &decider, Decision::Allow).await.expect("the client is told");
    assert!(answer.starts_with(&format!("{REDIRECT}?error=invalid_scope&")), "{answer}");
    let request = people.ask(&asked()).await;
    let moved = vec!["https://safe.example/cb".parse().expect("a redirect URI")];
    clients::update(cx, &app(), None, Patch { redirect_uris: Some(moved), ..Patch::default() }).await.expect("moved");
    let result = authorization::decide(cx, &request, &decider, Decision::Allow).await;
    assert!(matches!(result, Err(DecideError::Gone)), "nothing goes to where it was: {result:?}");
}

/// RFC 8707 section 2.2.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_code_for_one_audience_gives_no_token_for_another(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let [one, other]: [Audience; 2] = ["one", "other"].map(|name| name.parse().expect("an audience"));
    let patch = Patch { audiences: Some(vec![one.clone(), other.clone()]), ..Patch::default() };
    clients::update(cx, &app(), None, patch).await.expect("changed");
    let for_one = Asked { audience: Some("one".to_owned()), ..asked() };
    let code = code_in(&people.decide(&for_one, Decision::Allow).await.expect("allowed"));
    let with = |audience: &Audience| TokenRequest {
        client: people.app.clone(),
        grant: redemption(&code),
        scopes: ScopeSet::empty(),
        audience: Some(audience.clone()),
    };
    let refused = grants::issue(cx, with(&other)).await;
    assert!(matches!(refused.err(), Some(TokenError::AudienceNotAllowed)));
    let minted = grants::issue(cx, with(&one)).await.expect("issued");
    let both = Asked { resource: Some("one".to_owned()), audience: Some("other".to_owned()), ..asked() };
    assert!(authorization::create(cx, &both).await.is_err(), "two that differ");
    let claims = cx.checker.identify(&minted.access_token).expect("can tell").expect("ours");
    assert_eq!(claims.audience, [one]);
}

/// Neither waits for the other in the wrong order, and nobody is told of the database.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_be_deleted_while_they_allow_and_their_clients_redeem(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let mut people = People::of(issuer).await;
    user_client(&people.issuer, "other").await;
    for round in 0..6 {
        people.ada = user(&people.issuer, &format!("user-{round}")).await;
        let cx = people.issuer.cx();
        let code = people.code().await;
        let asked = asked();
        let all = (users::delete(cx, people.ada.id), people.redeem(&code), people.decide(&asked, Decision::Allow));
        let (deleted, redeemed, decided) = tokio::join!(all.0, all.1, all.2);
        deleted.expect("deleted");
        match redeemed {
            Ok(minted) => assert!(!is_active(&people.issuer, &minted.access_token)),
            Err(error) => {
                assert!(matches!(error, TokenError::Code(CodeError::Revoked | CodeError::Unknown)), "{error:?}");
            }
        }
        let store = matches!(&decided, Err(DecideError::Store(StoreError::Missing | StoreError::Unavailable(_))));
        assert!(!store, "{decided:?}");
    }
}
