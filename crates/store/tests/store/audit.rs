//! The audit.

use std::collections::BTreeSet;

use tessera_ledger::event::{Event, Subject};
use tessera_store::{Action, Actor, AuditFilter, AuditRecord, Detail, NewRecord, Outcome, Party, StoreError, Target};
use tessera_types::{Revision, Timestamp, TokenId};

use crate::harness::{EPOCH, Fixture, on_both, user};

on_both!(ready:
    a_record_reads_back_as_written,
    a_record_is_there_with_what_it_tells_of_or_neither_is,
    what_cannot_be_recorded_is_not_done,
    a_record_tells_which_event_of_the_log_it_is_of,
    records_are_numbered_without_gaps_in_the_order_of_the_commits,
    filters_hold_together_and_pages_follow_each_other,
    an_action_is_asked_for_with_those_below_it_and_no_other,
    what_somebody_chose_is_bounded_and_drives_no_terminal,
    records_of_a_later_version_are_read,
    old_records_are_deleted_a_few_at_a_time,
);

const NOW: Timestamp = Timestamp(1_800_000_000);

fn admin() -> Actor {
    Actor::Client("admin".parse().expect("an id"))
}

fn of(id: &str) -> Target {
    Target::Client(id.parse().expect("an id"))
}

fn disabled(id: &str) -> NewRecord {
    NewRecord::done(NOW, admin(), Action::ClientDisable).to(of(id))
}

async fn write(f: &Fixture, records: &[NewRecord]) {
    let mut tx = f.db.begin().await.expect("begins");
    for record in records {
        tx.audit(record.clone());
    }
    tx.commit().await.expect("commits");
}

async fn all(f: &Fixture) -> Vec<AuditRecord> {
    f.db.audit().after(&AuditFilter::default(), 0, 10_000).await.expect("lists")
}

fn ids(records: &[AuditRecord]) -> Vec<u64> {
    records.iter().map(|record| record.id).collect()
}

async fn a_record_reads_back_as_written(f: Fixture) {
    let record = disabled("orders").because("BECAUSE").with(Detail::User, user(1).id).changing(&["name", "scopes"]);
    let from = Some("::ffff:192.0.2.1".parse().expect("an address"));
    let record = NewRecord { from, request_id: Some("r-1".into()), count: 7, outcome: Outcome::Refused, ..record };
    write(&f, &[record, NewRecord::done(NOW, Actor::Issuer, Action::AuditDrop)]).await;
    let read = all(&f).await;
    let party = |kind: &str, id: &str| Party { kind: kind.into(), id: id.into() };
    let expected = AuditRecord {
        id: 1,
        time: NOW,
        actor: party("client", "admin"),
        action: "client.disable".into(),
        target: Some(party("client", "orders")),
        outcome: Outcome::Refused,
        reason: Some("BECAUSE".into()),
        address: Some("192.0.2.1".into()),
        request_id: Some("r-1".into()),
        revision: None,
        count: 7,
        details: [("user".into(), user(1).id.to_string()), ("fields".into(), "name scopes".into())].into(),
    };
    assert_eq!(read[0], expected);
    assert_eq!((&read[1].actor, &read[1].target, read[1].details.len()), (&party("issuer", ""), &None, 0));
}

async fn a_record_is_there_with_what_it_tells_of_or_neither_is(f: Fixture) {
    let mut tx = f.db.begin().await.expect("begins");
    tx.users().insert(&user(1)).await.expect("inserts");
    tx.audit(disabled("a"));
    tx.rollback().await.expect("rolls back");
    let mut tx = f.db.begin().await.expect("begins");
    tx.audit(disabled("b"));
    drop(tx);
    assert_eq!(all(&f).await, []);
    write(&f, &[disabled("c")]).await;
    assert_eq!(ids(&all(&f).await), [1], "what was undone leaves no gap");
}

