use std::time::Duration;

use tessera_store::{Client, ClientFilter, StoreError, Unique};
use tessera_types::{ClaimsProfile, OrganizationId, ScopeSet, SecretHash, Timestamp, UserId};

use crate::harness::{Fixture, client, on_both, secret};

on_both!(ready:
    a_client_reads_back_as_written,
    a_client_of_the_version_before_reads_as_one_without_what_is_new,
    a_name_is_unique_within_an_organization_and_owner,
    a_use_is_kept_unless_a_later_one_is_known_and_changes_no_version,
    a_secrets_use_is_kept_unless_a_later_one_is_known,
    clients_are_found_by_organization_and_owner,
    a_taken_id_and_a_taken_name_are_told_apart,
    an_update_needs_the_version_it_changes,
    of_two_updates_of_one_version_one_wins,
    an_update_to_a_taken_name_is_refused,
    a_deleted_client_takes_its_secrets_along,
    a_secret_needs_its_client,
    expiring_secrets_shortens_lives_and_lengthens_none,
    pages_hold_every_client_once_in_bytewise_order,
    clients_are_found_by_how_long_their_tokens_live,
    a_filter_takes_its_text_literally,
    a_scope_in_use_is_found_by_its_whole_name,
    a_nul_is_refused,
    a_row_that_says_nonsense_is_corrupt,
);

