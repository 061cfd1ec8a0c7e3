use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const FAR: Duration = Duration::from_hours(1);

fn id(n: u8) -> ReplicaId {
    ReplicaId([n; 16])
}

fn released(waiters: &[WaiterId]) -> Settled {
    Settled { released: waiters.to_vec(), timed_out: Vec::new() }
}

#[test]
fn without_holders_a_wait_is_released_at_once() {
    let mut barrier = Barrier::new();
    let waiter = barrier.wait(7, FAR);
    assert_eq!(barrier.poll(Duration::ZERO), released(&[waiter]));
}

#[test]
fn the_last_holders_ack_releases() {
    let mut barrier = Barrier::new();
    let (a, b) = (barrier.join(id(1), 0, SECOND), barrier.join(id(2), 0, SECOND));
    let waiter = barrier.wait(5, FAR);
    barrier.ack(&a, 9);
    assert_eq!(barrier.poll(SECOND), Settled::default());
    barrier.ack(&b, 4);
    assert_eq!(barrier.poll(SECOND), Settled::default());
    barrier.ack(&b, 5);
    assert_eq!(barrier.poll(SECOND), released(&[waiter]));
    assert_eq!(barrier.poll(FAR), Settled::default(), "told once");
}

#[test]
fn a_holder_that_joins_during_a_wait_is_waited_for() {
    let mut barrier = Barrier::new();
    let a = barrier.join(id(1), 0, SECOND);
    let waiter = barrier.wait(5, FAR);
    let b = barrier.join(id(2), 4, SECOND);
    barrier.ack(&a, 5);
    assert_eq!(barrier.poll(SECOND), Settled::default());
    barrier.ack(&b, 5);
    assert_eq!(barrier.poll(SECOND), released(&[waiter]));
}

#[test]
fn a_lost_holder_counts_as_long_as_it_may_answer() {
    let mut barrier = Barrier::new();
    let a = barrier.join(id(1), 0, 4 * SECOND);
    let waiter = barrier.wait(1, FAR);
    barrier.lose(&a, SECOND);
    assert_eq!(barrier.next_timeout(), Some(7 * SECOND), "4 s, a quarter more and the guard after the loss");
    assert_eq!(barrier.poll(Duration::from_nanos(6_999_999_999)), Settled::default());
    assert_eq!(barrier.poll(7 * SECOND), released(&[waiter]));
    assert_eq!(barrier.holders(), 0);
}

#[test]
fn losing_a_holder_twice_does_not_prolong_it() {
    let mut barrier = Barrier::new();
    let a = barrier.join(id(1), 0, 4 * SECOND);
    let waiter = barrier.wait(1, FAR);
    barrier.lose(&a, SECOND);
    barrier.lose(&a, 5 * SECOND);
    assert_eq!(barrier.poll(7 * SECOND), released(&[waiter]));
}

#[test]
fn a_holder_that_said_goodbye_counts_no_more() {
    let mut barrier = Barrier::new();
    let a = barrier.join(id(1), 0, SECOND);
    let waiter = barrier.wait(1, FAR);
    barrier.leave(&a);
    assert_eq!(barrier.poll(Duration::ZERO), released(&[waiter]));
}

#[test]
fn a_holder_that_comes_back_counts_from_what_it_then_holds() {
    let mut barrier = Barrier::new();
    let old = barrier.join(id(1), 8, SECOND);
    barrier.lose(&old, SECOND);
    let new = barrier.join(id(1), 0, SECOND);
    let waiter = barrier.wait(5, FAR);
    // What the old stream still says is of a state that may be replaced by now.
    barrier.ack(&old, 9);
    barrier.lose(&old, SECOND);
    barrier.leave(&old);
    assert_eq!(barrier.poll(FAR / 2), Settled::default());
    barrier.ack(&new, 5);
    assert_eq!(barrier.poll(FAR / 2), released(&[waiter]));
}

#[test]
fn a_wait_times_out_at_its_deadline_and_not_before() {
    let mut barrier = Barrier::new();
    let a = barrier.join(id(1), 0, SECOND);
    let late = barrier.wait(1, 3 * SECOND);
    let soon = barrier.wait(2, 2 * SECOND);
    assert_eq!(barrier.next_timeout(), Some(2 * SECOND));
    assert_eq!(barrier.poll(SECOND), Settled::default());
    assert_eq!(barrier.poll(2 * SECOND).timed_out, [soon]);
    barrier.ack(&a, 1);
    assert_eq!(barrier.poll(3 * SECOND), released(&[late]), "confirmed just in time");
    assert_eq!(barrier.next_timeout(), None);
}

