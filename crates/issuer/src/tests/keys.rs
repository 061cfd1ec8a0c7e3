//! The keys that are published.

mod keeping;
mod lifetimes;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::Value;
use tessera_keys::{Kek, KekRing, PublicKey, SigningKey};
use tessera_testkit::postgres::Cluster;
use tessera_types::{Algorithm, Clock as _, ErrorCode, Failure as _, KeyId, KeyState};

use super::revocation::is_active;
use super::{A_DAY, Backend, TestIssuer, token_request};
use crate::config::{KeySource, Keys};
use crate::grants;
use crate::operations::keys::{self, Keeper, KeyChangeError};
use crate::operations::setup::{Setup, SetupError, Wanted};

fn published(issuer: &TestIssuer) -> Value {
    let set: Value = serde_json::from_str(&keys::jwks(issuer.cx()).expect("loaded")).expect("JSON");
    set["keys"][0].clone()
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_from_before_there_were_certificates_is_published_with_its_own(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    assert!(published(&issuer).get("x5c").is_none(), "only RSA keys have one");
    issuer.config.tokens.signing_alg = "RS256".to_owned();
    let issuer = issuer.restart().await;
    let records = keys::list(issuer.cx()).await.expect("listed");
    let record = records.iter().find(|record| record.algorithm == Algorithm::Rs256).expect("made").clone();
    let bare = PublicKey::from_jwk(Algorithm::Rs256, &record.public_jwk).expect("a key").to_jwk();
    let tx = issuer.cx().store.begin().await.expect("begins");
    tx.keys().set_public_jwk(&record.key, &bare).await.expect("written");
    tx.commit().await.expect("commits");
    let issuer = issuer.restart().await;
    let set: Value = serde_json::from_str(&keys::jwks(issuer.cx()).expect("loaded")).expect("JSON");
    let kid = record.key.as_str();
    let key = set["keys"].as_array().expect("a list").iter().find(|key| key["kid"] == kid).expect("published");
    let before: Value = serde_json::from_str(&record.public_jwk).expect("JSON");
    assert_eq!(key["x5c"], before["x5c"], "it has one certificate, whenever that is made");
    assert!(key["x5c"][0].is_string());
}

/// A pair of the operator's own, in two files.
fn write_pair(at: &Keys, key: &SigningKey) {
    let Keys { private_key, public_key, .. } = at;
    let pem =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let private = pem("PRIVATE KEY", &key.to_pkcs8().expect("a key"));
    // RFC 8410 section 4: what goes before the 32 bytes.
    let spki =
        [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &public_bytes(key)].concat();
    let mut file = OpenOptions::new().mode(0o600).write(true).create_new(true).open(private_key).expect("created");
    file.write_all(private.as_bytes()).expect("written");
    std::fs::write(public_key, pem("PUBLIC KEY", &spki)).expect("written");
}

fn public_bytes(key: &SigningKey) -> Vec<u8> {
    let jwk: Value = serde_json::from_str(&key.public_jwk()).expect("JSON");
    URL_SAFE_NO_PAD.decode(jwk["x"].as_str().expect("a member")).expect("base64url")
}

/// Seed 004: while the keys are missing there are no tokens, and everybody is told why.
#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_operators_own_key_signs_once_it_is_there(#[case] backend: Backend) {
    let Some(mut issuer) = TestIssuer::start(backend).await else { return };
    let created = issuer.client("c", None).await;
    let secret = created.secret.expect("generated");
    let before = grants::issue(issuer.cx(), token_request("c", &secret)).await.expect("issued").access_token;
    let at = |name: &str| issuer.folder.path().join(name);
    issuer.config.keys = Keys {
        source: KeySource::Files,
        private_key: at("private.key"),
        public_key: at("public.key"),
        ..issuer.config.keys
    };
    let issuer = issuer.restart().await;
    let error = grants::issue(issuer.cx(), token_request("c", &secret)).await.err().expect("no key");
    assert_eq!((error.code(), error.reason()), (ErrorCode::TemporarilyUnavailable, "NO_SIGNING_KEY"));
    let stranger = grants::issue(issuer.cx(), token_request("nobody", &secret)).await.err().expect("no key");
    assert_eq!(stranger.reason(), "NO_SIGNING_KEY", "whoever asks");
    assert_eq!(
        error.advice(),
        "OAuth authorization is not available as encryption keys configuration was not complete. Please contact your administrator."
    );
    assert!(is_active(&issuer, &before), "what is out stays good");
    let key = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    write_pair(&issuer.config.keys, &key);
    let issuer = issuer.restart().await;
    // It signs once everybody knows it.
    while issuer.cx().signer.load_full().is_none_or(|signer| signer.key_id() != key.key_id()) {
        tokio::task::yield_now().await;
    }
    let after = grants::issue(issuer.cx(), token_request("c", &secret)).await.expect("issued").access_token;
    assert!(is_active(&issuer, &after) && is_active(&issuer, &before));
    let issuer = issuer.restart().await;
    let signer = issuer.cx().signer.load_full().expect("a key");
    assert_eq!(signer.key_id(), key.key_id(), "from the beginning");
    // Another issuer on this database that was slower.
    keys::promote(issuer.cx(), Some(signer.key_id()), false).await.expect("promoted");
    let records = keys::list(issuer.cx()).await.expect("listed");
    let active: Vec<_> = records.iter().filter(|record| record.state == KeyState::Active).collect();
    assert!(matches!(active[..], [one] if one.key == *key.key_id()), "{active:?}");
}

