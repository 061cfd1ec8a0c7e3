//! Mails that are to be sent.

use tessera_store::{MailRecord, StoreError};
use tessera_types::Timestamp;
use uuid::Uuid;

use crate::harness::{Fixture, on_both};

on_both!(ready:
    a_mail_is_there_with_what_it_tells_of_or_not_at_all,
    a_mail_is_taken_by_one_until_their_time_is_over_and_deleted_once,
);

fn mail(number: u8) -> MailRecord {
    MailRecord {
        id: Uuid::from_bytes([number; 16]),
        created: Timestamp(i64::from(number)),
        owner: "Ada \"Countess\"".to_owned(),
        address: (number > 1).then(|| "ada@example.test".to_owned()),
        name: "Été; 5 %".to_owned(),
        client_id: "shop".to_owned(),
        organization: "-".to_owned(),
    }
}

async fn a_mail_is_there_with_what_it_tells_of_or_not_at_all(f: Fixture) {
    let all = async || f.db.mails().take(Timestamp(i64::MAX), Timestamp(0), 10).await.expect("taken");
    let tx = f.db.begin().await.expect("begun");
    tx.mails().insert(&mail(1), Timestamp(100)).await.expect("written");
    tx.rollback().await.expect("rolled back");
    assert_eq!(all().await, []);
    let tx = f.db.begin().await.expect("begun");
    for number in [2, 1] {
        tx.mails().insert(&mail(number), Timestamp(100)).await.expect("written");
    }
    tx.commit().await.expect("committed");
    assert_eq!(all().await, [mail(1), mail(2)], "as written, the oldest first");
    let tx = f.db.begin().await.expect("begun");
    let nul = MailRecord { name: "a\0b".to_owned(), ..mail(3) };
    let refused = tx.mails().insert(&nul, Timestamp(100)).await.expect_err("no database keeps it");
    assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
}

async fn a_mail_is_taken_by_one_until_their_time_is_over_and_deleted_once(f: Fixture) {
    let take = async |now: i64| f.db.mails().take(Timestamp(now), Timestamp(now + 100), 1).await.expect("taken");
    let tx = f.db.begin().await.expect("begun");
    for number in [1, 2] {
        tx.mails().insert(&mail(number), Timestamp(100)).await.expect("written");
    }
    tx.commit().await.expect("committed");
    assert_eq!(take(99).await, [], "its writer sends it");
    assert_eq!((take(100).await, take(100).await, take(100).await), (vec![mail(1)], vec![mail(2)], vec![]));
    // Two at once never take the same.
    let (one, other) = tokio::join!(take(200), take(200));
    assert!(!one.iter().any(|mail| other.contains(mail)), "{one:?} {other:?}");
    assert!(f.db.mails().delete(mail(1).id).await.expect("deleted"));
    assert!(!f.db.mails().delete(mail(1).id).await.expect("is gone"));
    assert_eq!(take(1000).await, [mail(2)]);
}
