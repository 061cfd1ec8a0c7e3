use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use tessera_types::{Algorithm, ClientId, Epoch, GrantId, KeyState, Timestamp, TokenId};

use super::*;
use crate::event::{ClientState, Event, Fact, KeyFact, Subject};
use crate::wire::samples;

/// Everything a reader can ask about what [`samples`] makes.
#[derive(Debug, PartialEq)]
struct Seen {
    position: Option<Position>,
    revoked: Vec<bool>,
    watermarks: Vec<u64>,
    clients: Vec<Option<(ClientState, u64, u64)>>,
    keys: Vec<KeyEntry>,
    floor: Option<Timestamp>,
    places: Vec<Option<u64>>,
    entries: usize,
}

fn look(replica: &Replica) -> Seen {
    let state = replica.state().expect("something is installed");
    let clients: Vec<ClientId> = ["a", "b", "c", "d"].map(|id| id.parse().expect("a client id")).to_vec();
    let users: [Box<str>; 3] = ["u", "v", "w"].map(Into::into);
    let mut subjects = vec![Subject::Everything];
    subjects.extend(clients.iter().cloned().map(Subject::Client));
    for user in users {
        subjects.extend([Subject::User(user.clone()), Subject::Organization(user.clone())]);
        subjects.extend(clients.iter().cloned().map(|client| Subject::Consent { user: user.clone(), client }));
    }
    let ids = || (0..12_u8).map(|n| [n; 16]);
    let entry = |entry: &ClientEntry| (entry.state.clone(), entry.revision, entry.watermark());
    Seen {
        position: replica.position(),
        revoked: ids()
            .map(|id| state.token_revoked(&TokenId(id)))
            .chain(ids().map(|id| state.grant_revoked(&GrantId(id))))
            .collect(),
        watermarks: subjects.iter().map(|subject| state.watermark(subject)).collect(),
        clients: clients.iter().map(|client| state.client(client).as_deref().map(entry)).collect(),
        keys: state.keys().iter().map(|key| KeyEntry { fact: key.fact.clone(), revision: key.revision }).collect(),
        floor: state.floor(),
        places: (1..5).map(|epoch| state.place_of(Revision { epoch: Epoch(epoch), number: u64::MAX })).collect(),
        entries: state.entries(),
    }
}

/// What remains of a log: the last fact about each thing; where floors or expiries are concerned, the highest.
fn snapshot(entries: &[Entry]) -> Snapshot {
    let mut facts = BTreeMap::new();
    for entry in entries {
        facts.insert(entry.event.about(), Fact { revision: entry.revision, event: entry.event.clone() });
    }
    Snapshot { position: samples::head(1, entries), facts: facts.into_values().collect() }
}

/// Real logs: a token expires when it expires, a floor never falls, and a retired key stays so.
fn realistic(mut events: Vec<Event>) -> Vec<Event> {
    let mut highest = Timestamp(0);
    let mut retired = BTreeSet::new();
    for event in &mut events {
        match event {
            Event::KeyChanged(fact) if retired.contains(&fact.key) => fact.state = KeyState::Retired,
            Event::KeyChanged(fact) if fact.state == KeyState::Retired => drop(retired.insert(fact.key.clone())),
            Event::TokenRevoked { token, expires } => *expires = Timestamp(i64::from(token.0[0]) * 2000),
            Event::GrantRevoked { grant, expires } => *expires = Timestamp(i64::from(grant.0[0]) * 2000),
            Event::ExpiredBefore(floor) => {
                highest = highest.max(*floor);
                *floor = highest;
            }
            _ => {}
        }
    }
    events
}

fn log() -> impl Strategy<Value = Vec<Entry>> {
    vec(samples::event(), 0..60).prop_map(|events| samples::log(&realistic(events)))
}

fn follow(snapshot: Snapshot, deltas: &[Entry]) -> Replica {
    let replica = Replica::new();
    replica.install(snapshot).expect("a whole snapshot");
    replica.apply(deltas).expect("the entries that come next");
    replica
}

fn client(id: &str) -> ClientId {
    id.parse().expect("a client id")
}

fn made(id: &str) -> Event {
    let state = ClientState { enabled: true, audiences: Vec::new(), resources: Vec::new(), owner: None };
    Event::ClientChanged { client: client(id), state: Some(state) }
}

fn token(n: u8, expires: i64) -> Event {
    Event::TokenRevoked { token: TokenId([n; 16]), expires: Timestamp(expires) }
}

