use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tessera_ledger::event::{ClientState, Event, KeyFact, Subject};
use tessera_ledger::{chain, wire};
use tessera_store::{Database, DatabaseOptions, StoreError, Tail};
use tessera_types::{Algorithm, Epoch, GrantId, KeyState, Timestamp};

use crate::harness::{EPOCH, Fixture, on_both, token, watermark};

on_both!(ready:
    revisions_have_no_gap_and_follow_the_commits,
    a_follower_misses_nothing_while_writers_run,
    a_snapshot_is_of_one_moment_while_writers_run,
    every_kind_of_event_reads_back_as_written,
    the_hash_chain_verifies_from_the_beginning,
    a_repeated_fact_stands_at_its_higher_revision,
    many_events_fit_one_commit,
    a_rising_floor_deletes_nothing_by_itself,
    compaction_leaves_the_facts_and_says_so,
    a_place_at_or_ahead_of_the_head_has_no_entries_after_it,
    the_head_survives_reopening_and_keeps_its_epoch,
    watchers_wake_when_the_head_rises,
);

const WRITERS: u64 = 8;
const ROUNDS: u64 = 12;

/// Writers that each commit transactions of one to three events; every fourth transaction rolls back.
async fn run_writers(f: &Fixture) -> Vec<(u64, Event)> {
    let writers = (0..WRITERS).map(|writer| {
        let db = f.db.clone();
        tokio::spawn(async move {
            let mut written = Vec::new();
            for round in 0..ROUNDS {
                let events: Vec<_> = (0..=round % 3).map(|n| token(writer * 1000 + round * 10 + n)).collect();
                let mut tx = db.begin().await.expect("begins");
                for event in &events {
                    tx.record(event.clone());
                }
                if round % 4 == 3 {
                    tx.rollback().await.expect("rolls back");
                    continue;
                }
                let before = db.log().head().await.expect("reads").revision;
                let committed = tx.commit().await.expect("commits");
                assert!(committed.recorded.iter().all(|revision| *revision > before), "after what was there before it");
                let head = db.log().head().await.expect("reads");
                assert!(head.revision >= committed.position.revision, "visible to who asks after the commit");
                assert_eq!(committed.first, committed.recorded.first().copied());
                written.extend(committed.recorded.into_iter().zip(events));
            }
            written
        })
    });
    let mut all = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        all.extend(writer.await.expect("runs"));
    }
    all
}

async fn revisions_have_no_gap_and_follow_the_commits(f: Fixture) {
    let mut written = run_writers(&f).await;
    written.sort_by_key(|(revision, _)| *revision);
    let entries = f.entries().await;
    let stored: Vec<_> = entries.into_iter().map(|entry| (entry.revision, entry.event)).collect();
    assert_eq!(stored, written);
    assert!((1..).zip(&stored).all(|(expected, (revision, _))| expected == *revision), "a gap");
    assert_eq!(f.db.log().head().await.expect("reads").revision, stored.len() as u64);
}

/// Were commits out of the order of their revisions, a follower would pass by one that is still to come.
async fn a_follower_misses_nothing_while_writers_run(f: Fixture) {
    let mut head = f.db.head_watch();
    let expected = run_writers(&f);
    let db = f.db.clone();
    let follower = tokio::spawn(async move {
        let (mut applied, mut seen) = (0, Vec::new());
        // Until the sentinel, which comes after every writer has ended.
        loop {
            let Tail::Entries(entries) = db.log().after(applied, 7).await.expect("reads") else { panic!("compacted") };
            for entry in entries {
                assert_eq!(entry.revision, applied + 1);
                applied = entry.revision;
                if entry.event == watermark("end") {
                    return seen;
                }
                seen.push((entry.revision, entry.event));
            }
            if *head.borrow_and_update() <= applied {
                head.changed().await.expect("the database lives");
            }
        }
    });
    let mut written = expected.await;
    f.append(&[watermark("end")]).await;
    written.sort_by_key(|(revision, _)| *revision);
    assert_eq!(follower.await.expect("runs"), written);
}

