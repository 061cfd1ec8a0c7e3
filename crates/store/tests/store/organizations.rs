use tessera_store::{Organization, OrganizationFilter, StoreError, Unique};
use tessera_types::{OrganizationId, Timestamp};

use crate::harness::{Fixture, on_both, organization, people, user};

on_both!(ready:
    an_organization_reads_back_as_written,
    a_taken_name_is_refused,
    an_update_needs_the_version_it_changes,
    pages_and_filters_hold_what_they_say,
    a_membership_needs_both_and_ends_with_either,
    a_global_organization_counts_only_while_it_is_enabled,
    a_row_that_says_nonsense_is_corrupt,
);

const NOW: Timestamp = Timestamp(1_700_000_000);

async fn insert(f: &Fixture, organizations: &[Organization]) {
    let tx = f.db.begin().await.expect("begins");
    for organization in organizations {
        tx.organizations().insert(organization).await.expect("inserts");
    }
    tx.commit().await.expect("commits");
}

async fn an_organization_reads_back_as_written(f: Fixture) {
    let other = Organization { global: true, enabled: false, ..organization(2) };
    insert(&f, &[organization(1), other.clone()]).await;
    for written in [organization(1), other] {
        assert_eq!(f.db.organizations().find_by_name(&written.name).await.expect("finds").as_ref(), Some(&written));
        assert_eq!(f.db.organizations().find(written.id).await.expect("finds"), Some(written));
    }
    assert_eq!(f.db.organizations().find(OrganizationId([9; 16])).await.expect("finds"), None);
    assert_eq!(f.db.organizations().find_by_name("a\0").await.expect("finds"), None);
}

async fn a_taken_name_is_refused(f: Fixture) {
    insert(&f, &[organization(1), organization(2)]).await;
    let named = |number: u8| Organization { name: organization(1).name, ..organization(number) };
    let tx = f.db.begin().await.expect("begins");
    let error = tx.organizations().insert(&named(3)).await.expect_err("taken");
    assert!(matches!(error, StoreError::Taken { what: Unique::Name }), "{error:?}");
    drop(tx);
    let tx = f.db.begin().await.expect("begins");
    let error = tx.organizations().update(&named(2)).await.expect_err("taken");
    assert!(matches!(error, StoreError::Taken { what: Unique::Name }), "{error:?}");
}

async fn an_update_needs_the_version_it_changes(f: Fixture) {
    insert(&f, &[organization(1)]).await;
    let changed = Organization { enabled: false, created: Timestamp(1), ..organization(1) };
    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.organizations().update(&changed).await.expect("updates"), 2);
    let again = tx.organizations().update(&changed).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    tx.commit().await.expect("commits");
    let stored = f.db.organizations().find(changed.id).await.expect("finds").expect("is there");
    assert_eq!(stored, Organization { version: 2, enabled: false, ..organization(1) }, "its creation stays");
}

async fn pages_and_filters_hold_what_they_say(f: Fixture) {
    people(&f).await;
    let disabled = Organization { enabled: false, ..organization(2) };
    insert(&f, &[organization(1), disabled, organization(3)]).await;
    let tx = f.db.begin().await.expect("begins");
    for number in [1, 2] {
        tx.organizations().add_member(organization(number).id, user(1).id, NOW).await.expect("adds");
    }
    tx.commit().await.expect("commits");
    let filters = [
        (OrganizationFilter::default(), &[1, 2, 3][..]),
        (OrganizationFilter { enabled: Some(false), ..OrganizationFilter::default() }, &[2]),
        (OrganizationFilter { name_contains: Some("ORGANIZATION 3".into()), ..OrganizationFilter::default() }, &[3]),
        (OrganizationFilter { name_contains: Some("%1".into()), ..OrganizationFilter::default() }, &[]),
        (OrganizationFilter { member: Some(user(1).id), ..OrganizationFilter::default() }, &[1, 2]),
        (OrganizationFilter { member: Some(user(2).id), ..OrganizationFilter::default() }, &[]),
    ];
    for (filter, expected) in filters {
        let found = f.db.organizations().list(&filter, None, 10).await.expect("lists");
        assert_eq!(found.iter().map(|found| found.id.0[0]).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    let page = f.db.organizations().list(&OrganizationFilter::default(), Some(organization(1).id), 1).await;
    assert_eq!(page.expect("lists").iter().map(|found| found.id).collect::<Vec<_>>(), [organization(2).id]);
}

async fn a_membership_needs_both_and_ends_with_either(f: Fixture) {
    people(&f).await;
    insert(&f, &[organization(1), organization(2)]).await;
    for (number, member) in [(9, 1), (1, 9)] {
        let tx = f.db.begin().await.expect("begins");
        let error = tx.organizations().add_member(organization(number).id, user(member).id, NOW).await;
        assert!(matches!(error, Err(StoreError::Missing)), "{error:?}");
    }
    let tx = f.db.begin().await.expect("begins");
    for (number, member) in [(1, 1), (1, 2), (2, 1)] {
        let organizations = tx.organizations();
        assert!(organizations.add_member(organization(number).id, user(member).id, NOW).await.expect("adds"));
        assert!(!organizations.add_member(organization(number).id, user(member).id, NOW).await.expect("is there"));
    }
    assert!(tx.organizations().remove_member(organization(1).id, user(2).id).await.expect("removes"));
    assert!(!tx.organizations().remove_member(organization(1).id, user(2).id).await.expect("was not there"));
    tx.commit().await.expect("commits");
    assert_eq!(f.db.organizations().members(organization(1).id, None, 10).await.expect("lists"), [user(1).id]);
    assert!(f.db.organizations().members(organization(1).id, Some(user(1).id), 10).await.expect("lists").is_empty());

    let tx = f.db.begin().await.expect("begins");
    assert!(tx.organizations().delete(organization(2).id).await.expect("deletes"));
    assert!(!tx.organizations().delete(organization(2).id).await.expect("was gone"));
    assert!(!tx.organizations().is_member(organization(2).id, user(1).id).await.expect("asks"));
    assert!(tx.organizations().is_member(organization(1).id, user(1).id).await.expect("asks"));
    tx.users().delete(user(1).id).await.expect("deletes");
    assert!(!tx.organizations().is_member(organization(1).id, user(1).id).await.expect("asks"));
    tx.commit().await.expect("commits");
}

async fn a_global_organization_counts_only_while_it_is_enabled(f: Fixture) {
    people(&f).await;
    let global = Organization { global: true, ..organization(1) };
    insert(&f, &[global.clone(), organization(2)]).await;
    let tx = f.db.begin().await.expect("begins");
    tx.organizations().add_member(organization(1).id, user(1).id, NOW).await.expect("adds");
    tx.organizations().add_member(organization(2).id, user(2).id, NOW).await.expect("adds");
    assert!(tx.organizations().in_a_global_one(user(1).id).await.expect("asks"));
    assert!(!tx.organizations().in_a_global_one(user(2).id).await.expect("asks"));
    tx.organizations().update(&Organization { enabled: false, ..global }).await.expect("updates");
    assert!(!tx.organizations().in_a_global_one(user(1).id).await.expect("asks"));
    tx.commit().await.expect("commits");
}

async fn a_row_that_says_nonsense_is_corrupt(f: Fixture) {
    f.sql("INSERT INTO organizations VALUES ('usr_x', 'x', FALSE, TRUE, 1, 1, 1)").await;
    let error = f.db.organizations().find_by_name("x").await.expect_err("an id of another kind");
    assert!(matches!(error, StoreError::Corrupt { table: "organizations", .. }), "{error:?}");
}
