//! The keys that are published.

use rstest::rstest;
use serde_json::Value;
use tessera_keys::PublicKey;
use tessera_types::Algorithm;

use super::{Backend, TestIssuer};
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
