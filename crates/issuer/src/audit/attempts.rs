//! What was refused: failed logins, clients that did not authenticate, administrative calls that were turned away.
//!
//! Anybody may fail as often as they like, so a failure costs neither a write nor a wait in the request that failed. It is noted in
//! memory and written within a second. The first of a kind (who, what, to whom, why, from which network) is a record of its own; what
//! repeats it within a minute becomes one more record, with how often, when that minute is over. So one failure is never lost among many
//! of another kind; an issuer that is killed loses a second of first ones, and a minute of how often they were repeated.
//!
//! Threats: a flood of failures that fills the database, or keeps others from writing on SQLite's one writer (at most 1000 kinds a
//! minute, two records each, a batch in a transaction); one that fills the memory (the same bound); one that hides a failure (what has
//! no room is counted, in `tessera_audit_dropped_total` and in a record of its own).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;
use metrics::Counter;
use tessera_store::{Action, Actor, Database, NewRecord, StoreError, Target};
use tessera_types::Timestamp;
use tessera_types::error::chain;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How long what repeats a failure is one record with others.
const TOGETHER: Duration = Duration::from_mins(1);

/// How many kinds of failures are told apart at once, and how many records may wait to be written.
const MOST: usize = 1000;

/// How often what waits is written.
const EVERY: Duration = Duration::from_secs(1);

/// How many records one transaction writes.
const BATCH: usize = 200;

/// Failures that are not written yet.
pub struct Attempts {
    state: Mutex<State>,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    kinds: HashMap<Kind, Open>,
    waiting: Vec<NewRecord>,
    dropped: u64,
}

/// What makes failures the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    actor: Actor,
    action: Action,
    target: Option<Target>,
    reason: Option<&'static str>,
    network: Option<IpAddr>,
}

/// A kind that has occurred.
struct Open {
    /// When its minute is over, on the monotonic clock.
    until: Duration,
    /// What came after the first, together.
    repeated: Option<NewRecord>,
}

impl Attempts {
    /// Knows of nothing yet.
    #[must_use]
    pub fn new(dropped: Counter) -> Self {
        Self { state: Mutex::default(), dropped }
    }

    /// Notes a failure.
    pub(crate) fn note(&self, record: NewRecord, now: Duration) {
        let kept = self.state().note(record, now);
        if !kept {
            self.dropped.increment(1);
        }
    }

    /// Writes what waits; with `all`, also what might still be repeated. What cannot be written goes on waiting.
    pub(crate) async fn write(
        &self,
        store: &Database,
        time: Timestamp,
        now: Duration,
        all: bool,
    ) -> Result<(), StoreError> {
        loop {
            let batch = self.state().take(time, now, all);
            if batch.is_empty() {
                return Ok(());
            }
            if let Err(error) = write(store, &batch).await {
                let lost = self.state().put_back(batch);
                self.dropped.increment(lost);
                return Err(error);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there was room.
    fn note(&mut self, record: NewRecord, now: Duration) -> bool {
        let kind = Kind::of(&record);
        match self.kinds.get_mut(&kind) {
            Some(open) if now < open.until => {
                match &mut open.repeated {
                    Some(repeated) => repeated.count = repeated.count.saturating_add(record.count),
                    None => open.repeated = Some(record),
                }
                return true;
            }
            Some(open) => {
                let over = open.repeated.take();
                self.kinds.remove(&kind);
                self.waiting.extend(over);
            }
            None => {}
        }
        self.close(now, false);
        if self.kinds.len() >= MOST || self.waiting.len() >= MOST {
            self.dropped = self.dropped.saturating_add(record.count);
            return false;
        }
        self.kinds.insert(kind, Open { until: now.saturating_add(TOGETHER), repeated: None });
        self.waiting.push(record);
        true
    }

    /// What is over goes to what waits.
    fn close(&mut self, now: Duration, all: bool) {
        let over = self.kinds.extract_if(|_, open| all || open.until <= now);
        self.waiting.extend(over.filter_map(|(_, open)| open.repeated));
    }

    fn take(&mut self, time: Timestamp, now: Duration, all: bool) -> Vec<NewRecord> {
        self.close(now, all);
        if let Some(count) = Some(std::mem::take(&mut self.dropped)).filter(|count| *count > 0) {
            self.waiting.push(NewRecord { count, ..NewRecord::done(time, Actor::Issuer, Action::AuditDrop) });
        }
        let batch = self.waiting.len().min(BATCH);
        self.waiting.drain(..batch).collect()
    }

    /// As many as there is room for; says how many were lost.
    fn put_back(&mut self, mut batch: Vec<NewRecord>) -> u64 {
        let room = MOST.saturating_sub(self.waiting.len());
        let lost: u64 = batch.drain(room.min(batch.len())..).map(|record| record.count).sum();
        self.dropped = self.dropped.saturating_add(lost);
        self.waiting.splice(..0, batch);
        lost
    }
}

impl Kind {
    fn of(record: &NewRecord) -> Self {
        let NewRecord { ref actor, action, ref target, reason, from, .. } = *record;
        Self { actor: actor.clone(), action, target: target.clone(), reason, network: from.map(network) }
    }
}

/// Who has an IPv6 address has a whole network of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80)),
    }
}

async fn write(store: &Database, batch: &[NewRecord]) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for record in batch {
        tx.audit(record.clone());
    }
    tx.commit().await?;
    Ok(())
}