async fn insert(f: &Fixture, ids: &[&str]) {
    let tx = f.db.begin().await.expect("begins");
    for id in ids {
        tx.clients().insert(&client(id)).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
}

async fn a_client_reads_back_as_written(f: Fixture) {
    let mut sparse = client("sparse");
    sparse.access_ttl = None;
    (sparse.claims_profile, sparse.site_url, sparse.logo_url, sparse.failure_uri) = (None, None, None, None);
    (sparse.organization, sparse.owner) = (Some(OrganizationId([1; 16])), Some(UserId([2; 16])));
    sparse.implicit_scopes = ScopeSet::empty();
    sparse.last_used = Some(Timestamp(5));
    sparse.grants.clear();
    sparse.redirect_uris.clear();
    let phc = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
    let slow = tessera_store::StoredSecret { hash: SecretHash::Slow(phc.into()), generated: false, ..secret(2, None) };
    let tx = f.db.begin().await.expect("begins");
    for client in [&client("é:full%"), &sparse] {
        tx.clients().insert(client).await.expect("inserts");
    }
    tx.clients().insert_secret(&sparse.id, &secret(1, Some(5))).await.expect("inserts");
    tx.clients().insert_secret(&sparse.id, &slow).await.expect("inserts");
    assert_eq!(tx.clients().find(&sparse.id).await.expect("finds"), Some(sparse.clone()), "its own writes");
    tx.commit().await.expect("commits");

    let clients = f.db.clients();
    assert_eq!(clients.find(&client("é:full%").id).await.expect("finds"), Some(client("é:full%")));
    let found = clients.find_with_secrets(&sparse.id).await.expect("finds");
    assert_eq!(found, Some((sparse, vec![slow, secret(1, Some(5))])), "the newest secret first");
    assert_eq!(clients.find_with_secrets(&client("nobody").id).await.expect("finds"), None);
}

/// Its INSERT names no column that it does not know.
async fn a_client_of_the_version_before_reads_as_one_without_what_is_new(f: Fixture) {
    f.sql(
        "INSERT INTO clients (id, name, description, kind, enabled, grants, scopes, default_scopes, audiences, resources, \
         redirect_uris, claims_profile, created, updated, version) VALUES ('old', 'Old', '', 'public', TRUE, '[]', '[]', \
         '[]', '[]', '[]', '[]', 'rfc9068', 1, 1, 1)",
    )
    .await;
    let old = f.db.clients().find(&client("old").id).await.expect("finds").expect("is there");
    assert_eq!(old.claims_profile, Some(ClaimsProfile::Rfc9068));
    assert_eq!((old.organization, old.owner, old.last_used), (None, None, None));
    assert!(old.implicit_scopes.is_empty() && old.failure_uri.is_none());
}

async fn clients_are_found_by_how_long_their_tokens_live(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    for (id, ttl) in [("d", Some(301)), ("b", Some(3000)), ("c", Some(300)), ("a", None)] {
        let access_ttl = ttl.map(Duration::from_secs);
        tx.clients().insert(&Client { access_ttl, ..client(id) }).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    let longer = async |than: Duration, limit| {
        let ids = f.db.clients().living_longer(than, limit).await.expect("read");
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(longer(Duration::from_secs(300), 9).await, ["b", "d"]);
    assert_eq!(longer(Duration::from_secs(300), 1).await, ["b"]);
    assert!(longer(Duration::from_secs(3000), 9).await.is_empty());
}

async fn a_name_is_unique_within_an_organization_and_owner(f: Fixture) {
    let org = |number: u8| Some(OrganizationId([number; 16]));
    let own = |number: u8| Some(UserId([number; 16]));
    let named = |id: &str, organization, owner| Client { name: "Same".into(), organization, owner, ..client(id) };
    let tx = f.db.begin().await.expect("begins");
    for good in [
        named("a", None, None),
        named("b", org(1), None),
        named("c", org(2), None),
        named("d", org(1), own(1)),
        named("e", org(1), own(2)),
    ] {
        tx.clients().insert(&good).await.expect("another organization or owner");
    }
    tx.commit().await.expect("commits");
    for taken in
        [named("x", None, None), named("x", None, own(1)), named("x", org(1), None), named("x", org(1), own(1))]
    {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.clients().insert(&taken).await.expect_err("taken");
        assert!(matches!(error, StoreError::Taken { what: Unique::Name }), "{error:?}");
    }
    let tx = f.db.begin().await.expect("begins");
    let moved = tx.clients().update(&named("e", org(1), own(1))).await.expect_err("taken");
    assert!(matches!(moved, StoreError::Taken { what: Unique::Name }), "{moved:?}");
}

async fn a_use_is_kept_unless_a_later_one_is_known_and_changes_no_version(f: Fixture) {
    insert(&f, &["a"]).await;
    let born = client("a").created.0;
    for (at, known) in
        [(born - 1, None), (born + 5, Some(born + 5)), (born + 3, Some(born + 5)), (born + 9, Some(born + 9))]
    {
        let tx = f.db.begin().await.expect("begins");
        tx.clients().touch(&client("a").id, Timestamp(at)).await.expect("touches");
        tx.commit().await.expect("commits");
        let found = f.db.clients().find(&client("a").id).await.expect("finds").expect("is there");
        assert_eq!((found.last_used, found.version), (known.map(Timestamp), 1));
    }
    let tx = f.db.begin().await.expect("begins");
    tx.clients().update(&client("a")).await.expect("updates");
    tx.clients().touch(&client("nobody").id, Timestamp(1)).await.expect("nobody is touched");
    tx.commit().await.expect("commits");
    let found = f.db.clients().find(&client("a").id).await.expect("finds").expect("is there");
    assert_eq!(found.last_used, Some(Timestamp(born + 9)), "an update knows an older one");
}

async fn a_secrets_use_is_kept_unless_a_later_one_is_known(f: Fixture) {
    insert(&f, &["a"]).await;
    let tx = f.db.begin().await.expect("begins");
    for number in [1, 2] {
        tx.clients().insert_secret(&client("a").id, &secret(number, None)).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    for (at, known) in [(5, 5), (3, 5), (9, 9)] {
        let tx = f.db.begin().await.expect("begins");
        tx.clients().touch_secret(secret(1, None).id, Timestamp(at)).await.expect("touches");
        tx.clients().touch_secret(secret(3, None).id, Timestamp(at)).await.expect("nothing is touched");
        tx.commit().await.expect("commits");
        let found = f.db.clients().secrets(&client("a").id).await.expect("finds");
        assert_eq!(found.iter().map(|one| one.last_used).collect::<Vec<_>>(), [None, Some(Timestamp(known))]);
    }
}

async fn clients_are_found_by_organization_and_owner(f: Fixture) {
    let org = |number: u8| Some(OrganizationId([number; 16]));
    let own = |number: u8| Some(UserId([number; 16]));
    let tx = f.db.begin().await.expect("begins");
    for (id, organization, owner) in
        [("a", org(1), own(1)), ("b", org(1), own(2)), ("c", None, own(1)), ("d", None, None)]
    {
        tx.clients().insert(&Client { organization, owner, ..client(id) }).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    for (organization, owner, expected) in
        [(org(1), None, &["a", "b"][..]), (None, own(1), &["a", "c"]), (org(1), own(1), &["a"]), (org(2), None, &[])]
    {
        let filter = ClientFilter { organization, owner, ..ClientFilter::default() };
        let found = f.db.clients().list(&filter, None, 10).await.expect("lists");
        assert_eq!(found.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), expected);
    }
}

async fn a_taken_id_and_a_taken_name_are_told_apart(f: Fixture) {
    insert(&f, &["a"]).await;
    let same_id = Client { name: "other".into(), ..client("a") };
    let same_name = Client { name: client("a").name, ..client("b") };
    for (taken, what) in [(same_id, Unique::Id), (same_name, Unique::Name)] {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.clients().insert(&taken).await.expect_err("taken");
        assert!(matches!(error, StoreError::Taken { what: w } if w == what), "{error:?}");
    }
}

async fn an_update_needs_the_version_it_changes(f: Fixture) {
    insert(&f, &["a"]).await;
    let changed = Client { enabled: false, created: Timestamp(1), ..client("a") };
    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.clients().update(&changed).await.expect("updates"), 2);
    let again = tx.clients().update(&changed).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let gone = tx.clients().update(&client("gone")).await;
    assert!(matches!(gone, Err(StoreError::Conflict)), "{gone:?}");
    tx.commit().await.expect("a conflict is an answer, not a failure");
    let stored = f.db.clients().find(&changed.id).await.expect("finds").expect("is there");
    assert_eq!(stored, Client { version: 2, enabled: false, ..client("a") }, "its creation stays");
}

async fn of_two_updates_of_one_version_one_wins(f: Fixture) {
    insert(&f, &["a"]).await;
    let racers = (0..8).map(|number| {
        let db = f.db.clone();
        tokio::spawn(async move {
            let tx = db.begin().await?;
            let changed = Client { description: format!("by {number}"), ..client("a") };
            tx.clients().update(&changed).await?;
            tx.commit().await
        })
    });
    let mut won = 0;
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.expect("runs") {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, StoreError::Conflict), "{error:?}"),
        }
    }
    assert_eq!(won, 1);
}

