//! The keys that are published.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rstest::rstest;
use serde_json::Value;
use tessera_keys::{PublicKey, SigningKey};
use tessera_types::{Algorithm, ErrorCode, Failure as _, KeyState};

use super::revocation::is_active;
use super::{Backend, TestIssuer, token_request};
use crate::config::{KeySource, Keys};
use crate::grants;
use crate::operations::keys;

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
fn write_pair(issuer: &TestIssuer, key: &SigningKey) {
    let Keys { private_key, public_key, .. } = &issuer.config.keys;
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
    write_pair(&issuer, &key);
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