impl Context {
    /// Notes that something was refused.
    pub(crate) fn refused(&self, record: NewRecord) {
        let record = NewRecord { outcome: tessera_store::Outcome::Refused, ..record };
        self.attempts.note(record, self.clock.monotonic());
    }

    /// Writes what was noted; with `all`, also what might still be repeated.
    pub(crate) async fn write_attempts(&self, all: bool) {
        let written = self.attempts.write(&self.store, self.clock.now(), self.clock.monotonic(), all).await;
        if let Err(error) = written {
            tracing::warn!(error = %chain(&error), "failed attempts wait to be recorded");
        }
    }
}

/// Writes every second until told to stop.
pub(crate) async fn run(cx: Context, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        cx.write_attempts(false).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Timestamp = Timestamp(1_800_000_000);

    fn failed(network: u32) -> NewRecord {
        let from = Some(IpAddr::V4(network.into()));
        NewRecord { from, ..NewRecord::done(TIME, Actor::Unknown, Action::UserLogin) }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn counts(records: &[NewRecord]) -> Vec<u64> {
        records.iter().map(|record| record.count).collect()
    }

    #[test]
    fn the_first_failure_is_a_record_and_what_repeats_it_within_a_minute_is_another() {
        let mut state = State::default();
        assert!(state.note(failed(1), at(0)));
        assert_eq!(counts(&state.take(TIME, at(1), false)), [1]);
        for second in 1..60 {
            assert!(state.note(failed(1), at(second)));
            assert!(state.take(TIME, at(second), false).is_empty(), "at {second}");
        }
        assert_eq!(counts(&state.take(TIME, at(60), false)), [59]);
        assert!(state.note(failed(1), at(60)), "the minute is over: a first one again");
        assert_eq!(counts(&state.take(TIME, at(60), false)), [1]);
    }

    #[test]
    fn another_kind_is_a_record_of_its_own_however_many_there_are_of_the_first() {
        let mut state = State::default();
        for _ in 0..100_000 {
            state.note(failed(1), at(0));
        }
        for other in [failed(2), failed(1).because("OTHER"), failed(1).to(Target::Rpc("x".into()))] {
            assert!(state.note(other, at(1)));
        }
        assert_eq!(counts(&state.take(TIME, at(2), false)), [1; 4]);
        assert_eq!(counts(&state.take(TIME, at(2), true)), [99_999], "a stop writes what was repeated too");
    }

    #[test]
    fn a_flood_is_bounded_and_what_has_no_room_is_counted() {
        let mut state = State::default();
        let kept = (0..5000).filter(|network| state.note(failed(*network), at(0))).count();
        assert_eq!(kept, MOST);
        assert!(state.waiting.len() <= MOST && state.kinds.len() <= MOST);
        let mut written = Vec::new();
        loop {
            let batch = state.take(TIME, at(1), false);
            if batch.is_empty() {
                break;
            }
            assert!(batch.len() <= BATCH);
            written.extend(batch);
        }
        let (told, records): (Vec<_>, Vec<_>) = written.iter().partition(|record| record.action == Action::AuditDrop);
        assert_eq!((records.len(), counts(&told.into_iter().cloned().collect::<Vec<_>>())), (MOST, vec![4000]));
    }

    #[test]
    fn what_was_not_written_waits_as_far_as_there_is_room() {
        let mut state = State::default();
        for network in 0..1000 {
            state.note(failed(network), at(0));
        }
        let batch = state.take(TIME, at(1), false);
        assert_eq!(state.put_back(batch), 0);
        let batch = state.take(TIME, at(1), false);
        state.close(at(61), false);
        for network in 2000..2150 {
            assert!(state.note(failed(network), at(61)));
        }
        assert_eq!(state.put_back(batch), 150, "others came meanwhile");
        assert_eq!((state.waiting.len(), state.dropped), (MOST, 150));
    }
}
