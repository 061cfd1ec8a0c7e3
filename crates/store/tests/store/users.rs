use tessera_store::{StoreError, Unique, User, UserFilter};
use tessera_types::{LoginKey, PasswordHash, Timestamp, UserId};

use crate::harness::{Fixture, belongings, on_both, people, user, which};

on_both!(ready:
    a_user_reads_back_as_written,
    a_user_is_found_by_any_spelling_of_name_or_address,
    a_taken_username_and_a_taken_address_are_told_apart_in_any_spelling,
    users_without_an_address_are_not_in_each_others_way,
    an_update_needs_the_version_it_changes,
    an_update_to_a_taken_name_or_address_is_refused,
    a_hash_is_upgraded_from_the_old_one_alone,
    a_deleted_user_takes_everything_along,
    pages_hold_every_user_once_in_bytewise_order,
    a_filter_takes_its_text_literally,
    a_nul_is_refused_and_is_nobodys_name,
    a_row_that_says_nonsense_is_corrupt,
);

async fn insert(f: &Fixture, users: &[User]) {
    let tx = f.db.begin().await.expect("begins");
    for user in users {
        tx.users().insert(user).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
}

fn named(number: u8, username: &str, email: Option<&str>) -> User {
    User {
        username: username.parse().expect("a username"),
        email: email.map(|email| email.parse().expect("an address")),
        ..user(number)
    }
}

async fn a_user_reads_back_as_written(f: Fixture) {
    let sparse = User { name: String::new(), password: None, enabled: false, ..named(2, "Zoë", None) };
    let tx = f.db.begin().await.expect("begins");
    tx.users().insert(&user(1)).await.expect("inserts");
    tx.users().insert(&sparse).await.expect("inserts");
    assert_eq!(tx.users().find(sparse.id).await.expect("finds"), Some(sparse.clone()), "its own writes");
    tx.commit().await.expect("commits");
    for written in [user(1), sparse] {
        assert_eq!(f.db.users().find(written.id).await.expect("finds"), Some(written));
    }
    assert_eq!(f.db.users().find(UserId([9; 16])).await.expect("finds"), None);
}

async fn a_user_is_found_by_any_spelling_of_name_or_address(f: Fixture) {
    insert(&f, &[named(1, "Zoë", Some("Zoë@Example.test")), named(2, "bob", None)]).await;
    for (typed, found) in [
        ("zoë", Some(1)),
        ("ZOE\u{308}", Some(1)),
        (" zoë@example.TEST ", Some(1)),
        ("bob", Some(2)),
        ("zoe", None),
        ("bob@example.test", None),
    ] {
        let key = LoginKey::read(typed).expect("somebody may be meant");
        let user = f.db.users().find_by_login(&key).await.expect("finds");
        assert_eq!(user.map(|user| user.id), found.map(|number| UserId([number; 16])), "{typed}");
    }
}

async fn a_taken_username_and_a_taken_address_are_told_apart_in_any_spelling(f: Fixture) {
    insert(&f, &[named(1, "Zoë", Some("Zoe@example.test"))]).await;
    for (taken, what) in [
        (named(1, "other", None), Unique::Id),
        (named(2, "ZOE\u{308}", Some("other@example.test")), Unique::Username),
        (named(2, "other", Some("zoe@EXAMPLE.test")), Unique::Email),
    ] {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.users().insert(&taken).await.expect_err("taken");
        assert!(matches!(error, StoreError::Taken { what: w } if w == what), "{what:?}: {error:?}");
    }
}

async fn users_without_an_address_are_not_in_each_others_way(f: Fixture) {
    insert(&f, &[named(1, "one", None), named(2, "two", None)]).await;
    assert_eq!(f.db.users().list(&UserFilter::default(), None, 10).await.expect("lists").len(), 2);
}

async fn an_update_needs_the_version_it_changes(f: Fixture) {
    insert(&f, &[user(1)]).await;
    let changed = User { enabled: false, email: None, created: Timestamp(1), ..named(1, "other", None) };
    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.users().update(&changed).await.expect("updates"), 2);
    for stale in [&changed, &user(9)] {
        let result = tx.users().update(stale).await;
        assert!(matches!(result, Err(StoreError::Conflict)), "{result:?}");
    }
    tx.commit().await.expect("a conflict is an answer, not a failure");
    let stored = f.db.users().find(changed.id).await.expect("finds").expect("is there");
    assert_eq!(stored, User { version: 2, created: user(1).created, ..changed }, "its creation stays");
    let key = LoginKey::read("user-1").expect("a name");
    assert_eq!(f.db.users().find_by_login(&key).await.expect("finds"), None, "the old name is free");
    insert(&f, &[User { id: UserId([3; 16]), ..user(1) }]).await;
}

