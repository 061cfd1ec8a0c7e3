use tessera_store::{Consent, StoreError};
use tessera_types::Timestamp;

use crate::harness::{Fixture, client, consent, on_both, people, user};

on_both!(ready:
    a_consent_reads_back_as_written,
    a_later_consent_takes_the_place_of_the_one_before_and_keeps_its_beginning,
    a_consent_needs_its_user_and_its_client,
    a_deleted_consent_is_gone_and_no_other,
    a_row_that_says_nonsense_is_corrupt,
);

async fn keep(f: &Fixture, consents: &[Consent]) {
    let tx = f.db.begin().await.expect("begins");
    for consent in consents {
        tx.consents().keep(consent).await.expect("keeps");
    }
    tx.commit().await.expect("commits");
}

async fn a_consent_reads_back_as_written(f: Fixture) {
    people(&f).await;
    let (one, two) = (user(1).id, user(2).id);
    keep(&f, &[consent(one, "b"), consent(one, "a"), consent(two, "a")]).await;
    assert_eq!(f.db.consents().of_user(one).await.expect("lists"), [consent(one, "a"), consent(one, "b")]);
    let with_clients = f.db.consents().with_clients(one).await.expect("lists");
    assert_eq!(with_clients, ["a", "b"].map(|id| (consent(one, id), client(id))));
    assert_eq!(f.db.consents().find(two, &client("a").id).await.expect("finds"), Some(consent(two, "a")));
    assert_eq!(f.db.consents().find(two, &client("b").id).await.expect("finds"), None);
}

async fn a_later_consent_takes_the_place_of_the_one_before_and_keeps_its_beginning(f: Fixture) {
    people(&f).await;
    let first = consent(user(1).id, "a");
    let later = Consent {
        scopes: "profile".parse().expect("scopes"),
        created: Timestamp(1_800_000_000),
        updated: Timestamp(1_800_000_000),
        ..first.clone()
    };
    keep(&f, &[first.clone(), later.clone()]).await;
    let expected = Consent { created: first.created, ..later };
    assert_eq!(f.db.consents().of_user(first.user).await.expect("lists"), [expected]);
}

async fn a_consent_needs_its_user_and_its_client(f: Fixture) {
    people(&f).await;
    for orphan in [consent(user(9).id, "a"), consent(user(1).id, "nobody")] {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.consents().keep(&orphan).await.expect_err("missing");
        assert!(matches!(error, StoreError::Missing), "{error:?}");
    }
}

async fn a_deleted_consent_is_gone_and_no_other(f: Fixture) {
    people(&f).await;
    let one = user(1).id;
    keep(&f, &[consent(one, "a"), consent(one, "b"), consent(user(2).id, "a")]).await;
    let tx = f.db.begin().await.expect("begins");
    assert!(tx.consents().delete(one, &client("a").id).await.expect("deletes"));
    assert!(!tx.consents().delete(one, &client("a").id).await.expect("deletes"), "there was none any more");
    tx.commit().await.expect("commits");
    assert_eq!(f.db.consents().of_user(one).await.expect("lists"), [consent(one, "b")]);
    assert!(f.db.consents().find(user(2).id, &client("a").id).await.expect("finds").is_some());
}

async fn a_row_that_says_nonsense_is_corrupt(f: Fixture) {
    people(&f).await;
    for nonsense in ["no JSON", "[\"a b\"]", "{}"] {
        keep(&f, &[consent(user(1).id, "a")]).await;
        f.sql(&format!("UPDATE consents SET scopes = '{nonsense}'")).await;
        let error = f.db.consents().of_user(user(1).id).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "consents", .. }), "{nonsense}: {error:?}");
    }
}