#[test]
fn a_cancelled_wait_is_told_nothing() {
    let mut barrier = Barrier::new();
    let waiter = barrier.wait(1, SECOND);
    barrier.cancel(waiter);
    assert_eq!(barrier.poll(FAR), Settled::default());
    assert_eq!((barrier.waiters(), barrier.next_timeout()), (0, None));
}

#[test]
fn a_holder_that_never_goes_stale_counts_for_ever_after_a_loss() {
    let mut barrier = Barrier::new();
    let own = barrier.join(id(1), 0, Duration::MAX);
    barrier.wait(1, Duration::MAX);
    barrier.lose(&own, SECOND);
    assert_eq!(barrier.poll(FAR), Settled::default());
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8, u64),
    Ack(u8, u64),
    Leave(u8),
    Lose(u8),
    Wait(u64, u64),
    Cancel(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let holder = || 0..4_u8;
    prop_oneof![
        2 => (holder(), 0..4_u64).prop_map(|(holder, acked)| Step::Join(holder, acked)),
        6 => (holder(), 0..12_u64).prop_map(|(holder, revision)| Step::Ack(holder, revision)),
        1 => holder().prop_map(Step::Leave),
        2 => holder().prop_map(Step::Lose),
        5 => (1..12_u64, 1..8_u64).prop_map(|(revision, wait)| Step::Wait(revision, wait)),
        1 => (0..8_usize).prop_map(Step::Cancel),
        3 => (1..4_u64).prop_map(Step::Pass),
    ]
}

/// The rules, written naively: a holder is what it acknowledged and until when it counts.
#[derive(Default)]
struct Model {
    now: u64,
    holders: BTreeMap<u8, (u64, Option<u64>)>,
    waiters: BTreeMap<WaiterId, (u64, u64)>,
}

impl Model {
    /// Four seconds of staleness, a quarter of that and the guard.
    const COUNTS_FOR: u64 = 6;

    fn may_release(&self, revision: u64) -> bool {
        let counting = self.holders.values().filter(|(_, until)| until.is_none_or(|until| self.now < until));
        counting.into_iter().all(|(acked, _)| *acked >= revision)
    }
}

proptest! {
    #[test]
    fn a_wait_ends_exactly_when_every_holder_confirmed_or_its_time_is_over(steps in vec(step(), 1..80)) {
        let (mut barrier, mut model) = (Barrier::new(), Model::default());
        let mut memberships = BTreeMap::new();
        for step in steps {
            match step {
                Step::Join(n, acked) => {
                    memberships.insert(n, barrier.join(id(n), acked, 4 * SECOND));
                    model.holders.insert(n, (acked, None));
                }
                Step::Ack(n, revision) => if let Some(membership) = memberships.get(&n) {
                    barrier.ack(membership, revision);
                    model.holders.entry(n).and_modify(|(acked, _)| *acked = revision.max(*acked));
                },
                Step::Leave(n) => if let Some(membership) = memberships.get(&n) {
                    barrier.leave(membership);
                    model.holders.remove(&n);
                },
                Step::Lose(n) => if let Some(membership) = memberships.get(&n) {
                    barrier.lose(membership, Duration::from_secs(model.now));
                    let until = model.now + Model::COUNTS_FOR;
                    model.holders.entry(n).and_modify(|(_, gone)| *gone = gone.or(Some(until)));
                },
                Step::Wait(revision, wait) => {
                    let waiter = barrier.wait(revision, Duration::from_secs(model.now + wait));
                    model.waiters.insert(waiter, (revision, model.now + wait));
                }
                Step::Cancel(n) => if let Some(waiter) = model.waiters.keys().nth(n).copied() {
                    barrier.cancel(waiter);
                    model.waiters.remove(&waiter);
                },
                Step::Pass(seconds) => model.now += seconds,
            }
            let now = model.now;
            model.holders.retain(|_, (_, until)| until.is_none_or(|until| now < until));
            let settled = barrier.poll(Duration::from_secs(now));
            for waiter in settled.released {
                let (revision, _) = model.waiters.remove(&waiter).expect("released once, and only if it waited");
                prop_assert!(model.may_release(revision));
            }
            for waiter in settled.timed_out {
                let (revision, deadline) = model.waiters.remove(&waiter).expect("timed out once, and only if it waited");
                prop_assert!(deadline <= now && !model.may_release(revision));
            }
            for (revision, deadline) in model.waiters.values() {
                prop_assert!(now < *deadline && !model.may_release(*revision), "nobody waits without need");
            }
            let next = barrier.next_timeout();
            prop_assert_eq!(next.is_some(), !model.waiters.is_empty());
            prop_assert!(next.is_none_or(|next| next > Duration::from_secs(now)));
        }
    }
}
