//! Refresh tokens: turns, graces and ends.

use std::time::Duration;

use futures::FutureExt as _;
use rstest::rstest;
use tessera_types::{Failure as _, PresentedSecret, RefreshToken};

use super::people::{People, refresh_of, user_client};
use super::revocation::is_active;
use super::{Backend, TestIssuer, secret};
use crate::grants::refresh_token::RefreshError;
use crate::grants::{Terms, TokenError};
use crate::operations::revoke::{Authority, RevokeError, revoke};
use crate::operations::{clients, consents, grants, users};

const A_SECOND: Duration = Duration::from_secs(1);

fn why(result: Result<crate::minting::Minted, TokenError>) -> RefreshError {
    match result {
        Err(TokenError::Refresh(error)) => error,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was issued"),
    }
}

/// As the dialect that lets no access token outlive its refresh.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn where_a_refresh_retires_the_access_token_before_it_that_one_alone_is_dead(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let terms = Terms { grace: Duration::ZERO, retires_access: true, ..Terms::of_the_rfc(&people.issuer.cx().policy) };
    let first = people.by_password().await;
    let second = people.refresh_under(&first, &terms).await.expect("refreshed");
    assert!(!is_active(&people.issuer, &first.access_token));
    assert!(is_active(&people.issuer, &second.access_token));
    let third = people.refresh(&refresh_of(&second)).await.expect("refreshed");
    assert!(is_active(&people.issuer, &second.access_token), "not as the RFC's endpoint has it");
    let fourth = people.refresh_under(&third, &terms).await.expect("refreshed");
    assert!(!is_active(&people.issuer, &third.access_token));
    assert!(is_active(&people.issuer, &fourth.access_token));
    let fifth = people.refresh_under(&fourth, &terms).await.expect("refreshed");
    // The RFC's endpoint has a grace, but not for what was spent where there is none.
    assert_eq!(why(people.refresh(&refresh_of(&fourth)).await), RefreshError::Reused);
    assert!(!is_active(&people.issuer, &fifth.access_token));
    let fourth = people.by_password().await;
    let all = futures::future::join_all((0..16).map(|_| people.refresh_under(&fourth, &terms))).await;
    assert!(all.iter().filter(|result| result.is_ok()).count() <= 1, "there is no grace");
    assert!(!is_active(&people.issuer, &fourth.access_token));
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn within_the_grace_the_same_successor_comes_again_and_later_the_family_dies(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let first = refresh_of(&people.by_password().await);
    let second = refresh_of(&people.refresh(&first).await.expect("refreshed"));
    let third = people.refresh(&second).await.expect("refreshed");
    people.issuer.advance(10 * A_SECOND).await;
    assert_eq!(refresh_of(&people.refresh(&first).await.expect("within the grace")), second, "the same again");
    assert_eq!(refresh_of(&people.refresh(&second).await.expect("within the grace")), refresh_of(&third));
    people.issuer.advance(A_SECOND).await;
    let fourth = people.refresh(&refresh_of(&third)).await.expect("nothing has died");
    assert!(is_active(&people.issuer, &fourth.access_token));
    assert_eq!(why(people.refresh(&second).await), RefreshError::Reused);
    assert_eq!(why(people.refresh(&refresh_of(&fourth)).await), RefreshError::Revoked);
    for token in [&third.access_token, &fourth.access_token] {
        assert!(!is_active(&people.issuer, token), "what came of the grant is dead");
    }
    assert!(is_active(&people.issuer, &people.by_password().await.access_token), "another grant is not concerned");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_refreshes_at_once_all_get_one_successor(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let first = refresh_of(&people.by_password().await);
    let all = futures::future::join_all((0..64).map(|_| people.refresh(&first))).await;
    let successors: Vec<String> = all.into_iter().map(|r| refresh_of(&r.expect("no failure"))).collect();
    assert!(successors.iter().all(|token| *token == successors[0]));
    people.refresh(&successors[0]).await.expect("it is the current one");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_family_ends_unused_and_in_any_case(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let policy = people.issuer.cx().policy.clone();
    let unused = refresh_of(&people.by_password().await);
    let mut used = refresh_of(&people.by_password().await);
    let mut passed = Duration::ZERO;
    let step = policy.refresh_ttl.saturating_sub(A_SECOND);
    while passed + step < policy.refresh_absolute_ttl {
        people.issuer.advance(step).await;
        passed += step;
        used = refresh_of(&people.refresh(&used).await.expect("used in time"));
    }
    assert_eq!(why(people.refresh(&unused).await), RefreshError::Expired);
    people.issuer.advance(policy.refresh_absolute_ttl.saturating_sub(passed)).await;
    assert_eq!(why(people.refresh(&used).await), RefreshError::Expired, "however often it was used");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_from_before_gives_anything_after(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let changed = users::NewPassword::Plain(secret("another password"));
    let app = "app".parse().expect("a client id");
    for what in ["password", "disabled user", "disabled client", "consent", "what has no consent", "user's tokens"] {
        let before = people.by_password().await;
        match what {
            "password" => drop(users::set_password(cx, people.ada.id, &changed).await.expect("changed")),
            "disabled user" => {
                users::set_enabled(cx, people.ada.id, false).await.expect("disabled");
                users::set_enabled(cx, people.ada.id, true).await.expect("enabled");
            }
            "disabled client" => {
                clients::set_enabled(cx, &app, false).await.expect("disabled");
                clients::set_enabled(cx, &app, true).await.expect("enabled");
            }
            "consent" => {
                people.code().await;
                consents::withdraw(cx, people.ada.id, &app).await.expect("withdrawn");
            }
            "what has no consent" => drop(consents::withdraw(cx, people.ada.id, &app).await.expect("withdrawn")),
            _ => drop(users::revoke_tokens(cx, people.ada.id).await.expect("revoked")),
        }
        let error = people.refresh(&refresh_of(&before)).await;
        assert_eq!(why(error), RefreshError::Revoked, "{what}");
        assert!(!is_active(&people.issuer, &before.access_token), "{what}");
        let old = users::NewPassword::Plain(secret(super::people::PASSWORD));
        users::set_password(cx, people.ada.id, &old).await.expect("changed back");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_refresh_tokens_kill_nothing(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let other = user_client(&people.issuer, "other").await;
    let token = refresh_of(&people.by_password().await);
    let parsed: tessera_types::RefreshToken = token.parse().expect("a refresh token");
    let forged = tessera_types::RefreshToken { secret: [0; 32], ..parsed.clone() };
    let mut spent = parsed.clone();
    spent.generation = u32::MAX;
    for forged in [forged, spent] {
        assert_eq!(why(people.refresh(&forged.to_text()).await), RefreshError::Unknown);
    }
    let grant = crate::grants::GrantRequest::refresh_token(Some(token.clone())).expect("given");
    let stolen = people.run_as(&other, grant).await;
    assert_eq!(why(stolen), RefreshError::NotYours);
    let revoked = revoke(people.issuer.cx(), Authority::Client(other), &token).await;
    assert!(matches!(revoked, Err(RevokeError::NotYours)), "{revoked:?}");
    people.refresh(&token).await.expect("nothing has died");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_refresh_token_spent_or_not_kills_its_grant(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    for spent in [false, true] {
        let first = people.by_password().await;
        let token = refresh_of(&first);
        let last = if spent { people.refresh(&token).await.expect("refreshed") } else { first };
        let as_client = || Authority::Client(people.app.clone());
        let revision = revoke(cx, as_client(), &token).await.expect("revoked");
        assert!(!is_active(&people.issuer, &last.access_token), "{spent}");
        assert_eq!(why(people.refresh(&refresh_of(&last)).await), RefreshError::Revoked, "{spent}");
        assert_eq!(revoke(cx, as_client(), &token).await.expect("again"), revision, "the recorded revision");
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_races_a_revocation_leaves_nothing_active(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    for _ in 0..20 {
        let token = refresh_of(&people.by_password().await);
        let revoking = revoke(people.issuer.cx(), Authority::Client(people.app.clone()), &token);
        let (revoked, refreshed) = futures::join!(revoking, people.refresh(&token));
        revoked.expect("revoked");
        if let Ok(minted) = refreshed {
            assert!(!is_active(&people.issuer, &minted.access_token));
            assert_eq!(why(people.refresh(&refresh_of(&minted)).await), RefreshError::Revoked);
        }
    }
}

#[test]
fn every_refusal_of_a_refresh_token_tells_the_same() {
    use RefreshError as E;
    let all = [E::Unknown, E::NotYours, E::Expired, E::Revoked, E::Reused];
    assert!(all.iter().all(|error| error.advice() == E::Unknown.advice() && error.code() == E::Unknown.code()));
    assert!(
        PresentedSecret::new("\0".to_owned()).is_some(),
        "what stands for a password that is too long is a secret like any"
    );
}

/// Its access tokens live on for a while: it can still be revoked, and misuse of it still revokes it.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_family_that_has_ended_is_remembered_as_long_as_its_access_tokens_live(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let cx = people.issuer.cx();
    let day = Duration::from_hours(24);
    let patch = clients::Patch { access_ttl: Some(Some(day)), ..clients::Patch::default() };
    clients::update(cx, &"app".parse().expect("a client id"), None, patch).await.expect("changed");
    let (mut one, mut other) = (people.by_password().await, people.by_password().await);
    let mut spent = refresh_of(&one);
    let mut left = cx.policy.refresh_absolute_ttl;
    while left > day / 2 {
        let step = cx.policy.refresh_ttl.saturating_sub(day).min(left.saturating_sub(day / 2));
        people.issuer.advance(step).await;
        left -= step;
        spent = refresh_of(&one);
        one = people.refresh(&spent).await.expect("refreshed");
        other = people.refresh(&refresh_of(&other)).await.expect("refreshed");
    }
    let mut job = super::housekeeping::job(&people.issuer);
    people.issuer.advance(day * 3 / 4).await;
    super::housekeeping::round(&people.issuer, &mut job).await;
    assert_eq!(why(people.refresh(&refresh_of(&other)).await), RefreshError::Expired);
    assert!(is_active(&people.issuer, &one.access_token) && is_active(&people.issuer, &other.access_token));
    assert_eq!(why(people.refresh(&spent).await), RefreshError::Reused);
    assert!(!is_active(&people.issuer, &one.access_token), "misused");
    revoke(cx, Authority::Administrator, &refresh_of(&other)).await.expect("revoked");
    assert!(!is_active(&people.issuer, &other.access_token), "revoked");
}

/// Whoever presents a spent token and does not wait for the answer ends the family all the same.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_misused_grant_ends_though_nobody_waits_for_it(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let token: RefreshToken = refresh_of(&people.by_password().await).parse().expect("a refresh token");
    let record = people.issuer.cx().did(tessera_store::Action::GrantMisuse);
    let nobody_waits = grants::end_after_misuse(people.issuer.cx(), token.grant, record).now_or_never();
    assert!(nobody_waits.is_none(), "it takes a while");
    let families = people.issuer.cx().store.families();
    while families.find(token.grant).await.expect("read").is_some() {
        tokio::task::yield_now().await;
    }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn however_often_a_family_is_refreshed_it_takes_no_more_room(#[case] backend: Backend) {
    let Some(issuer) = TestIssuer::start(backend).await else { return };
    let people = People::of(issuer).await;
    let mut token = refresh_of(&people.by_password().await);
    for _ in 0..40 {
        token = refresh_of(&people.refresh(&token).await.expect("refreshed"));
    }
    let grant = token.parse::<RefreshToken>().expect("a refresh token").grant;
    let family = people.issuer.cx().store.families().find(grant).await.expect("read").expect("there");
    assert_eq!((family.recent.len(), family.generation), (16, 40));
}
