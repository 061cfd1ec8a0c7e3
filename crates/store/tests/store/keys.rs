use tessera_store::{KeptSecret, StoreError};
use tessera_types::{KeyState, Timestamp};

use crate::harness::{Fixture, key, on_both};

on_both!(ready:
    a_key_reads_back_as_written,
    a_key_moves_only_from_the_state_it_is_in,
    what_is_published_of_a_key_may_be_written_anew,
    of_two_first_starts_one_makes_the_key,
    since_when_is_not_known_of_a_state_that_an_older_version_wrote,
    a_key_is_sealed_anew_alone,
    a_kept_secret_reads_back_and_is_kept_once,
);

async fn a_key_reads_back_as_written(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    tx.keys().insert(&key("k2", KeyState::Active)).await.expect("inserts");
    tx.keys().insert(&key("k1", KeyState::Next)).await.expect("inserts");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.keys().list().await.expect("lists"), [key("k1", KeyState::Next), key("k2", KeyState::Active)]);
    assert_eq!(f.db.keys().find(&key("k1", KeyState::Next).key).await.expect("finds"), Some(key("k1", KeyState::Next)));
    assert!(!format!("{:?}", key("k1", KeyState::Next)).contains("255"), "the sealed key is not shown");
}

async fn a_key_moves_only_from_the_state_it_is_in(f: Fixture) {
    let id = key("k", KeyState::Next).key;
    let tx = f.db.begin().await.expect("begins");
    tx.keys().insert(&key("k", KeyState::Next)).await.expect("inserts");
    tx.keys().set_state(&id, KeyState::Next, KeyState::Active, Timestamp(1_700_000_100)).await.expect("moves");
    let again = tx.keys().set_state(&id, KeyState::Next, KeyState::Active, Timestamp(1_700_000_100)).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.keys().list().await.expect("lists"), [key("k", KeyState::Active)]);
}

async fn what_is_published_of_a_key_may_be_written_anew(f: Fixture) {
    let (id, other) = (key("k", KeyState::Next).key, key("other", KeyState::Next));
    let tx = f.db.begin().await.expect("begins");
    tx.keys().insert(&key("k", KeyState::Next)).await.expect("inserts");
    tx.keys().insert(&other).await.expect("inserts");
    tx.keys().set_public_jwk(&id, "{}").await.expect("writes");
    let nobodys = tx.keys().set_public_jwk(&key("none", KeyState::Next).key, "{}").await;
    assert!(matches!(nobodys, Err(StoreError::Conflict)), "{nobodys:?}");
    tx.commit().await.expect("commits");
    let published = |key: Option<tessera_store::SigningKeyRecord>| key.expect("a key").public_jwk;
    assert_eq!(published(f.db.keys().find(&id).await.expect("finds")), "{}");
    assert_eq!(published(f.db.keys().find(&other.key).await.expect("finds")), other.public_jwk);
}

/// What an issuer does at its first start: two at once must not make two active keys.
async fn of_two_first_starts_one_makes_the_key(f: Fixture) {
    let starts = ["k1", "k2", "k3"].map(|id| {
        let db = f.db.clone();
        tokio::spawn(async move {
            let tx = db.begin().await.expect("begins");
            tx.exclusive().await.expect("alone");
            if tx.keys().list().await.expect("lists").is_empty() {
                tx.keys().insert(&key(id, KeyState::Active)).await.expect("inserts");
            }
            tx.commit().await.expect("commits");
        })
    });
    for start in starts {
        start.await.expect("runs");
    }
    assert_eq!(f.db.keys().list().await.expect("lists").len(), 1);
}

async fn since_when_is_not_known_of_a_state_that_an_older_version_wrote(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    tx.keys().insert(&key("k", KeyState::Active)).await.expect("inserts");
    tx.commit().await.expect("commits");
    f.sql("UPDATE signing_keys SET state = 'retiring'").await;
    let (id, since) = (key("k", KeyState::Active).key, Timestamp(1_700_000_200));
    assert_eq!(f.db.keys().find(&id).await.expect("finds").expect("a key").since, None);
    let tx = f.db.begin().await.expect("begins");
    tx.keys().set_state(&id, KeyState::Retiring, KeyState::Retiring, since).await.expect("written");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.keys().find(&id).await.expect("finds").expect("a key").since, Some(since));
}

async fn a_key_is_sealed_anew_alone(f: Fixture) {
    let (one, other) = (key("one", KeyState::Active), key("other", KeyState::Next));
    let tx = f.db.begin().await.expect("begins");
    tx.keys().insert(&one).await.expect("inserts");
    tx.keys().insert(&other).await.expect("inserts");
    tx.keys().set_sealed(&one.key, vec![7]).await.expect("written");
    let nobodys = tx.keys().set_sealed(&key("none", KeyState::Next).key, vec![7]).await;
    assert!(matches!(nobodys, Err(StoreError::Conflict)), "{nobodys:?}");
    tx.commit().await.expect("commits");
    let sealed: Vec<_> = f.db.keys().list().await.expect("lists").into_iter().map(|key| key.sealed_private).collect();
    assert_eq!(sealed, [vec![7], other.sealed_private]);
}

async fn a_kept_secret_reads_back_and_is_kept_once(f: Fixture) {
    let secret = KeptSecret { name: "pages".to_owned(), sealed: vec![0, 255], created: Timestamp(1_700_000_000) };
    let tx = f.db.begin().await.expect("begins");
    tx.kept_secrets().insert(&secret).await.expect("inserts");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.kept_secrets().list().await.expect("lists"), std::slice::from_ref(&secret));
    assert!(!format!("{secret:?}").contains("255"), "the sealed secret is not shown");
    let tx = f.db.begin().await.expect("begins");
    let again = tx.kept_secrets().insert(&secret).await;
    assert!(matches!(again, Err(StoreError::Taken { .. })), "{again:?}");
    tx.rollback().await.expect("rolls back");
    let tx = f.db.begin().await.expect("begins");
    tx.kept_secrets().set_sealed("pages", vec![7]).await.expect("written");
    let nobodys = tx.kept_secrets().set_sealed("none", vec![7]).await;
    assert!(matches!(nobodys, Err(StoreError::Conflict)), "{nobodys:?}");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.kept_secrets().list().await.expect("lists")[0].sealed, [7]);
}