proptest! {
    #[test]
    fn a_snapshot_and_the_deltas_after_it_equal_all_deltas(log in log(), at in 0..60_usize) {
        let (before, after) = log.split_at(at.min(log.len()));
        let all = follow(snapshot(&[]), &log);
        let resumed = follow(snapshot(before), after);
        let whole = follow(snapshot(&log), &[]);
        prop_assert_eq!(look(&resumed), look(&all));
        prop_assert_eq!(look(&whole), look(&all));
    }

    #[test]
    fn the_order_of_a_snapshots_facts_says_nothing(log in log(), turn in 0..60_usize) {
        let mut turned = snapshot(&log);
        let by = turn.min(turned.facts.len());
        turned.facts.rotate_left(by);
        prop_assert_eq!(look(&follow(turned, &[])), look(&follow(snapshot(&log), &[])));
    }

    #[test]
    fn a_replica_holds_a_prefix_whatever_it_is_given(log in log(), runs in vec((0..60_usize, 0..6_usize), 0..20)) {
        let replica = follow(snapshot(&[]), &[]);
        let mut applied = 0;
        for (from, length) in runs {
            let run = &log[from.min(log.len())..(from + length).min(log.len())];
            let result = replica.apply(run);
            match run.first() {
                Some(first) if first.revision != applied + 1 => {
                    prop_assert_eq!(result, Err(ApplyError::Gap { expected: applied + 1, found: first.revision }));
                }
                _ => {
                    prop_assert_eq!(result, Ok(()));
                    applied += run.len() as u64;
                }
            }
            let prefix = &log[..usize::try_from(applied).expect("small")];
            prop_assert_eq!(look(&replica), look(&follow(snapshot(&[]), prefix)));
        }
    }

    #[test]
    fn a_replica_never_installs_below_its_own_position(log in log(), own in 0..60_usize, offered in 0..60_usize, epoch in 1..3_u64) {
        let (own, offered) = (own.min(log.len()), offered.min(log.len()));
        let replica = follow(snapshot(&log[..own]), &[]);
        let before = look(&replica);
        let mut offer = snapshot(&log[..offered]);
        offer.position.epoch = Epoch(epoch);
        let position = offer.position;
        let result = replica.install(offer);
        if epoch == 1 && offered < own {
            prop_assert_eq!(result, Err(InstallError::Below { own: own as u64, offered: offered as u64 }));
            prop_assert_eq!(look(&replica), before);
        } else {
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(replica.position(), Some(position));
        }
    }

    #[test]
    fn a_later_snapshot_of_a_rewritten_log_is_never_installed(
        before in log(), lost in 1..4_u8, instead in vec(samples::event(), 4..10),
    ) {
        // Revocations that no floor and no other history answers for.
        let gone = |n: u8| Event::TokenRevoked { token: TokenId([200 + n; 16]), expires: Timestamp(i64::MAX) };
        let history = |after: Vec<Event>| {
            let events = before.iter().map(|entry| entry.event.clone()).chain(after).collect();
            samples::log(&realistic(events))
        };
        let events: Vec<Event> = before.iter().map(|entry| entry.event.clone()).chain((0..lost).map(gone)).collect();
        let replica = follow(snapshot(&samples::log(&events)), &[]);
        let seen = look(&replica);
        let other = history(instead);
        let offered = snapshot(&other);
        let (own, to) = (events.len() as u64, offered.position.revision);
        prop_assert_eq!(replica.install(offered.clone()), Err(InstallError::Rewritten { own, offered: to }));
        prop_assert_eq!(look(&replica), seen);
        let mut restored = offered;
        restored.position.epoch = Epoch(9);
        prop_assert_eq!(replica.install(restored), Ok(()), "a new epoch says that it was restored");
    }

    #[test]
    fn a_rev_of_a_former_log_never_stands_beyond_what_was_restored(former in 2..4_u64, number: u64, before in 0..20_usize) {
        let mut events: Vec<_> = (0..before).map(|_| made("a")).collect();
        events.extend([Event::EpochBegan { former: Epoch(former) }, made("b")]);
        let state = follow(snapshot(&[]), &samples::log(&events)).state().expect("something is installed");
        let place = |epoch| state.place_of(Revision { epoch: Epoch(epoch), number });
        prop_assert_eq!(place(former), Some(number.min(before as u64)));
        prop_assert_eq!(place(1), Some(number), "its own");
        prop_assert_eq!(place(9), None, "of a log that nobody knows");
    }

    /// The issuer deletes them in its own time.
    #[test]
    fn a_snapshot_may_hold_or_lack_what_its_floor_has_forgotten(log in log(), after in 0..60_usize) {
        let (before, after) = log.split_at(after.min(log.len()));
        let whole = snapshot(before);
        let floor = whole.facts.iter().find_map(|fact| match fact.event {
            Event::ExpiredBefore(floor) => Some(floor),
            _ => None,
        });
        let mut swept = whole.clone();
        let line = floor.map(forgotten_before);
        swept.facts.retain(|fact| fact.event.expires().is_none_or(|expires| line.is_none_or(|line| expires >= line)));
        prop_assert_eq!(look(&follow(swept.clone(), &[])), look(&follow(whole.clone(), &[])));
        prop_assert_eq!(look(&follow(swept, after)), look(&follow(whole, after)));
    }

    #[test]
    fn what_is_revoked_stays_revoked(log in log()) {
        let replica = follow(snapshot(&[]), &[]);
        let mut revoked = BTreeMap::new();
        for entry in &log {
            replica.apply(std::slice::from_ref(entry)).expect("the entry is next");
            if let Event::TokenRevoked { token, expires } = &entry.event {
                revoked.insert(*token, *expires);
            }
            let state = replica.state().expect("something is installed");
            for (token, expires) in &revoked {
                prop_assert!(state.is_revoked(token, None, *expires));
            }
        }
    }
}

