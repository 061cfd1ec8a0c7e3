use tessera_ledger::event::Event;
use tessera_store::{RefreshFamily, Tail};
use tessera_types::{GrantId, OpaqueHash, Timestamp};

use crate::harness::{
    Fixture, client, code, family, on_both, people, request, secret, session, token, user, watermark,
};

on_both!(ready:
    what_ended_is_deleted_in_batches_and_what_has_not_stays,
    secrets_without_an_end_stay,
    revocations_are_deleted_by_whole_hours_below_the_floor,
    the_log_keeps_its_newest_entries,
    what_another_process_holds_is_passed_over,
    cleaners_and_writers_are_not_in_each_others_way,
);

async fn what_ended_is_deleted_in_batches_and_what_has_not_stays(f: Fixture) {
    people(&f).await;
    let tx = f.db.begin().await.expect("begins");
    let user = user(1).id;
    for number in 1..=5 {
        let expires = i64::from(number) * 100;
        tx.authorizations().insert_request(&request(number, "a", expires)).await.expect("inserts");
        tx.authorizations().insert_code(&code(number, "a", user, expires)).await.expect("inserts");
        tx.sessions().insert(&session(number, user, expires)).await.expect("inserts");
        tx.families().insert(&family(number, "a", user, expires)).await.expect("inserts");
    }
    // In use, and at its end all the same.
    let at_its_end = RefreshFamily { ends: Timestamp(400), ..family(6, "a", user, 500) };
    tx.families().insert(&at_its_end).await.expect("inserts");
    tx.commit().await.expect("commits");

    let (cleanup, ended) = (f.db.cleanup(), Timestamp(400));
    for expected in [2, 2, 0] {
        assert_eq!(cleanup.authorization_requests(ended, 2).await.expect("deletes"), expected);
        assert_eq!(cleanup.authorization_codes(ended, 2).await.expect("deletes"), expected);
        assert_eq!(cleanup.sessions(ended, 2).await.expect("deletes"), expected);
    }
    for expected in [3, 2, 0] {
        assert_eq!(cleanup.refresh_families(ended, 3).await.expect("deletes"), expected);
    }
    for number in 1..=6 {
        let token = OpaqueHash([number; 32]);
        let left = number == 5;
        assert_eq!(f.db.authorizations().request(token).await.expect("finds").is_some(), left);
        assert_eq!(f.db.authorizations().code(token).await.expect("finds").is_some(), left);
        assert_eq!(f.db.sessions().find(token).await.expect("finds").is_some(), left);
        assert_eq!(f.db.families().find(GrantId([number; 16])).await.expect("finds").is_some(), left);
    }
}