async fn what_cannot_be_recorded_is_not_done(f: Fixture) {
    for broken in ["DELETE FROM audit_head", "INSERT INTO audit_head VALUES (1, 0); DROP TABLE audit_records"] {
        f.sql(broken).await;
        let mut tx = f.db.begin().await.expect("begins");
        tx.users().insert(&user(1)).await.expect("inserts");
        tx.record(Event::WatermarkRaised(Subject::Everything));
        tx.audit(disabled("a"));
        let error = tx.commit().await.expect_err("refused");
        assert!(matches!(error, StoreError::NotPrepared(_)), "{broken}: {error:?}");
        assert_eq!(f.db.users().find(user(1).id).await.expect("finds"), None, "{broken}");
        assert_eq!(f.db.log().head().await.expect("a head").revision, 0, "{broken}");
    }
}

async fn a_record_tells_which_event_of_the_log_it_is_of(f: Fixture) {
    let revoked = |id| Event::TokenRevoked { token: TokenId([id; 16]), expires: NOW };
    let mut tx = f.db.begin().await.expect("begins");
    tx.audit(disabled("none"));
    for id in [1, 2] {
        tx.record(revoked(id));
        tx.audit(NewRecord::done(NOW, admin(), Action::TokenRevoke).to(Target::Token(TokenId([id; 16]))));
    }
    tx.commit().await.expect("commits");
    let revisions: Vec<_> = all(&f).await.into_iter().map(|record| record.revision).collect();
    let at = |number| Some(Revision { epoch: EPOCH, number });
    assert_eq!(revisions, [None, at(1), at(2)]);
}