#[test]
fn a_replica_knows_nothing_before_a_snapshot() {
    let replica = Replica::new();
    assert!(replica.state().is_none() && replica.position().is_none());
    assert_eq!(replica.apply(&samples::log(&[token(1, 1)])), Err(ApplyError::Empty));
    assert!(!replica.has_applied(Revision { epoch: Epoch(0), number: 0 }));
}

#[test]
fn a_run_with_a_gap_inside_is_not_applied_in_part() {
    let replica = follow(snapshot(&[]), &[]);
    let mut log = samples::log(&[token(1, 1), token(2, 1), token(3, 1)]);
    log.remove(1);
    assert_eq!(replica.apply(&log), Err(ApplyError::Gap { expected: 2, found: 3 }));
    let state = replica.state().expect("something is installed");
    assert!(!state.token_revoked(&TokenId([1; 16])) && state.applied() == 0);
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    let at = |revision| Fact { revision, event: token(1, 1) };
    let offer = |facts: Vec<Fact>| {
        let position = Position { epoch: Epoch(1), revision: 5, hash: [0; 32] };
        Replica::new().install(Snapshot { position, facts })
    };
    assert_eq!(offer(vec![at(5), at(1)]), Ok(()));
    assert_eq!(offer(vec![at(6)]), Err(InstallError::Misplaced(6)));
    assert_eq!(offer(vec![at(0)]), Err(InstallError::Misplaced(0)));
    assert_eq!(offer(vec![at(3), at(3)]), Err(InstallError::Misplaced(3)));
}

#[test]
fn a_snapshot_of_another_log_replaces_everything() {
    let replica = follow(snapshot(&[]), &samples::log(&[token(1, i64::MAX), made("a")]));
    let position = Position { epoch: Epoch(9), revision: 0, hash: [0; 32] };
    replica.install(Snapshot { position, facts: Vec::new() }).expect("another log may stand lower");
    let state = replica.state().expect("something is installed");
    assert_eq!((state.epoch(), state.entries()), (Epoch(9), 0));
}

#[test]
fn a_client_made_anew_keeps_the_watermark_of_the_one_before() {
    let events = [
        made("a"),
        Event::ClientChanged { client: client("a"), state: None },
        Event::WatermarkRaised(Subject::Client(client("a"))),
        made("a"),
    ];
    let log = samples::log(&events);
    for replica in [follow(snapshot(&[]), &log), follow(snapshot(&log), &[])] {
        let state = replica.state().expect("something is installed");
        assert_eq!(state.client(&client("a")).expect("it was made anew").watermark(), 3);
        assert_eq!(state.client_watermark(&client("a")), 3);
    }
    let deleted = follow(snapshot(&[]), &log[..3]).state().expect("something is installed");
    assert!(deleted.client(&client("a")).is_none());
    assert_eq!(deleted.watermark(&Subject::Client(client("a"))), 3);
}

