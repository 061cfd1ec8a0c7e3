use tessera_store::{StoreError, Unique};

use crate::harness::{Fixture, on_both, scope};

on_both!(ready: a_scope_reads_back_as_written, a_scope_is_registered_once, a_change_needs_its_scope, scopes_come_in_pages, a_large_set_is_found_together);

async fn a_scope_reads_back_as_written(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    tx.scopes().insert(&scope("orders:read")).await.expect("inserts");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.scopes().find(&scope("orders:read").name).await.expect("finds"), Some(scope("orders:read")));
    let missing = f.db.scopes().unregistered(&"orders:read other".parse().expect("scopes")).await.expect("reads");
    assert_eq!(missing.to_string(), "other");
}

async fn a_scope_is_registered_once(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    tx.scopes().insert(&scope("a")).await.expect("inserts");
    let error = tx.scopes().insert(&scope("a")).await.expect_err("taken");
    assert!(matches!(error, StoreError::Taken { what: Unique::Id }), "{error:?}");
}

async fn a_change_needs_its_scope(f: Fixture) {
    let mut changed = scope("a");
    changed.descriptions.clear();
    let tx = f.db.begin().await.expect("begins");
    assert!(matches!(tx.scopes().update(&changed).await, Err(StoreError::Conflict)));
    tx.scopes().insert(&scope("a")).await.expect("inserts");
    tx.scopes().insert(&scope("b")).await.expect("inserts");
    tx.scopes().update(&changed).await.expect("updates");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.scopes().list(None, 10).await.expect("lists"), [changed, scope("b")]);
}

async fn scopes_come_in_pages(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    for name in ["b", "a", "B"] {
        tx.scopes().insert(&scope(name)).await.expect("inserts");
    }
    assert!(tx.scopes().delete(&scope("b").name).await.expect("deletes"));
    assert!(!tx.scopes().delete(&scope("b").name).await.expect("deletes"));
    tx.commit().await.expect("commits");
    let first = f.db.scopes().list(None, 1).await.expect("lists");
    assert_eq!(first, [scope("B")]);
    assert_eq!(f.db.scopes().list(Some(&first[0].name), 5).await.expect("lists"), [scope("a")]);
}

async fn a_large_set_is_found_together(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    for number in [0, 499, 500, 1200] {
        tx.scopes().insert(&scope(&format!("s{number}"))).await.expect("inserts");
    }
    tx.scopes().insert(&scope("other")).await.expect("inserts");
    tx.commit().await.expect("commits");
    let asked: Vec<String> = (0..=1200).map(|number| format!("s{number}")).collect();
    let asked = asked.iter().map(|name| name.parse().expect("a scope")).collect();
    let mut found = f.db.scopes().find_all(&asked).await.expect("finds");
    found.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    assert_eq!(found, ["s0", "s1200", "s499", "s500"].map(scope));
    assert_eq!(f.db.scopes().find_all(&tessera_types::ScopeSet::empty()).await.expect("finds"), []);
}