async fn records_are_numbered_without_gaps_in_the_order_of_the_commits(f: Fixture) {
    // The first to begin, and to write, is the last to commit: whoever has read up to a number has missed nothing below it.
    if f.is_postgres() {
        let mut early = f.db.begin().await.expect("begins");
        early.users().insert(&user(1)).await.expect("inserts");
        early.audit(disabled("early"));
        write(&f, &[disabled("late")]).await;
        early.commit().await.expect("commits");
        let targets: Vec<_> = all(&f).await.into_iter().filter_map(|record| record.target).map(|t| t.id).collect();
        assert_eq!(targets, ["late", "early"]);
    }
    let before = all(&f).await.len();
    let writers = (0..16).map(|writer| {
        let db = f.db.clone();
        tokio::spawn(async move {
            for _ in 0..4 {
                let mut tx = db.begin().await.expect("begins");
                if writer % 2 == 0 {
                    tx.record(Event::WatermarkRaised(Subject::Everything));
                }
                tx.audit(disabled("a"));
                tx.audit(disabled("b"));
                tx.commit().await.expect("commits");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no deadlock");
    }
    let last = u64::try_from(before).expect("few") + 128;
    assert_eq!(ids(&all(&f).await), (1..=last).collect::<Vec<_>>());
}

async fn filters_hold_together_and_pages_follow_each_other(f: Fixture) {
    let at = |time: i64, record: NewRecord| NewRecord { time: Timestamp(time), ..record };
    let by = |actor: Actor, record: NewRecord| NewRecord { actor, ..record };
    let refused = NewRecord { outcome: Outcome::Refused, ..disabled("a") };
    write(
        &f,
        &[
            at(1, disabled("a")),
            at(2, disabled("b")),
            at(3, by(Actor::User(user(1).id), disabled("a"))),
            at(4, refused),
        ],
    )
    .await;
    let nothing = AuditFilter::default;
    let cases = [
        (nothing(), vec![1, 2, 3, 4]),
        (AuditFilter { after: 2, ..nothing() }, vec![3, 4]),
        (AuditFilter { since: Some(Timestamp(2)), ..nothing() }, vec![2, 3, 4]),
        (AuditFilter { until: Some(Timestamp(2)), ..nothing() }, vec![1]),
        (AuditFilter { actor: Some("admin".into()), ..nothing() }, vec![1, 2, 4]),
        (AuditFilter { target: Some("a".into()), ..nothing() }, vec![1, 3, 4]),
        (AuditFilter { outcome: Some(Outcome::Refused), ..nothing() }, vec![4]),
        (AuditFilter { target: Some("' OR 1=1 --".into()), ..nothing() }, vec![]),
        (
            AuditFilter {
                since: Some(Timestamp(2)),
                target: Some("a".into()),
                outcome: Some(Outcome::Ok),
                ..nothing()
            },
            vec![3],
        ),
    ];
    for (filter, mut expected) in cases {
        assert_eq!(ids(&f.db.audit().after(&filter, 0, 9).await.expect("lists")), expected, "{filter:?}");
        expected.reverse();
        assert_eq!(ids(&f.db.audit().before(&filter, None, 9).await.expect("lists")), expected, "{filter:?}");
    }
    let pages = f.db.audit();
    assert_eq!(ids(&pages.after(&nothing(), 1, 2).await.expect("lists")), [2, 3]);
    assert_eq!(ids(&pages.before(&nothing(), Some(4), 2).await.expect("lists")), [3, 2]);
    let beyond = pages.after(&nothing(), u64::MAX, 2).await.expect_err("no such number");
    assert!(matches!(beyond, StoreError::Refused(_)), "{beyond:?}");
}

async fn an_action_is_asked_for_with_those_below_it_and_no_other(f: Fixture) {
    write(&f, &Action::ALL.iter().map(|action| NewRecord::done(NOW, admin(), *action)).collect::<Vec<_>>()).await;
    for (asked, expected) in [
        ("client.secret", &["client.secret.delete", "client.secret.rotate"][..]),
        ("client.secret.rotate", &["client.secret.rotate"]),
        ("grant", &["grant.misuse", "grant.revoke"]),
        ("client.sec", &[]),
        ("client%", &[]),
        ("", &[]),
    ] {
        let filter = AuditFilter { action: Some(asked.into()), ..AuditFilter::default() };
        let found = f.db.audit().after(&filter, 0, 99).await.expect("lists");
        let found: BTreeSet<&str> = found.iter().map(|record| record.action.as_str()).collect();
        assert_eq!(found, expected.iter().copied().collect(), "{asked}");
    }
}

async fn what_somebody_chose_is_bounded_and_drives_no_terminal(f: Fixture) {
    let long = "x".repeat(300);
    let record = NewRecord::done(NOW, Actor::Identity("\u{1b}[2J\0\u{202e}é".into()), Action::ClientDisable);
    write(&f, &[record.to(Target::Rpc(long.clone())).with(Detail::Via, long)]).await;
    let read = all(&f).await.remove(0);
    assert_eq!(read.actor.id, "\\u{1b}[2J\\u{0}\\u{202e}é");
    assert_eq!((read.target.expect("one").id.len(), read.details["via"].len()), (255, 255));
}

async fn records_of_a_later_version_are_read(f: Fixture) {
    write(&f, &[disabled("a")]).await;
    f.sql("UPDATE audit_records SET action = 'moon.land', actor_kind = 'robot', target_kind = 'moon'").await;
    assert_eq!(all(&f).await[0].action, "moon.land");
    for nonsense in ["outcome = 'perhaps'", "revision = '7'", "details = '7'"] {
        f.sql("DELETE FROM audit_records").await;
        write(&f, &[disabled("a")]).await;
        f.sql(&format!("UPDATE audit_records SET {nonsense}")).await;
        let error = f.db.audit().after(&AuditFilter::default(), 0, 9).await.expect_err("nonsense");
        assert!(matches!(error, StoreError::Corrupt { table: "audit_records", .. }), "{nonsense}: {error:?}");
    }
}

async fn old_records_are_deleted_a_few_at_a_time(f: Fixture) {
    let at = |time: i64| NewRecord { time: Timestamp(time), ..disabled("a") };
    write(&f, &[at(1), at(2), at(3), at(4)]).await;
    assert_eq!(f.db.cleanup().audit_records(Timestamp(3), 2).await.expect("deletes"), 2);
    assert_eq!(ids(&all(&f).await), [3, 4]);
    assert_eq!(f.db.cleanup().audit_records(Timestamp(3), 2).await.expect("deletes"), 1);
    assert_eq!(f.db.cleanup().audit_records(Timestamp(3), 2).await.expect("deletes"), 0);
    write(&f, &[at(5)]).await;
    assert_eq!(ids(&all(&f).await), [4, 5], "a number is never given twice");
}