/// The keys' states, the oldest first.
async fn states(issuer: &TestIssuer) -> Vec<KeyState> {
    let listed = keys::list(issuer.cx()).await.expect("listed").into_iter();
    let mut states: Vec<KeyState> = listed.map(|record| record.state).collect();
    // Of those that were made within a second nobody knows which was first.
    states.sort_by_key(|state| match state {
        KeyState::Retired => 0,
        KeyState::Retiring => 1,
        KeyState::Active => 2,
        KeyState::Next => 3,
    });
    states
}

async fn active(issuer: &TestIssuer) -> KeyId {
    let records = keys::list(issuer.cx()).await.expect("listed");
    records.into_iter().find(|record| record.state == KeyState::Active).expect("one signs").key
}

/// An issuer whose keys follow one another as an operator has them by default.
async fn with_schedule(backend: Backend) -> Option<TestIssuer> {
    let mut issuer = TestIssuer::start(backend).await?;
    issuer.config.keys = Keys::default();
    Some(issuer.restart().await)
}

/// A round of a keeper that has just begun, and whose clocks agree.
async fn round(issuer: &TestIssuer) {
    let mut keeper = Keeper::new(issuer.cx().clone(), None);
    keeper.round(issuer.clock.now()).await.expect("done");
}

#[rstest]
#[case::sqlite(Backend::Sqlite)]
#[case::postgres(Backend::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn one_key_follows_another_by_age(#[case] backend: Backend) {
    let Some(issuer) = with_schedule(backend).await else { return };
    let secret = issuer.client("c", None).await.secret.expect("generated");
    let first = active(&issuer).await;
    round(&issuer).await;
    assert_eq!(states(&issuer).await, [KeyState::Active]);
    issuer.advance(A_DAY * 90).await;
    round(&issuer).await;
    assert_eq!(states(&issuer).await, [KeyState::Active, KeyState::Next], "published before it signs");
    round(&issuer).await;
    assert_eq!(active(&issuer).await, first, "and for long enough");
    let old = grants::issue(issuer.cx(), token_request("c", &secret)).await.expect("issued").access_token;
    issuer.advance(Duration::from_secs(601)).await;
    round(&issuer).await;
    assert_eq!(states(&issuer).await, [KeyState::Retiring, KeyState::Active]);
    let signer = issuer.cx().signer.load_full().expect("a key");
    assert_eq!(*signer.key_id(), active(&issuer).await, "it signs at once");
    assert!(is_active(&issuer, &old), "its tokens stay good");
    issuer.advance(A_DAY).await;
    round(&issuer).await;
    assert_eq!(states(&issuer).await, [KeyState::Retiring, KeyState::Active]);
    issuer.advance(Duration::from_secs(3601)).await;
    round(&issuer).await;
    assert_eq!(states(&issuer).await, [KeyState::Retired, KeyState::Active]);
    let retired = issuer.cx().store.keys().find(&first).await.expect("found").expect("kept");
    assert!(retired.sealed_private.is_empty(), "its private half is gone");
}