async fn an_update_to_a_taken_name_is_refused(f: Fixture) {
    insert(&f, &["a", "b"]).await;
    let tx = f.db.begin().await.expect("begins");
    let changed = Client { name: client("b").name, ..client("a") };
    let error = tx.clients().update(&changed).await.expect_err("taken");
    assert!(matches!(error, StoreError::Taken { what: Unique::Name }), "{error:?}");
}

async fn a_deleted_client_takes_its_secrets_along(f: Fixture) {
    insert(&f, &["a", "b"]).await;
    let (a, b) = (client("a").id, client("b").id);
    let tx = f.db.begin().await.expect("begins");
    tx.clients().insert_secret(&a, &secret(1, None)).await.expect("inserts");
    tx.clients().insert_secret(&b, &secret(2, None)).await.expect("inserts");
    assert!(tx.clients().delete(&a).await.expect("deletes"));
    assert!(!tx.clients().delete(&a).await.expect("deletes"), "there was none any more");
    assert_eq!(tx.clients().secrets(&a).await.expect("reads"), vec![]);
    assert!(!tx.clients().delete_secret(&a, secret(2, None).id).await.expect("deletes"), "another client's secret");
    assert!(tx.clients().delete_secret(&b, secret(2, None).id).await.expect("deletes"));
    tx.commit().await.expect("commits");
}

