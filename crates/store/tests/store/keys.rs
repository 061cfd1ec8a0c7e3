use tessera_store::StoreError;
use tessera_types::KeyState;

use crate::harness::{Fixture, key, on_both};

on_both!(ready:
    a_key_reads_back_as_written,
    a_key_moves_only_from_the_state_it_is_in,
    of_two_first_starts_one_makes_the_key,
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
    tx.keys().set_state(&id, KeyState::Next, KeyState::Active).await.expect("moves");
    let again = tx.keys().set_state(&id, KeyState::Next, KeyState::Active).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.keys().list().await.expect("lists"), [key("k", KeyState::Active)]);
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