/// A retirement cannot be taken back, so a clock that was set forward does not bring it about.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_retires_no_key() {
    let Some(issuer) = with_schedule(Backend::Sqlite).await else { return };
    keys::rotate(issuer.cx(), true).await.expect("rotated");
    let mut keeper = Keeper::new(issuer.cx().clone(), None);
    issuer.advance(A_DAY * 2).await;
    let behind = issuer.clock.now().minus(A_DAY);
    keeper.round(behind).await.expect("done");
    assert_eq!(states(&issuer).await, [KeyState::Retiring, KeyState::Active], "the database says another day");
    keeper.round(issuer.clock.now()).await.expect("done");
    assert_eq!(states(&issuer).await, [KeyState::Retiring, KeyState::Active], "for good");
    round(&issuer).await;
    assert_eq!(states(&issuer).await, [KeyState::Retired, KeyState::Active], "after a restart it is");
}

/// A version from before says of no key since when it retires.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_retires_since_nobody_knows_when_is_counted_from_now() {
    let Some(issuer) = with_schedule(Backend::Postgres).await else { return };
    let first = active(&issuer).await;
    keys::rotate(issuer.cx(), true).await.expect("rotated");
    issuer.advance(A_DAY * 30).await;
    let cluster = Cluster::shared().expect("started").expect("installed");
    let name = issuer.config.database.url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name");
    let forget = "UPDATE signing_keys SET since_state = 'active' WHERE state = 'retiring'";
    cluster.execute(name, forget).expect("written");
    round(&issuer).await;
    let counted = issuer.cx().store.keys().find(&first).await.expect("found").expect("kept");
    assert_eq!((counted.state, counted.since), (KeyState::Retiring, Some(issuer.clock.now())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_appears_is_taken_up_without_a_restart() {
    let Some(mut issuer) = TestIssuer::start(Backend::Sqlite).await else { return };
    let at = |name: &str| issuer.folder.path().join(name);
    issuer.config.keys = Keys {
        source: KeySource::Files,
        private_key: at("private.key"),
        public_key: at("public.key"),
        ..issuer.config.keys
    };
    let issuer = issuer.restart().await;
    round(&issuer).await;
    assert!(issuer.cx().signer.load().is_none(), "whatever key signed before");
    assert!(matches!(keys::rotate(issuer.cx(), true).await, Err(KeyChangeError::FromFiles)));
    let own = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    write_pair(&issuer.config.keys, &own);
    let mut keeper = Keeper::new(issuer.cx().clone(), None);
    keeper.round(issuer.clock.now()).await.expect("done");
    let mut rounds = tokio::time::interval(Duration::from_millis(10));
    while issuer.cx().signer.load_full().is_none_or(|signer| signer.key_id() != own.key_id()) {
        rounds.tick().await;
        keeper.round(issuer.clock.now()).await.expect("done");
    }
}

/// Its tokens would come back to life with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_retired_pair_does_not_come_back() {
    let Some(issuer) = with_schedule(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let setup = Setup { store: &cx.store, clock: &*cx.clock, random: &*cx.random };
    let own = SigningKey::generate(Algorithm::EdDsa).expect("a key");
    let again = SigningKey::from_pkcs8(Algorithm::EdDsa, &own.to_pkcs8().expect("a key")).expect("the same");
    let id = own.key_id().clone();
    setup.signing_keys(&cx.signing.keks, Wanted::Own(own)).await.expect("published");
    keys::retire(cx, &id).await.expect("retired");
    let refused = setup.signing_keys(&cx.signing.keks, Wanted::Own(again)).await;
    assert!(matches!(refused, Err(SetupError::Retired { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_named_and_nothing_is_half_sealed() {
    let Some(issuer) = with_schedule(Backend::Sqlite).await else { return };
    let cx = issuer.cx();
    let lost = KekRing::from(Kek::from_bytes(&[9; 32]).expect("a key"));
    let sealed = lost.seal(&*cx.random, b"whatever", b"secret").expect("sealed");
    let next = keys::rotate(cx, false).await.expect("published").key.key;
    let tx = cx.store.begin().await.expect("begins");
    tx.keys().set_sealed(&next, sealed).await.expect("written");
    tx.commit().await.expect("commits");
    let error = keys::rewrap(cx).await.expect_err("it does not open");
    assert_eq!(error.reason(), "KEK_MISSING");
    assert!(error.to_string().contains(next.as_str()), "{error}");
    let refused = keys::promote(cx, Some(&next), true).await.expect_err("it does not open");
    assert_eq!(refused.reason(), "KEK_MISSING");
    assert_eq!(states(&issuer).await, [KeyState::Active, KeyState::Next], "the one that opens goes on signing");
}
