//! Copies, epochs, and who else is there.

use std::time::Duration;

use tessera_ledger::ReplicaId;
use tessera_ledger::event::{Event, Subject};
use tessera_store::{Database, DatabaseOptions, HolderRecord, StoreError, backup};
use tessera_types::{Epoch, Timestamp};

use crate::harness::{EPOCH, Fixture, on_both, token};

on_both!(ready:
    a_new_epoch_goes_on_where_the_log_stands_and_is_one_transaction,
    a_chain_that_was_tampered_with_does_not_verify,
    a_compacted_chain_verifies_from_what_is_left,
    whoever_has_the_database_open_is_seen,
);

fn holder(id: u8) -> HolderRecord {
    HolderRecord {
        replica: ReplicaId([id; 16]),
        name: id.to_string(),
        max_staleness: Duration::from_secs(60),
        joined: Timestamp(1),
    }
}

async fn a_new_epoch_goes_on_where_the_log_stands_and_is_one_transaction(f: Fixture) {
    f.append(&[token(1), token(2)]).await;
    f.db.holders().keep(&holder(1)).await.expect("kept");
    let former = f.db.log().head().await.expect("reads");
    let begin = async |tx: &mut tessera_store::Transaction| {
        tx.begin_epoch(Epoch(9)).await.expect("begins");
        tx.record(Event::EpochBegan { former: EPOCH });
        tx.replace_holders(&holder(2)).await.expect("replaced");
    };
    let mut tx = f.db.begin().await.expect("begins");
    begin(&mut tx).await;
    tx.rollback().await.expect("rolls back");
    assert_eq!(f.db.log().head().await.expect("reads"), former);
    assert_eq!(f.db.holders().list().await.expect("listed"), [holder(1)]);

    let mut tx = f.db.begin().await.expect("begins");
    begin(&mut tx).await;
    let committed = tx.commit().await.expect("commits");
    assert_eq!((committed.position.epoch, committed.position.revision), (Epoch(9), former.revision + 1));
    assert_eq!(f.db.holders().list().await.expect("listed"), [holder(2)]);
    let checked = f.db.log().check_chain().await.expect("the chain goes on");
    assert_eq!((checked.head, checked.entries), (committed.position, 3));
    assert_eq!(f.db.initialize(EPOCH).await.expect("it has one").epoch, Epoch(9));
}

async fn a_chain_that_was_tampered_with_does_not_verify(f: Fixture) {
    f.append(&[token(1), token(2), token(3)]).await;
    f.db.log().check_chain().await.expect("whole");
    f.sql("DELETE FROM log_events WHERE revision = 2").await;
    assert!(matches!(f.db.log().check_chain().await, Err(StoreError::Corrupt { table: "log_events", .. })));
    f.sql("DELETE FROM log_events WHERE revision = 3").await;
    assert!(matches!(f.db.log().check_chain().await, Err(StoreError::Corrupt { table: "log_head", .. })));
    f.sql("UPDATE log_head SET revision = 1").await;
    assert!(matches!(f.db.log().check_chain().await, Err(StoreError::Corrupt { table: "log_head", .. })));
}

async fn a_compacted_chain_verifies_from_what_is_left(f: Fixture) {
    f.append(&[token(1), token(2), Event::WatermarkRaised(Subject::Everything)]).await;
    for through in [2, 3] {
        let tx = f.db.begin().await.expect("begins");
        tx.compact(through).await.expect("compacts");
        tx.commit().await.expect("commits");
        let checked = f.db.log().check_chain().await.expect("whole");
        assert_eq!((checked.entries, checked.facts), (3 - through, 3));
    }
    f.append(&[token(4)]).await;
    assert_eq!(f.db.log().check_chain().await.expect("whole").entries, 1);
}

async fn whoever_has_the_database_open_is_seen(f: Fixture) {
    let options = DatabaseOptions::new(&f.url);
    f.db.log().head().await.expect("reads");
    assert!(!backup::is_alone(&options).await.expect("it can be told"));
    f.db.close().await;
    assert!(backup::is_alone(&options).await.expect("it can be told"));
    let again = Database::connect(&options).await.expect("and it is let go of");
    assert!(again.is_writable().await);
    assert!(!again.is_empty().await.expect("it can be told"));
    again.close().await;
}

#[tokio::test]
async fn a_copy_of_a_sqlite_file_is_of_one_moment_and_leaves_nothing_beside_it() {
    let f = Fixture::ready(crate::harness::Kind::Sqlite).await.expect("SQLite is always there");
    f.append(&[token(1), token(2)]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("copy.db");
    std::fs::write(&copy, "").expect("an empty file");
    backup::copy_sqlite(&DatabaseOptions::new(&f.url), &copy).await.expect("copied");
    f.append(&[token(3)]).await;
    backup::check_sqlite(&copy).await.expect("whole");
    let opened = Database::open_copy(&copy).await.expect("opens");
    assert_eq!(opened.log().check_chain().await.expect("whole").head.revision, 2);
    opened.close().await;
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    let mut bytes = std::fs::read(&copy).expect("read");
    let last = bytes.len() - 4096;
    bytes[last..].fill(0xff);
    std::fs::write(&copy, bytes).expect("written");
    backup::check_sqlite(&copy).await.expect_err("damaged");
}
