use std::time::Duration;

use tessera_store::{StoreError, Transaction};
use tessera_types::KeyState;

use crate::harness::{Fixture, belongings, client, key, on_both, scope, secret, token, user, which};

on_both!(ready:
    a_rollback_leaves_nothing,
    a_dropped_transaction_leaves_nothing,
    a_transaction_that_failed_cannot_commit,
    an_append_that_fails_half_way_leaves_nothing,
    a_rolled_back_deletion_brings_everything_back,
    a_rolled_back_compaction_brings_the_entries_back,
    a_commit_that_records_nothing_tells_the_head,
    a_commit_outlives_its_caller,
    readers_see_the_state_before_and_do_not_wait,
);

/// One write of each repository, and events.
async fn write_everything(tx: &mut Transaction) {
    tx.clients().insert(&client("a")).await.expect("inserts");
    tx.clients().insert_secret(&client("a").id, &secret(1, None)).await.expect("inserts");
    tx.scopes().insert(&scope("orders:read")).await.expect("inserts");
    tx.keys().insert(&key("k", KeyState::Active)).await.expect("inserts");
    tx.users().insert(&user(1)).await.expect("inserts");
    belongings(tx, 1, "a", user(1).id).await;
    tx.record(token(1));
    tx.record(token(2));
}

async fn assert_empty(f: &Fixture) {
    assert_eq!(f.db.clients().find(&client("a").id).await.expect("finds"), None);
    assert_eq!(f.db.clients().secrets(&client("a").id).await.expect("reads"), []);
    assert_eq!(f.db.scopes().list(None, 10).await.expect("lists"), []);
    assert_eq!(f.db.keys().list().await.expect("lists"), []);
    assert_eq!(f.db.users().find(user(1).id).await.expect("finds"), None);
    assert_eq!(which(&f.db, 1, "a", user(1).id).await, [false; 5]);
    let snapshot = f.db.log().snapshot().await.expect("reads");
    assert_eq!((snapshot.position.revision, snapshot.position.hash, snapshot.facts), (0, [0; 32], vec![]));
    assert_eq!(f.entries().await, []);
    assert_eq!(*f.db.head_watch().borrow(), 0, "nobody was woken");
}

async fn a_rollback_leaves_nothing(f: Fixture) {
    let mut tx = f.db.begin().await.expect("begins");
    write_everything(&mut tx).await;
    tx.rollback().await.expect("rolls back");
    assert_empty(&f).await;
}

async fn a_dropped_transaction_leaves_nothing(f: Fixture) {
    let mut tx = f.db.begin().await.expect("begins");
    write_everything(&mut tx).await;
    drop(tx);
    assert_empty(&f).await;
    assert_eq!(f.append(&[token(3)]).await.recorded, [1], "the writer is free, and no revision was spent");
}

async fn a_transaction_that_failed_cannot_commit(f: Fixture) {
    let mut tx = f.db.begin().await.expect("begins");
    write_everything(&mut tx).await;
    tx.clients().insert(&client("a")).await.expect_err("taken");
    let result = tx.commit().await;
    assert!(matches!(result, Err(StoreError::Broken)), "{result:?}");
    assert_empty(&f).await;
}

/// By then the head has been raised and the facts written; the entry's place is taken by a row that has no business there.
async fn an_append_that_fails_half_way_leaves_nothing(f: Fixture) {
    let bytes = if f.is_postgres() { "'\\x00'" } else { "x'00'" };
    f.sql(&format!("INSERT INTO log_events (revision, epoch, payload, hash) VALUES (2, 0, {bytes}, {bytes})")).await;
    let mut tx = f.db.begin().await.expect("begins");
    write_everything(&mut tx).await;
    tx.commit().await.expect_err("the place is taken");
    f.sql("DELETE FROM log_events").await;
    assert_empty(&f).await;
    assert_eq!(f.append(&[token(1)]).await.recorded, [1], "no revision was spent");
}

async fn a_rolled_back_deletion_brings_everything_back(f: Fixture) {
    let mut tx = f.db.begin().await.expect("begins");
    write_everything(&mut tx).await;
    tx.commit().await.expect("commits");
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.clients().delete(&client("a").id).await.expect("deletes"));
    assert!(tx.users().delete(user(1).id).await.expect("deletes"));
    tx.rollback().await.expect("rolls back");
    let found = f.db.clients().find_with_secrets(&client("a").id).await.expect("finds");
    assert_eq!(found, Some((client("a"), vec![secret(1, None)])));
    assert_eq!(which(&f.db, 1, "a", user(1).id).await, [true; 5]);
}

async fn a_rolled_back_compaction_brings_the_entries_back(f: Fixture) {
    f.append(&[token(1), token(2)]).await;
    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.compact(2).await.expect("compacts"), 2);
    tx.rollback().await.expect("rolls back");
    assert_eq!(f.entries().await.len(), 2);
}

async fn a_commit_that_records_nothing_tells_the_head(f: Fixture) {
    let before = f.append(&[token(1)]).await;
    let tx = f.db.begin().await.expect("begins");
    let fact = tx.log().fact(&token(1).about()).await.expect("reads").expect("is there");
    assert_eq!(fact.revision, 1, "where a repeated revocation learns whose barrier to wait for");
    let committed = tx.commit().await.expect("commits");
    assert_eq!((committed.position, committed.first, committed.recorded), (before.position, None, vec![]));
}

async fn a_commit_outlives_its_caller(f: Fixture) {
    let mut watch = f.db.head_watch();
    let mut tx = f.db.begin().await.expect("begins");
    tx.record(token(1));
    tokio::select! {
        biased;
        // Polled once, and dropped while it runs.
        _ = tx.commit() => panic!("a commit takes more than one poll"),
        () = std::future::ready(()) => {}
    }
    let woken = tokio::time::timeout(Duration::from_secs(20), watch.wait_for(|head| *head == 1)).await;
    woken.expect("the commit went on by itself").expect("lives");
    assert_eq!(f.entries().await.len(), 1);
}

async fn readers_see_the_state_before_and_do_not_wait(f: Fixture) {
    let mut tx = f.db.begin().await.expect("begins");
    write_everything(&mut tx).await;
    tx.exclusive().await.expect("alone");
    assert_empty(&f).await;
    tx.commit().await.expect("commits");
    assert_eq!(f.db.log().head().await.expect("reads").revision, 2);
}
