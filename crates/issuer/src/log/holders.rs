//! Who must confirm a revision: the barrier's state machine with a clock, a lock and wake-ups around it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tessera_ledger::barrier::{Membership, Settled, WaiterId};
use tessera_ledger::{Barrier, ReplicaId};
use tessera_types::Clock;
use tokio::sync::oneshot;

/// The holders. Cheap to clone.
#[derive(Clone)]
pub struct Holders {
    inner: Arc<Mutex<Inner>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Inner {
    barrier: Barrier,
    waiting: HashMap<WaiterId, oneshot::Sender<bool>>,
}

/// A holder's place. Dropped without [`goodbye`](Self::goodbye), the holder counts on for as long as it may still answer.
pub struct Holder {
    holders: Holders,
    membership: Membership,
}

impl Holders {
    /// No holders yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::default(), clock }
    }

    /// A holder joins. To be called before what it starts from is read: what commits afterwards then waits for it.
    #[must_use]
    pub fn join(&self, replica: ReplicaId, max_staleness: Duration) -> Holder {
        let membership = self.lock().barrier.join(replica, 0, max_staleness);
        Holder { holders: self.clone(), membership }
    }

    /// Whether a replica counts: connected, or gone for not so long that it must have stopped answering.
    #[must_use]
    pub fn counts(&self, replica: ReplicaId) -> bool {
        self.poll();
        self.lock().barrier.counts(replica)
    }

    /// Waits until every holder has confirmed a revision; false where time ran out.
    pub async fn wait(&self, revision: u64, within: Duration) -> bool {
        let deadline = self.clock.monotonic().saturating_add(within);
        let (waiter, mut answer) = self.begin_wait(revision, deadline);
        let _cancel = CancelOnDrop { holders: self, waiter };
        loop {
            let now = self.clock.monotonic();
            // Everybody looks after their own deadline; the next lapse is everybody's.
            let at = self.lock().barrier.next_lapse().map_or(deadline, |lapse| lapse.min(deadline));
            let wake = at.saturating_sub(now);
            // The least a timer waits; the barrier decides by its own clock.
            let tick = tokio::time::sleep(wake.max(Duration::from_millis(1)));
            tokio::select! {
                settled = &mut answer => return settled.unwrap_or(false),
                () = tick => self.poll(),
            }
        }
    }

    /// How many holders count.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().barrier.holders()
    }

    fn begin_wait(&self, revision: u64, deadline: Duration) -> (WaiterId, oneshot::Receiver<bool>) {
        let (reply, answer) = oneshot::channel();
        let mut inner = self.lock();
        let waiter = inner.barrier.wait(revision, deadline);
        inner.waiting.insert(waiter, reply);
        drop(inner);
        self.poll();
        (waiter, answer)
    }

    /// Tells waiters what became of them.
    fn poll(&self) {
        let now = self.clock.monotonic();
        let mut inner = self.lock();
        let Settled { released, timed_out } = inner.barrier.poll(now);
        let outcomes = released.into_iter().map(|w| (w, true)).chain(timed_out.into_iter().map(|w| (w, false)));
        for (waiter, confirmed) in outcomes {
            if let Some(reply) = inner.waiting.remove(&waiter) {
                // Whoever went away does not need to know.
                let _ = reply.send(confirmed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    /// The process.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.membership.replica()
    }

    /// The holder has made everything up to a revision visible to its readers.
    pub fn ack(&self, revision: u64) {
        self.holders.lock().barrier.ack(&self.membership, revision);
        self.holders.poll();
    }

    /// The holder answers no more checks.
    pub fn goodbye(self) {
        self.holders.lock().barrier.leave(&self.membership);
        self.holders.poll();
        // What Drop does after this finds no such membership.
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let now = self.holders.clock.monotonic();
        self.holders.lock().barrier.lose(&self.membership, now);
        self.holders.poll();
    }
}

struct CancelOnDrop<'a> {
    holders: &'a Holders,
    waiter: WaiterId,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let mut inner = self.holders.lock();
        inner.barrier.cancel(self.waiter);
        inner.waiting.remove(&self.waiter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_testkit::clock::MockClock;

    const STALENESS: Duration = Duration::from_secs(4);
    const LONG: Duration = Duration::from_secs(3600);

    fn holders() -> (Holders, Arc<MockClock>) {
        let clock = Arc::new(MockClock::default());
        (Holders::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_last_confirmation() {
        let (holders, _) = holders();
        let one = holders.join(ReplicaId([1; 16]), STALENESS);
        let two = holders.join(ReplicaId([2; 16]), STALENESS);
        let waiting = tokio::spawn({
            let holders = holders.clone();
            async move { holders.wait(5, LONG).await }
        });
        one.ack(5);
        assert!(!waiting.is_finished());
        two.ack(7);
        assert!(waiting.await.expect("no panic"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_holder_counts_for_as_long_as_it_may_answer() {
        let (holders, clock) = holders();
        drop(holders.join(ReplicaId([1; 16]), STALENESS));
        assert_eq!(holders.count(), 1);
        let waiting = holders.wait(1, LONG);
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        clock.advance(STALENESS * 2);
        assert!(waiting.await);
    }

    #[tokio::test]
    async fn goodbye_releases_at_once() {
        let (holders, _) = holders();
        holders.join(ReplicaId([1; 16]), STALENESS).goodbye();
        assert!(holders.wait(1, LONG).await);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_confirmation_time_runs_out() {
        let (holders, clock) = holders();
        let _silent = holders.join(ReplicaId([1; 16]), STALENESS);
        let waiting = holders.wait(1, Duration::from_secs(1));
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(!waiting.await);
    }
}