async fn secrets_without_an_end_stay(f: Fixture) {
    people(&f).await;
    let tx = f.db.begin().await.expect("begins");
    for (number, expires) in [(1, None), (2, Some(100)), (3, Some(101))] {
        tx.clients().insert_secret(&client("a").id, &secret(number, expires)).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    assert_eq!(f.db.cleanup().client_secrets(Timestamp(100), 10).await.expect("deletes"), 1);
    let left = f.db.clients().secrets(&client("a").id).await.expect("reads");
    assert_eq!(left, [secret(3, Some(101)), secret(1, None)]);
}

/// As replicas forget: a snapshot must not lack what a replica that followed the log still knows.
async fn revocations_are_deleted_by_whole_hours_below_the_floor(f: Fixture) {
    let expiring = |number: u8, at| Event::GrantRevoked { grant: GrantId([number; 16]), expires: Timestamp(at) };
    let (early, late) = (3600 * 10, 3600 * 11);
    let kept = [expiring(4, late), expiring(5, late + 1799), watermark("ada")];
    f.append(&[expiring(1, 1), expiring(2, early), expiring(3, late - 1)]).await;
    f.append(&kept).await;
    assert_eq!(f.db.cleanup().revocations(10).await.expect("deletes"), 0, "there is no floor");
    let floor = Event::ExpiredBefore(Timestamp(late + 1800));
    f.append(std::slice::from_ref(&floor)).await;
    for expected in [2, 1, 0] {
        assert_eq!(f.db.cleanup().revocations(2).await.expect("deletes"), expected);
    }
    let facts: Vec<_> = f.db.log().snapshot().await.expect("reads").facts.into_iter().map(|fact| fact.event).collect();
    assert_eq!(facts, [&kept[..], &[floor]].concat());
    assert_eq!(f.entries().await.len(), 7, "the log itself is another matter");
}

async fn the_log_keeps_its_newest_entries(f: Fixture) {
    let events: Vec<_> = (0..10).map(token).collect();
    f.append(&events).await;
    assert_eq!(f.db.cleanup().log_entries(10, 3).await.expect("deletes"), 0);
    assert_eq!(f.db.cleanup().log_entries(u64::MAX >> 1, 3).await.expect("deletes"), 0);
    for (expected, next) in [(3, 4), (3, 7), (0, 7)] {
        assert_eq!(f.db.cleanup().log_entries(4, 3).await.expect("deletes"), expected);
        assert_eq!(f.db.log().after(next - 2, 10).await.expect("reads"), Tail::Compacted, "before {next}");
        let Tail::Entries(rest) = f.db.log().after(next - 1, 10).await.expect("reads") else { panic!("too much") };
        assert_eq!(rest.first().map(|entry| entry.revision), Some(next));
    }
    assert_eq!(f.append(&[token(10)]).await.recorded, [11], "the log goes on where it was");
    assert_eq!(f.db.cleanup().log_entries(4, 3).await.expect("deletes"), 1);
    assert_eq!(f.db.log().snapshot().await.expect("reads").facts.len(), 11, "the facts stay");
}

/// On SQLite nobody else writes while a transaction is open, so there is nothing to pass over.
async fn what_another_process_holds_is_passed_over(f: Fixture) {
    if !f.is_postgres() {
        return;
    }
    people(&f).await;
    let tx = f.db.begin().await.expect("begins");
    for number in 1..=3 {
        tx.sessions().insert(&session(number, user(1).id, 100)).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    let holder = f.db.begin().await.expect("begins");
    let prolonged = session(1, user(1).id, 1000);
    holder.sessions().touch(&prolonged).await.expect("touches");
    assert_eq!(f.db.cleanup().sessions(Timestamp(100), 10).await.expect("does not wait"), 2);
    holder.commit().await.expect("commits");
    assert_eq!(f.db.cleanup().sessions(Timestamp(100), 10).await.expect("deletes"), 0, "it was used meanwhile");
}

async fn cleaners_and_writers_are_not_in_each_others_way(f: Fixture) {
    people(&f).await;
    let tx = f.db.begin().await.expect("begins");
    for number in 0..100 {
        tx.sessions().insert(&session(number, user(1).id, 100)).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    for number in 0..50 {
        f.append(&[token(number)]).await;
    }
    let cleaners = (0..2).map(|_| {
        let db = f.db.clone();
        tokio::spawn(async move {
            let (mut sessions, mut entries) = (0, 0);
            for _ in 0..50 {
                sessions += db.cleanup().sessions(Timestamp(100), 3).await.expect("deletes");
                entries += db.cleanup().log_entries(10, 3).await.expect("deletes");
            }
            (sessions, entries)
        })
    });
    let cleaners: Vec<_> = cleaners.collect();
    for number in 50..100 {
        f.append(&[token(number)]).await;
    }
    let (mut sessions, mut entries) = (0, 0);
    for cleaner in cleaners {
        let (some, more) = cleaner.await.expect("runs");
        sessions += some;
        entries += more;
    }
    assert_eq!(sessions, 100, "each once");
    assert!((40..=90).contains(&entries), "{entries}");
    assert_eq!(f.db.log().head().await.expect("reads").revision, 100);
}