async fn a_secret_needs_its_client(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    let error = tx.clients().insert_secret(&client("nobody").id, &secret(1, None)).await.expect_err("no client");
    assert!(matches!(error, StoreError::Missing), "{error:?}");
}

async fn expiring_secrets_shortens_lives_and_lengthens_none(f: Fixture) {
    insert(&f, &["a", "b"]).await;
    let (a, b) = (client("a").id, client("b").id);
    let tx = f.db.begin().await.expect("begins");
    for (number, expires) in [(1, None), (2, Some(200)), (3, Some(50))] {
        tx.clients().insert_secret(&a, &secret(number, expires)).await.expect("inserts");
    }
    tx.clients().insert_secret(&b, &secret(4, None)).await.expect("inserts");
    assert_eq!(tx.clients().expire_secrets(&a, Timestamp(100)).await.expect("expires"), 2);
    tx.commit().await.expect("commits");
    let left = f.db.clients().secrets(&a).await.expect("reads");
    let left: Vec<_> = left.iter().map(|secret| secret.expires.map(|t| t.0)).collect();
    assert_eq!(left, [Some(50), Some(100), Some(100)]);
    assert_eq!(f.db.clients().secrets(&b).await.expect("reads"), [secret(4, None)], "another client's");
}

async fn pages_hold_every_client_once_in_bytewise_order(f: Fixture) {
    let mut ids = ["b", "B", "a-1", "a1", "_", "é", "a", "Z", "~"];
    insert(&f, &ids).await;
    ids.sort_unstable();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = f.db.clients().list(&ClientFilter::default(), after.as_ref(), 2).await.expect("lists");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.iter().map(|client| client.id.to_string()));
    }
    assert_eq!(seen, ids);
}

async fn a_filter_takes_its_text_literally(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    for (id, name, enabled) in [("a", "100% Shop", true), ("b", "1000 shops", false), ("c", r"back\slash_", true)] {
        let client = Client { name: name.into(), enabled, ..client(id) };
        tx.clients().insert(&client).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
    let cases = [
        (Some("SHOP"), None, "a b"),
        (Some("0%"), None, "a"),
        (Some("%"), None, "a"),
        (Some("_"), None, "c"),
        (Some(r"K\s"), None, "c"),
        (Some("'; DROP TABLE clients; --"), None, ""),
        (Some("shop"), Some(false), "b"),
        (None, Some(true), "a c"),
    ];
    for (name, enabled, expected) in cases {
        let filter = ClientFilter { name_contains: name.map(Into::into), enabled, ..ClientFilter::default() };
        let found = f.db.clients().list(&filter, None, 10).await.expect("lists");
        let found: Vec<_> = found.iter().map(|client| client.id.as_str()).collect();
        assert_eq!(found.join(" "), expected, "{filter:?}");
    }
}

async fn a_scope_in_use_is_found_by_its_whole_name(f: Fixture) {
    insert(&f, &["a"]).await;
    for (scope, used) in [("orders:read", true), ("orders:write", true), ("orders", false), ("read", false)] {
        let found = f.db.clients().any_with_scope(&scope.parse().expect("a scope")).await.expect("reads");
        assert_eq!(found, used, "{scope}");
    }
}

async fn a_nul_is_refused(f: Fixture) {
    let tx = f.db.begin().await.expect("begins");
    let nul = Client { name: "a\0b".into(), ..client("a") };
    let error = tx.clients().insert(&nul).await.expect_err("refused");
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
}

async fn a_row_that_says_nonsense_is_corrupt(f: Fixture) {
    insert(&f, &["a"]).await;
    for nonsense in ["kind = 'robot'", "scopes = '[\"a b\"]'", "audiences = 'no JSON'", "access_ttl = -1"] {
        f.sql(&format!("UPDATE clients SET {nonsense}")).await;
        let error = f.db.clients().find(&client("a").id).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "clients", .. }), "{nonsense}: {error:?}");
        f.sql("DELETE FROM clients").await;
        insert(&f, &["a"]).await;
    }
}