#[test]
fn a_raised_floor_forgets_whole_hours_and_what_comes_late_for_them() {
    let replica = follow(
        snapshot(&[]),
        &samples::log(&[
            token(1, 3599),
            token(2, 3600),
            Event::ExpiredBefore(Timestamp(3700)),
            token(3, 10),
            Event::ExpiredBefore(Timestamp(5)),
        ]),
    );
    let state = replica.state().expect("something is installed");
    assert_eq!(state.floor(), Some(Timestamp(3700)), "a floor never falls");
    let kept: Vec<_> = (1..=3).filter(|n| state.token_revoked(&TokenId([*n; 16]))).collect();
    assert_eq!(kept, [2]);
    for (n, expires) in [(1, 3599), (2, 3600), (3, 10)] {
        assert!(state.is_revoked(&TokenId([n; 16]), None, Timestamp(expires)));
    }
    assert!(!state.is_revoked(&TokenId([9; 16]), None, Timestamp(3700)));
}

#[test]
fn a_revocation_that_was_renewed_with_a_later_expiry_lasts() {
    let replica =
        follow(snapshot(&[]), &samples::log(&[token(1, 10), token(1, 9000), Event::ExpiredBefore(Timestamp(4000))]));
    assert!(replica.state().expect("something is installed").token_revoked(&TokenId([1; 16])));
}

#[test]
fn a_revoked_grant_kills_its_tokens() {
    let grant = GrantId([4; 16]);
    let event = Event::GrantRevoked { grant, expires: Timestamp(9000) };
    let state = follow(snapshot(&[]), &samples::log(&[event])).state().expect("something is installed");
    assert!(state.is_revoked(&TokenId([1; 16]), Some(&grant), Timestamp(9000)));
    assert!(!state.is_revoked(&TokenId([1; 16]), Some(&GrantId([5; 16])), Timestamp(9000)));
    assert!(!state.is_revoked(&TokenId([1; 16]), None, Timestamp(9000)));
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_wait_for_what_is_applied_is_over_at_once() {
    let replica = follow(snapshot(&[]), &samples::log(&[token(1, 1)]));
    for number in [0, 1] {
        let wait = pin!(replica.wait_for(Revision { epoch: Epoch(1), number }));
        assert!(poll_once(wait).is_ready());
    }
}

#[test]
fn a_wait_ends_when_the_revision_is_applied_and_not_before() {
    let replica = Replica::new();
    let mut wait = pin!(replica.wait_for(Revision { epoch: Epoch(1), number: 2 }));
    assert!(poll_once(wait.as_mut()).is_pending());
    replica.install(snapshot(&[])).expect("an empty snapshot");
    let log = samples::log(&[token(1, 1), token(2, 1)]);
    replica.apply(&log[..1]).expect("the entry is next");
    assert!(poll_once(wait.as_mut()).is_pending());
    replica.apply(&log[1..]).expect("the entry is next");
    assert!(poll_once(wait.as_mut()).is_ready());
}

/// After a restore that nobody spoke of the other log may be the one that changed the key last.
#[test]
fn a_snapshot_in_which_a_retired_key_is_accepted_again_is_never_installed() {
    let key = |state| {
        let (key, public_jwk) = ("k".parse().expect("an id"), "{}".into());
        Event::KeyChanged(KeyFact { key, algorithm: Algorithm::EdDsa, public_jwk, state })
    };
    let replica = follow(snapshot(&[]), &samples::log(&[key(KeyState::Retiring), key(KeyState::Retired)]));
    let other = samples::log(&[key(KeyState::Retiring), made("a"), key(KeyState::Active)]);
    assert_eq!(replica.install(snapshot(&other)), Err(InstallError::Rewritten { own: 2, offered: 3 }));
}

#[test]
fn a_wait_for_another_log_does_not_end() {
    let replica = follow(snapshot(&[]), &samples::log(&[token(1, 1)]));
    let mut wait = pin!(replica.wait_for(Revision { epoch: Epoch(2), number: 1 }));
    assert!(poll_once(wait.as_mut()).is_pending());
    let position = Position { epoch: Epoch(2), revision: 1, hash: [0; 32] };
    replica.install(Snapshot { position, facts: Vec::new() }).expect("another log");
    assert!(poll_once(wait.as_mut()).is_ready());
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let replica = follow(snapshot(&[]), &[]);
    let mut wait = Box::pin(replica.wait_for(Revision { epoch: Epoch(1), number: 1 }));
    assert!(poll_once(wait.as_mut()).is_pending());
    drop(wait);
    assert_eq!(replica.shared.position.receiver_count(), 0);
    replica.apply(&samples::log(&[token(1, 1)])).expect("the entry is next");
}
