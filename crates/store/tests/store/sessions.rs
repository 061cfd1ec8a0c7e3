use tessera_store::{Session, StoreError};
use tessera_types::{OpaqueHash, Timestamp};
use uuid::Uuid;

use crate::harness::{Fixture, on_both, people, session, user};

on_both!(ready:
    a_session_reads_back_as_written_and_opens_by_its_token_alone,
    a_session_needs_its_user,
    a_token_opens_one_session,
    a_touch_changes_when_it_was_used_and_ends_and_nothing_else,
    sessions_are_listed_last_used_first_without_those_that_ended,
    a_user_ends_their_own_sessions_and_nobody_elses,
    a_nul_is_refused,
    a_row_that_says_nonsense_is_corrupt,
);

const END: i64 = 2_000_000_000;

async fn insert(f: &Fixture, sessions: &[Session]) {
    let tx = f.db.begin().await.expect("begins");
    for session in sessions {
        tx.sessions().insert(session).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
}

async fn a_session_reads_back_as_written_and_opens_by_its_token_alone(f: Fixture) {
    people(&f).await;
    let written = session(1, user(1).id, END);
    insert(&f, std::slice::from_ref(&written)).await;
    assert_eq!(f.db.sessions().find(written.token).await.expect("finds"), Some(written));
    assert_eq!(f.db.sessions().find(OpaqueHash([2; 32])).await.expect("finds"), None);
}

async fn a_session_needs_its_user(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    let error = tx.sessions().insert(&session(1, user(1).id, END)).await.expect_err("no user");
    assert!(matches!(error, StoreError::Missing), "{error:?}");
}

async fn a_token_opens_one_session(f: Fixture) {
    people(&f).await;
    insert(&f, &[session(1, user(1).id, END)]).await;
    let tx = f.db.begin().await.expect("begins");
    let same = Session { id: Uuid::from_bytes([2; 16]), ..session(1, user(2).id, END) };
    let error = tx.sessions().insert(&same).await.expect_err("taken");
    assert!(matches!(error, StoreError::Taken { .. }), "{error:?}");
}

async fn a_touch_changes_when_it_was_used_and_ends_and_nothing_else(f: Fixture) {
    people(&f).await;
    let (one, two) = (session(1, user(1).id, END), session(2, user(1).id, END));
    insert(&f, &[one.clone(), two.clone()]).await;
    let used =
        Session { seen: Timestamp(1_800_000_000), expires: Timestamp(END + 5), agent: "x".into(), ..one.clone() };
    let tx = f.db.begin().await.expect("begins");
    tx.sessions().touch(&used).await.expect("touches");
    tx.commit().await.expect("commits");
    let expected = Session { agent: one.agent.clone(), ..used };
    assert_eq!(f.db.sessions().find(one.token).await.expect("finds"), Some(expected));
    assert_eq!(f.db.sessions().find(two.token).await.expect("finds"), Some(two));
}

async fn sessions_are_listed_last_used_first_without_those_that_ended(f: Fixture) {
    people(&f).await;
    let (mine, theirs) = (user(1).id, user(2).id);
    insert(&f, &[session(1, mine, 200), session(2, mine, 101), session(3, mine, 100), session(4, theirs, 200)]).await;
    let listed = f.db.sessions().of_user(mine, Timestamp(100)).await.expect("lists");
    assert_eq!(listed, [session(2, mine, 101), session(1, mine, 200)], "an end is not in it");
}

async fn a_user_ends_their_own_sessions_and_nobody_elses(f: Fixture) {
    people(&f).await;
    let (mine, theirs) = (user(1).id, user(2).id);
    insert(&f, &[1, 2, 3].map(|number| session(number, mine, END))).await;
    insert(&f, &[session(4, theirs, END)]).await;
    let id = |number| Uuid::from_bytes([number; 16]);
    let tx = f.db.begin().await.expect("begins");
    assert!(!tx.sessions().delete(mine, id(4)).await.expect("deletes"), "another user's");
    assert!(tx.sessions().delete(mine, id(1)).await.expect("deletes"));
    assert!(!tx.sessions().delete(mine, id(1)).await.expect("deletes"), "there was none any more");
    assert_eq!(tx.sessions().delete_of_user(mine, Some(id(3))).await.expect("deletes"), 1);
    tx.commit().await.expect("commits");
    assert_eq!(f.db.sessions().of_user(mine, Timestamp(0)).await.expect("lists"), [session(3, mine, END)]);
    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.sessions().delete_of_user(mine, None).await.expect("deletes"), 1);
    tx.commit().await.expect("commits");
    assert_eq!(f.db.sessions().of_user(mine, Timestamp(0)).await.expect("lists"), []);
    assert_eq!(f.db.sessions().of_user(theirs, Timestamp(0)).await.expect("lists"), [session(4, theirs, END)]);
}

async fn a_nul_is_refused(f: Fixture) {
    people(&f).await;
    let tx = f.db.begin().await.expect("begins");
    let session = session(1, user(1).id, END);
    for nul in [Session { agent: "\0".into(), ..session.clone() }, Session { address: "\0".into(), ..session }] {
        let error = tx.sessions().insert(&nul).await.expect_err("refused");
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    }
}

async fn a_row_that_says_nonsense_is_corrupt(f: Fixture) {
    people(&f).await;
    let written = session(1, user(1).id, END);
    for nonsense in ["id = 'x'", "rev = '1'"] {
        insert(&f, std::slice::from_ref(&written)).await;
        f.sql(&format!("UPDATE sessions SET {nonsense}")).await;
        let error = f.db.sessions().find(written.token).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "sessions", .. }), "{nonsense}: {error:?}");
        f.sql("DELETE FROM sessions").await;
    }
}
