use tessera_store::{LastAccess, RefreshFamily, StoreError, Turn};
use tessera_types::{GrantId, OpaqueHash, Timestamp, TokenId};

use crate::harness::{Fixture, client, family, on_both, people, user, winners};

on_both!(ready:
    a_family_reads_back_as_written,
    a_family_needs_its_user_and_its_client,
    a_rotation_needs_the_current_token,
    of_many_who_rotate_one_family_at_once_one_does,
    a_rolled_back_rotation_leaves_the_token_current,
    families_end_one_by_one_or_by_user_and_client,
    a_row_that_says_nonsense_is_corrupt,
);

const END: i64 = 2_000_000_000;

async fn insert(f: &Fixture, families: &[RefreshFamily]) {
    let tx = f.db.begin().await.expect("begins");
    for family in families {
        tx.families().insert(family).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
}

/// The family after a refresh that handed out the token of a number.
fn next(family: &RefreshFamily, number: u8) -> RefreshFamily {
    RefreshFamily {
        generation: family.generation + 1,
        current: OpaqueHash([number; 32]),
        recent: vec![Turn { generation: family.generation, at: Timestamp(1_700_000_100) }],
        used: Timestamp(1_700_000_100),
        expires: Timestamp(END + 100),
        last_access: Some(LastAccess { token: TokenId([number; 16]), expires: Timestamp(1_700_003_700) }),
        ..family.clone()
    }
}

async fn a_family_reads_back_as_written(f: Fixture) {
    people(&f).await;
    let sparse =
        RefreshFamily { recent: vec![], generation: u32::MAX, last_access: None, ..family(2, "b", user(2).id, END) };
    let turns = [2, 1, 0].map(|generation| Turn { generation, at: Timestamp(-5) }).to_vec();
    let full = RefreshFamily { recent: turns, ..family(1, "a", user(1).id, END) };
    insert(&f, &[sparse.clone(), full.clone()]).await;
    for written in [sparse, full] {
        assert_eq!(f.db.families().find(written.grant).await.expect("finds"), Some(written));
    }
    assert_eq!(f.db.families().find(GrantId([9; 16])).await.expect("finds"), None);
}

async fn a_family_needs_its_user_and_its_client(f: Fixture) {
    people(&f).await;
    for orphan in [family(1, "nobody", user(1).id, END), family(1, "a", user(9).id, END)] {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.families().insert(&orphan).await.expect_err("missing");
        assert!(matches!(error, StoreError::Missing), "{error:?}");
    }
}

async fn a_rotation_needs_the_current_token(f: Fixture) {
    people(&f).await;
    let (one, two) = (family(1, "a", user(1).id, END), family(2, "a", user(1).id, END));
    insert(&f, &[one.clone(), two.clone()]).await;
    // What does not turn with it: its client, its scopes, its end.
    let after = next(&one, 11);
    let asked = RefreshFamily {
        client: client("b").id,
        scopes: "profile".parse().expect("scopes"),
        ends: Timestamp(1),
        created: Timestamp(1),
        ..after.clone()
    };
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.families().rotate(one.current, &asked).await.expect("rotates"));
    for spent in [one.current, two.current, OpaqueHash([9; 32])] {
        assert!(!tx.families().rotate(spent, &next(&one, 12)).await.expect("answers"), "not its current token");
    }
    tx.commit().await.expect("commits");
    assert_eq!(f.db.families().find(one.grant).await.expect("finds"), Some(after));
    assert_eq!(f.db.families().find(two.grant).await.expect("finds"), Some(two));
}

async fn of_many_who_rotate_one_family_at_once_one_does(f: Fixture) {
    people(&f).await;
    let family = family(1, "a", user(1).id, END);
    insert(&f, std::slice::from_ref(&family)).await;
    let racers = (100..116).map(|number| {
        let (db, family) = (f.db.clone(), family.clone());
        tokio::spawn(async move {
            let tx = db.begin().await.expect("begins");
            let won = tx.families().rotate(family.current, &next(&family, number)).await.expect("answers");
            tx.commit().await.expect("commits");
            won
        })
    });
    assert_eq!(winners(racers).await, 1);
    let stored = f.db.families().find(family.grant).await.expect("finds").expect("is there");
    assert_eq!(stored.generation, family.generation + 1);
    assert!((100..116).contains(&stored.current.0[0]));
}

async fn a_rolled_back_rotation_leaves_the_token_current(f: Fixture) {
    people(&f).await;
    let family = family(1, "a", user(1).id, END);
    insert(&f, std::slice::from_ref(&family)).await;
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.families().rotate(family.current, &next(&family, 2)).await.expect("rotates"));
    tx.rollback().await.expect("rolls back");
    assert_eq!(f.db.families().find(family.grant).await.expect("finds"), Some(family));
}

async fn families_end_one_by_one_or_by_user_and_client(f: Fixture) {
    people(&f).await;
    let (one, two) = (user(1).id, user(2).id);
    let all = [(1, "a", one), (2, "a", one), (3, "b", one), (4, "b", one), (5, "a", two)];
    insert(&f, &all.map(|(number, client, user)| family(number, client, user, END))).await;
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.families().delete(GrantId([1; 16])).await.expect("deletes"));
    assert!(!tx.families().delete(GrantId([1; 16])).await.expect("deletes"), "there was none any more");
    assert_eq!(tx.families().delete_of_user(one, Some(&client("a").id)).await.expect("deletes"), 1);
    assert_eq!(tx.families().delete_of_user(one, None).await.expect("deletes"), 2);
    tx.commit().await.expect("commits");
    for number in 1..=5 {
        let found = f.db.families().find(GrantId([number; 16])).await.expect("finds");
        assert_eq!(found.is_some(), number == 5, "{number}");
    }
}

async fn a_row_that_says_nonsense_is_corrupt(f: Fixture) {
    people(&f).await;
    let family = family(1, "a", user(1).id, END);
    for nonsense in [
        "scopes = 'no JSON'",
        "audience = 'a b'",
        "rev = '1'",
        "generation = -1",
        "generation = 4294967296",
        "current_hash = 'x'",
        "recent = '[[1]]'",
        "recent = '{}'",
    ] {
        insert(&f, std::slice::from_ref(&family)).await;
        f.sql(&format!("UPDATE refresh_families SET {nonsense}")).await;
        let error = f.db.families().find(family.grant).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "refresh_families", .. }), "{nonsense}: {error:?}");
        f.sql("DELETE FROM refresh_families").await;
    }
}