async fn a_snapshot_is_of_one_moment_while_writers_run(f: Fixture) {
    let done = Arc::new(AtomicU64::new(0));
    let reader = tokio::spawn({
        let (db, done) = (f.db.clone(), done.clone());
        async move {
            let mut positions = BTreeSet::new();
            while done.load(Ordering::Acquire) == 0 {
                let snapshot = db.log().snapshot().await.expect("reads");
                // Every event is about a thing of its own, so each revision up to the head has exactly one fact.
                let revisions: Vec<_> = snapshot.facts.iter().map(|fact| fact.revision).collect();
                assert_eq!(revisions, (1..=snapshot.position.revision).collect::<Vec<_>>());
                let hash = db.log().hash_at(snapshot.position.revision).await.expect("reads");
                assert_eq!(hash, Some(snapshot.position.hash), "the hash is of the same moment");
                positions.insert(snapshot.position.revision);
            }
            positions.len()
        }
    });
    run_writers(&f).await;
    done.store(1, Ordering::Release);
    let snapshots = reader.await.expect("runs");
    assert!(snapshots > 1, "the reader never met the writers");
}

fn every_kind() -> Vec<Event> {
    let client: tessera_types::ClientId = "demo-service".parse().expect("a client id");
    let audience = || vec!["demo-resource".parse().expect("an audience")];
    let state = ClientState { enabled: true, audiences: audience(), resources: vec![], owner: None };
    let key = KeyFact {
        key: "kid".parse().expect("a key id"),
        algorithm: Algorithm::EdDsa,
        public_jwk: r#"{"kty":"OKP"}"#.into(),
        state: KeyState::Active,
    };
    vec![
        token(1),
        Event::GrantRevoked { grant: GrantId([9; 16]), expires: Timestamp(2_000_000_000) },
        Event::WatermarkRaised(Subject::Client(client.clone())),
        watermark("ada"),
        Event::WatermarkRaised(Subject::Organization("acme".into())),
        Event::WatermarkRaised(Subject::Consent { user: "ada".into(), client: client.clone() }),
        Event::WatermarkRaised(Subject::Everything),
        Event::ClientChanged { client: client.clone(), state: Some(state) },
        Event::ClientChanged { client: "other".parse().expect("a client id"), state: None },
        Event::KeyChanged(key),
        Event::ExpiredBefore(Timestamp(1_000)),
    ]
}

async fn every_kind_of_event_reads_back_as_written(f: Fixture) {
    let events = every_kind();
    f.append(&events).await;
    let entries: Vec<_> = f.entries().await.into_iter().map(|entry| entry.event).collect();
    assert_eq!(entries, events);
    let facts: Vec<_> = f.db.log().snapshot().await.expect("reads").facts.into_iter().map(|fact| fact.event).collect();
    assert_eq!(facts, events);
    for event in &events {
        let fact = f.db.log().fact(&event.about()).await.expect("reads").expect("is there");
        assert_eq!(&fact.event, event);
    }
    assert_eq!(f.db.log().fact("token:none").await.expect("reads"), None);
}

async fn the_hash_chain_verifies_from_the_beginning(f: Fixture) {
    f.append(&every_kind()).await;
    run_writers(&f).await;
    let mut hash = chain::START;
    assert_eq!(f.db.log().hash_at(0).await.expect("reads"), Some(hash));
    for entry in f.entries().await {
        hash = chain::next(&hash, entry.revision, &wire::encode_event(&entry.event));
        assert_eq!(entry.hash, hash, "at {}", entry.revision);
        assert_eq!(f.db.log().hash_at(entry.revision).await.expect("reads"), Some(hash));
    }
    let head = f.db.log().head().await.expect("reads");
    assert_eq!(head.hash, hash);
    assert_eq!(f.db.log().hash_at(head.revision + 1).await.expect("reads"), None);
}

async fn a_repeated_fact_stands_at_its_higher_revision(f: Fixture) {
    f.append(&[token(1), watermark("ada")]).await;
    f.append(&[watermark("bob"), watermark("ada")]).await;
    // Twice in one commit: the last one counts.
    let committed = f.append(&[token(1), token(2), token(1)]).await;
    assert_eq!(committed.recorded, [5, 6, 7]);
    let facts = f.db.log().snapshot().await.expect("reads").facts;
    let facts: Vec<_> = facts.into_iter().map(|fact| (fact.revision, fact.event)).collect();
    assert_eq!(facts, [(3, watermark("bob")), (4, watermark("ada")), (6, token(2)), (7, token(1))]);
    assert_eq!(f.entries().await.len(), 7, "the log itself keeps them all");
}

async fn many_events_fit_one_commit(f: Fixture) {
    let events: Vec<_> = (0..2500).map(token).collect();
    let committed = f.append(&events).await;
    assert_eq!(committed.position.revision, 2500);
    let stored: Vec<_> = f.entries().await.into_iter().map(|entry| entry.event).collect();
    assert!(stored == events, "every one, in its order");
    assert_eq!(f.db.log().snapshot().await.expect("reads").facts.len(), 2500);
}

