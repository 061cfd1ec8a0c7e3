//! Who must confirm a revision before the revocation in it may be called done.
//!
//! Holders are the replicas that may answer checks: the introspectors on the feed, and the issuer's own replica. A waiter is an
//! operation that has committed a revision. It is released once every holder has acknowledged that revision or a later one, and
//! times out at its deadline otherwise: *committed, not yet confirmed*.
//!
//! A holder whose stream breaks goes on answering for its `max_staleness` and cannot be told anything; so it stays among the
//! holders for that long, a quarter more (two clocks that drift by 10 % each way differ by 22 %) and a second, unless it said
//! goodbye or comes back. It joins before the head and the snapshot it will start from are read: what was released before it joined is
//! then in what it reads, and what commits later waits for it.
//!
//! Leases take the place of `max_staleness` here: only the moment up to which a lost holder counts has then another origin.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::message::ReplicaId;

/// A lost holder counts for its `max_staleness` and this part of it more, for clocks that run at different rates.
const GUARD_PART: u32 = 4;

/// And this much more: a sign of life that was sent before its stream broke may be read a little after.
pub(crate) const GUARD: Duration = Duration::from_secs(1);

/// The barrier. Moments are on the monotonic clock of its process.
#[derive(Debug, Default)]
pub struct Barrier {
    holders: HashMap<ReplicaId, Holder>,
    /// By revision, then in the order of asking; with the deadline.
    waiters: BTreeMap<WaiterId, Duration>,
    /// The same by deadline, so that neither acks nor ticks look at waiters that are not due.
    deadlines: BTreeSet<(Duration, WaiterId)>,
    connections: u64,
    asked: u64,
}

#[derive(Debug)]
struct Holder {
    connection: u64,
    acked: u64,
    max_staleness: Duration,
    presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Connected,
    /// It may go on answering until then.
    Gone {
        until: Duration,
    },
}

/// A holder's place in the barrier. A later [`Barrier::join`] of the same replica voids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    replica: ReplicaId,
    connection: u64,
}

impl Membership {
    /// The holder.
    #[must_use]
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }
}

/// One wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaiterId {
    // First, for the order in `Barrier::waiters`.
    revision: u64,
    number: u64,
}

/// What became of waiters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Every holder has confirmed.
    pub released: Vec<WaiterId>,
    /// The deadline came first.
    pub timed_out: Vec<WaiterId>,
}

impl Barrier {
    /// A barrier without holders: whatever is waited for is released at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A holder joins, or comes back; every wait from now on is for it too. `acked` is what is known to be visible to its
    /// readers: 0 until that has been made sure.
    pub fn join(&mut self, replica: ReplicaId, acked: u64, max_staleness: Duration) -> Membership {
        self.connections += 1;
        let holder = Holder { connection: self.connections, acked, max_staleness, presence: Presence::Connected };
        self.holders.insert(replica, holder);
        Membership { replica, connection: self.connections }
    }

    /// A holder says that everything up to a revision is visible to its readers. Of a place that a later join has voided it
    /// says nothing.
    pub fn ack(&mut self, membership: &Membership, revision: u64) {
        if let Some(holder) = self.holder(membership) {
            holder.acked = holder.acked.max(revision);
        }
    }

    /// A holder answers no more checks.
    pub fn leave(&mut self, membership: &Membership) {
        if self.holder(membership).is_some() {
            self.holders.remove(&membership.replica);
        }
    }

    /// A holder's stream broke. It may go on answering until it notices how long it has heard nothing.
    pub fn lose(&mut self, membership: &Membership, now: Duration) {
        if let Some(holder) = self.holder(membership)
            && holder.presence == Presence::Connected
        {
            let stretched =
                holder.max_staleness.saturating_add(holder.max_staleness / GUARD_PART).saturating_add(GUARD);
            holder.presence = Presence::Gone { until: now.saturating_add(stretched) };
        }
    }

    /// Begins to wait for a revision; [`poll`](Self::poll) tells what became of it.
    pub fn wait(&mut self, revision: u64, deadline: Duration) -> WaiterId {
        self.asked += 1;
        let waiter = WaiterId { revision, number: self.asked };
        self.waiters.insert(waiter, deadline);
        self.deadlines.insert((deadline, waiter));
        waiter
    }

    /// Ends a wait whose asker is gone.
    pub fn cancel(&mut self, waiter: WaiterId) {
        if let Some(deadline) = self.waiters.remove(&waiter) {
            self.deadlines.remove(&(deadline, waiter));
        }
    }

    /// What became of waiters by now; each is told once. To be called after every input, and at
    /// [`next_timeout`](Self::next_timeout). A waiter whose last confirmation and deadline come together is released.
    pub fn poll(&mut self, now: Duration) -> Settled {
        self.holders.retain(|_, holder| match holder.presence {
            Presence::Connected => true,
            Presence::Gone { until } => now < until,
        });
        let confirmed = self.confirmed();
        let mut settled = Settled::default();
        while let Some(first) = self.waiters.first_entry()
            && first.key().revision <= confirmed
        {
            let (waiter, deadline) = first.remove_entry();
            self.deadlines.remove(&(deadline, waiter));
            settled.released.push(waiter);
        }
        while let Some((deadline, waiter)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            self.waiters.remove(&waiter);
            settled.timed_out.push(waiter);
        }
        settled
    }

    /// When [`poll`](Self::poll) has something to tell even if nothing comes in; a moment, not a span.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        let (first_deadline, _) = *self.deadlines.first()?;
        self.next_lapse().into_iter().chain([first_deadline]).min()
    }

    /// When the next lost holder stops counting; a moment, not a span.
    #[must_use]
    pub fn next_lapse(&self) -> Option<Duration> {
        let lapses = self.holders.values().filter_map(|holder| match holder.presence {
            Presence::Connected => None,
            Presence::Gone { until } => Some(until),
        });
        lapses.min()
    }

    /// What every holder has confirmed; everything where there are none.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.holders.values().map(|holder| holder.acked).min().unwrap_or(u64::MAX)
    }

    /// Whether a replica counts, connected or gone without goodbye.
    #[must_use]
    pub fn counts(&self, replica: ReplicaId) -> bool {
        self.holders.contains_key(&replica)
    }

    /// How many holders count, whether connected or gone without goodbye.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.holders.len()
    }

    /// How many wait.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiters.len()
    }

    fn holder(&mut self, membership: &Membership) -> Option<&mut Holder> {
        self.holders.get_mut(&membership.replica).filter(|holder| holder.connection == membership.connection)
    }
}

#[cfg(test)]
mod tests;