async fn an_update_to_a_taken_name_or_address_is_refused(f: Fixture) {
    insert(&f, &[user(1), user(2)]).await;
    let name = User { username: user(2).username, ..user(1) };
    let email = User { email: user(2).email, ..user(1) };
    for (changed, what) in [(name, Unique::Username), (email, Unique::Email)] {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.users().update(&changed).await.expect_err("taken");
        assert!(matches!(error, StoreError::Taken { what: w } if w == what), "{error:?}");
    }
}

/// A password that was changed meanwhile must not be undone by the upgrade of the old one.
async fn a_hash_is_upgraded_from_the_old_one_alone(f: Fixture) {
    insert(&f, &[user(1), User { password: None, ..user(2) }]).await;
    let old = user(1).password.expect("has one");
    let new: PasswordHash =
        "$argon2id$v=19$m=19456,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA".parse().expect("a hash");
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.users().upgrade_password(user(1).id, &old, &new).await.expect("upgrades"));
    assert!(!tx.users().upgrade_password(user(1).id, &old, &new).await.expect("does not"), "no longer the old one");
    assert!(!tx.users().upgrade_password(user(2).id, &old, &new).await.expect("does not"), "it has none");
    tx.commit().await.expect("commits");
    let stored = f.db.users().find(user(1).id).await.expect("finds").expect("is there");
    assert_eq!(stored, User { password: Some(new), ..user(1) }, "neither version nor anything else");
}

async fn a_deleted_user_takes_everything_along(f: Fixture) {
    people(&f).await;
    let (one, two) = (user(1).id, user(2).id);
    let tx = f.db.begin().await.expect("begins");
    belongings(&tx, 1, "a", one).await;
    belongings(&tx, 2, "a", two).await;
    tx.commit().await.expect("commits");
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.users().delete(one).await.expect("deletes"));
    assert!(!tx.users().delete(one).await.expect("deletes"), "there was none any more");
    tx.commit().await.expect("commits");
    assert_eq!(which(&f.db, 1, "a", one).await, [false, false, true, false, false], "the request is nobody's yet");
    assert_eq!(which(&f.db, 2, "a", two).await, [true; 5]);
}

async fn pages_hold_every_user_once_in_bytewise_order(f: Fixture) {
    let users: Vec<_> = (1..=9).map(|n: u8| User { id: UserId([n.wrapping_mul(29); 16]), ..user(n) }).collect();
    insert(&f, &users).await;
    let mut ids: Vec<_> = users.iter().map(|user| user.id.to_string()).collect();
    ids.sort_unstable();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = f.db.users().list(&UserFilter::default(), after, 2).await.expect("lists");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|user| user.id.to_string()));
    }
    assert_eq!(seen, ids);
}

async fn a_filter_takes_its_text_literally(f: Fixture) {
    let user = |number, username, name: &str, enabled| User {
        name: name.into(),
        enabled,
        ..named(number, username, Some(&format!("{username}@mail.test")))
    };
    insert(
        &f,
        &[user(1, "Ada", "100% Lovelace", true), user(2, "bob_", "1000", false), user(3, "cy", r"back\x", true)],
    )
    .await;
    let cases = [
        (Some("ADA"), None, "Ada"),
        (Some("lace"), None, "Ada"),
        (Some("mail.TEST"), None, "Ada bob_ cy"),
        (Some("0%"), None, "Ada"),
        (Some("_"), None, "bob_"),
        (Some(r"K\x"), None, "cy"),
        (Some("'; DROP TABLE users; --"), None, ""),
        (Some("100"), Some(false), "bob_"),
        (None, Some(true), "Ada cy"),
    ];
    for (contains, enabled, expected) in cases {
        let filter = UserFilter { contains: contains.map(Into::into), enabled };
        let mut found = f.db.users().list(&filter, None, 10).await.expect("lists");
        found.sort_by_key(|user| user.username.key());
        let found: Vec<_> = found.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(found.join(" "), expected, "{filter:?}");
    }
}

async fn a_nul_is_refused_and_is_nobodys_name(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    let nul = User { name: "a\0b".into(), ..user(1) };
    for error in [tx.users().insert(&nul).await.expect_err("no"), tx.users().update(&nul).await.expect_err("no")] {
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    }
    let key = LoginKey::Username("a\0".into());
    assert_eq!(f.db.users().find_by_login(&key).await.expect("finds"), None);
    let filter = UserFilter { contains: Some("\0".into()), enabled: None };
    assert!(matches!(f.db.users().list(&filter, None, 1).await, Err(StoreError::Refused(_))));
}

async fn a_row_that_says_nonsense_is_corrupt(f: Fixture) {
    insert(&f, &[user(1)]).await;
    for nonsense in ["username = 'a b'", "email = 'nowhere'", "password = 'hunter2'"] {
        f.sql(&format!("UPDATE users SET {nonsense}")).await;
        let error = f.db.users().find(user(1).id).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "users", .. }), "{nonsense}: {error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
        f.sql("DELETE FROM users").await;
        insert(&f, &[user(1)]).await;
    }
}