/// With a million revocations below it, the deletion would hold the head's row for seconds.
async fn a_rising_floor_deletes_nothing_by_itself(f: Fixture) {
    let expiring = |number: u8, at| Event::GrantRevoked { grant: GrantId([number; 16]), expires: Timestamp(at) };
    assert_eq!(f.db.log().floor().await.expect("reads"), None);
    let floor = Event::ExpiredBefore(Timestamp(8000));
    let events = [expiring(1, 99), expiring(2, 9000), watermark("ada"), floor.clone()];
    f.append(&events).await;
    let facts: Vec<_> = f.db.log().snapshot().await.expect("reads").facts.into_iter().map(|fact| fact.event).collect();
    assert_eq!(facts, events);
    assert_eq!(f.db.log().floor().await.expect("reads"), Some((4, Timestamp(8000))));
    for (from, first) in [(0, Some(99)), (99, Some(99)), (100, Some(9000)), (9001, None)] {
        let found = f.db.log().first_expiry(Timestamp(from)).await.expect("reads");
        assert_eq!(found, first.map(Timestamp), "from {from}");
    }
}

async fn compaction_leaves_the_facts_and_says_so(f: Fixture) {
    for number in 0..6 {
        f.append(&[token(number)]).await;
    }
    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.compact(4).await.expect("compacts"), 4);
    tx.commit().await.expect("commits");
    for gone in [0, 3] {
        assert_eq!(f.db.log().after(gone, 10).await.expect("reads"), Tail::Compacted, "after {gone}");
    }
    let Tail::Entries(rest) = f.db.log().after(4, 10).await.expect("reads") else { panic!("compacted too much") };
    assert_eq!(rest.iter().map(|entry| entry.revision).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(f.db.log().hash_at(4).await.expect("reads"), None);
    assert_eq!(f.db.log().snapshot().await.expect("reads").facts.len(), 6);

    let tx = f.db.begin().await.expect("begins");
    assert_eq!(tx.compact(u64::MAX - 1).await.expect("compacts"), 2, "never beyond the head");
    tx.commit().await.expect("commits");
    let head = f.db.log().head().await.expect("reads");
    assert_eq!((head.revision, f.db.log().hash_at(6).await.expect("reads")), (6, Some(head.hash)));
    assert_eq!(f.db.log().after(5, 10).await.expect("reads"), Tail::Compacted);
    assert_eq!(f.db.log().after(6, 10).await.expect("reads"), Tail::Entries(vec![]));
    assert_eq!(f.append(&[token(7)]).await.recorded, [7], "the log goes on where it was");
}

async fn a_place_at_or_ahead_of_the_head_has_no_entries_after_it(f: Fixture) {
    f.append(&[token(1)]).await;
    for place in [1, 2, 1000] {
        assert_eq!(f.db.log().after(place, 10).await.expect("reads"), Tail::Entries(vec![]), "after {place}");
    }
    assert!(matches!(f.db.log().after(u64::MAX, 10).await, Err(StoreError::Refused(_))));
}

async fn the_head_survives_reopening_and_keeps_its_epoch(f: Fixture) {
    let committed = f.append(&[token(1), token(2)]).await;
    f.db.close().await;
    let again = Database::connect(&DatabaseOptions::new(&f.url)).await.expect("connects");
    let head = again.initialize(Epoch(7)).await.expect("initialises");
    assert_eq!(head, committed.position);
    assert_eq!(head.epoch, EPOCH, "the first one stays");
    assert_eq!(*again.head_watch().borrow(), 2);
}

async fn watchers_wake_when_the_head_rises(f: Fixture) {
    let mut watch = f.db.head_watch();
    let other = Database::connect(&DatabaseOptions::new(&f.url)).await.expect("connects");
    f.append(&[token(1)]).await;
    assert_eq!(*watch.wait_for(|head| *head >= 1).await.expect("lives"), 1);

    let mut tx = other.begin().await.expect("begins");
    tx.record(token(2));
    tx.commit().await.expect("commits");
    assert!(!watch.has_changed().expect("lives"), "another process's commit does not wake by itself");
    assert_eq!(f.db.refresh_head().await.expect("reads").revision, 2);
    assert_eq!(*watch.borrow_and_update(), 2);
    f.db.refresh_head().await.expect("reads");
    assert!(!watch.has_changed().expect("lives"), "nothing rose");
}
