//! Readers against a writer: what `applied` promises must be visible.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tessera_types::{Epoch, GrantId, Timestamp, TokenId};

use super::*;
use crate::event::{Event, Subject};

const EVENTS: u64 = 60_000;

fn id(revision: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&revision.to_be_bytes());
    id
}

fn empty(epoch: u64) -> Snapshot {
    Snapshot { position: Position { epoch: Epoch(epoch), revision: 0, hash: [0; 32] }, facts: Vec::new() }
}

fn entry(revision: u64, event: Event) -> Entry {
    Entry { revision, hash: [0; 32], event }
}

/// Lets readers run beside the writer, from before its first to after its last entry.
fn race(write: impl FnOnce() + Send, read: impl Fn() + Sync) {
    let done = AtomicBool::new(false);
    let ready = std::sync::Barrier::new(3);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                ready.wait();
                while !done.load(Ordering::Acquire) {
                    read();
                }
                read();
            });
        }
        scope.spawn(|| {
            ready.wait();
            write();
            done.store(true, Ordering::Release);
        });
    });
}

/// Fails if `applied` rises before the entry is visible.
#[test]
fn what_applied_promises_is_visible() {
    let replica = Replica::new();
    replica.install(empty(1)).expect("an empty snapshot");
    let write = || {
        for revision in 1..=EVENTS {
            let event = match revision % 3 {
                0 => Event::TokenRevoked { token: TokenId(id(revision)), expires: Timestamp(i64::MAX) },
                1 => Event::GrantRevoked { grant: GrantId(id(revision)), expires: Timestamp(i64::MAX) },
                _ => Event::WatermarkRaised(Subject::User(revision.to_string().into())),
            };
            replica.apply(&[entry(revision, event)]).expect("the entry is next");
        }
    };
    race(write, || {
        let state = replica.state().expect("something is installed");
        let applied = state.applied();
        for revision in applied.saturating_sub(3).max(1)..=applied {
            match revision % 3 {
                0 => assert!(state.token_revoked(&TokenId(id(revision))), "{revision} of {applied}"),
                1 => assert!(state.grant_revoked(&GrantId(id(revision))), "{revision} of {applied}"),
                _ => assert_eq!(state.user_watermark(&revision.to_string()), revision, "of {applied}"),
            }
        }
    });
}

/// Fails if the position that waiters and the ack go by is ahead of what readers see, or a snapshot takes anything back.
#[test]
fn a_watched_position_is_visible_through_snapshots() {
    let replica = Replica::new();
    replica.install(empty(1)).expect("an empty snapshot");
    let revoked = |revision| Event::TokenRevoked { token: TokenId(id(revision)), expires: Timestamp(i64::MAX) };
    let write = || {
        let mut facts = Vec::new();
        for revision in 1..=2_000 {
            facts.push(crate::event::Fact { revision, event: revoked(revision) });
            if revision % 100 == 0 {
                let position = Position { epoch: Epoch(1), revision, hash: [0; 32] };
                replica.install(Snapshot { position, facts: facts.clone() }).expect("above the replica");
            } else {
                replica.apply(&[entry(revision, revoked(revision))]).expect("the entry is next");
            }
        }
    };
    race(write, || {
        let position = replica.position().expect("something is installed");
        let state = replica.state().expect("something is installed");
        assert!(state.applied() >= position.revision);
        assert!(position.revision == 0 || state.token_revoked(&TokenId(id(position.revision))));
    });
}

/// Fails if a revocation is forgotten before the floor that answers for it is seen.
#[test]
fn a_revoked_token_stays_revoked_while_the_floor_rises() {
    let replica = Replica::new();
    replica.install(empty(1)).expect("an empty snapshot");
    let hour = |n: u64| Timestamp(i64::try_from(n).expect("small") * 3600);
    let write = || {
        for n in 1..=EVENTS / 2 {
            let token = Event::TokenRevoked { token: TokenId(id(n)), expires: hour(n) };
            let floor = Event::ExpiredBefore(hour(n).plus(std::time::Duration::from_hours(1)));
            replica.apply(&[entry(2 * n - 1, token)]).expect("the entry is next");
            replica.apply(&[entry(2 * n, floor)]).expect("the entry is next");
        }
    };
    race(write, || {
        let state = replica.state().expect("something is installed");
        let n = state.applied().div_ceil(2);
        if n > 0 {
            assert!(state.is_revoked(&TokenId(id(n)), None, hour(n)), "token {n}");
        }
    });
    let state = replica.state().expect("something is installed");
    assert_eq!(state.entries(), 1, "only the floor is left");
}
