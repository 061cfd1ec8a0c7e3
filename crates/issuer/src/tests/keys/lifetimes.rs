//! No token lives longer than its key is accepted.

use super::*;
use crate::operations::clients::{self, AdminError, DraftError, Patch};

/// A lifetime alone.
fn living(hours: u64) -> Patch {
    Patch { access_ttl: Some(Some(Duration::from_hours(hours))), ..Patch::default() }
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_told_to_live_longer_than_its_key_is_accepted(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    let id = "c".parse().expect("an id");
    let secret = issuer.client("c", None).await.secret.expect("generated");
    clients::update(issuer.cx(), &id, None, living(24)).await.expect("as long as by default any may");
    issuer.config.keys.retire_after = Duration::from_hours(2);
    let issuer = issuer.restart().await;
    let cx = issuer.cx();
    let refused = clients::update(cx, &id, None, living(3)).await.err().expect("longer than keys are accepted");
    assert!(matches!(refused, AdminError::Draft(DraftError::OutlivesKeys)), "{refused:?}");
    assert_eq!((refused.reason(), refused.field()), ("LIFETIME_OUTLIVES_KEYS", Some("access_token_lifetime")));
    let named = Patch { name: Some("another name".to_owned()), ..Patch::default() };
    clients::update(cx, &id, None, named).await.expect("what was set before is nobody's mistake now");

    let issued = grants::issue(cx, token_request("c", &secret)).await.expect("issued");
    assert_eq!(issued.expires_in, Duration::from_hours(2), "as long as its key is accepted");
    let first = active(&issuer).await;
    keys::rotate(cx, true).await.expect("rotated");
    issuer.advance(Duration::from_hours(2) - Duration::from_secs(1)).await;
    round(&issuer).await;
    assert!(is_active(&issuer, &issued.access_token), "until the end that its client was told");
    issuer.advance(Duration::from_secs(3)).await;
    round(&issuer).await;
    let retired = cx.store.keys().find(&first).await.expect("found").expect("kept");
    assert_eq!(retired.state, KeyState::Retired);
    clients::update(cx, &id, None, living(2)).await.expect("as long as keys are accepted");
}
