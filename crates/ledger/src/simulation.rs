//! The issuer's and the replicas' ends together, under a schedule of commits, revocations, broken streams and passing time.
//!
//! The law is the product's promise, as far as it reaches without leases: once a wait for a revision is released, no replica that
//! may answer at that moment or later lacks it. [`set_back`] adds a database that loses its last commits.

mod set_back;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tessera_types::{Timestamp, TokenId};

use crate::barrier::{Barrier, Membership};
use crate::chain;
use crate::event::{ChainHash, Entry, Event, Fact, Position, Snapshot};
use crate::feed::{Feed, Output, Terms};
use crate::follower::Follower;
use crate::message::{ReplicaId, Request, Response};
use crate::replica::Replica;
use crate::wire::{encode_event, request_from_wire, request_to_wire, response_to_wire, samples, snapshot_chunks};

const REPLICAS: u8 = 3;
const MAX_STALENESS: Duration = Duration::from_secs(4);

#[derive(Clone, Debug)]
enum Step {
    /// Some revocations are committed, and the last of them waited for.
    Commit(u8),
    /// The streams are told of the new head.
    Push,
    /// What a replica said arrives.
    Up(u8),
    /// The issuer's driver does a few of the things its end of a stream asked for.
    Work(u8),
    /// What the issuer said arrives: so many messages.
    Down(u8, u8),
    /// A stream begins.
    Connect(u8),
    /// The replica notices that its stream is gone; what was on the way is lost.
    Break(u8),
    /// The issuer notices it.
    Notice(u8),
    /// The log forgets its older entries.
    Compact,
    /// Time passes, in seconds.
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        3 => (1..4_u8).prop_map(Step::Commit),
        3 => Just(Step::Push),
        6 => replica().prop_map(Step::Up),
        6 => replica().prop_map(Step::Work),
        6 => (replica(), 1..6_u8).prop_map(|(replica, messages)| Step::Down(replica, messages)),
        3 => replica().prop_map(Step::Connect),
        1 => replica().prop_map(Step::Break),
        2 => replica().prop_map(Step::Notice),
        1 => Just(Step::Compact),
        2 => (1..3_u64).prop_map(Step::Pass),
    ]
}

/// One stream, seen from the issuer.
struct Link {
    feed: Feed,
    membership: Option<Membership>,
    /// What the end asked its driver for.
    todo: VecDeque<Output>,
    up: VecDeque<Request>,
    down: VecDeque<Response>,
    /// The replica has noticed that the stream is gone.
    broken: bool,
}

struct Node {
    replica: Replica,
    follower: Follower,
    link: Option<Link>,
    /// Every revocation that its readers have ever seen, with the epoch of that.
    seen: BTreeSet<(u64, TokenId)>,
}

struct World {
    now: Duration,
    epoch: u64,
    /// How often the database lost commits: what came after is another history.
    history: u64,
    /// Whether that was said, by a new epoch.
    silent: bool,
    log: Vec<Entry>,
    compacted: usize,
    barrier: Barrier,
    nodes: Vec<Node>,
    /// The highest revision that was called done.
    done: u64,
    /// The revisions waited for, with their waiters.
    waits: Vec<(u64, crate::barrier::WaiterId)>,
}

impl World {
    fn new() -> Self {
        let node = |n: u8| Node {
            replica: Replica::new(),
            follower: Follower::new(ReplicaId([n; 16]), n.to_string(), MAX_STALENESS),
            link: None,
            seen: BTreeSet::new(),
        };
        Self {
            now: Duration::from_secs(100),
            epoch: 1,
            history: 0,
            silent: false,
            log: Vec::new(),
            compacted: 0,
            barrier: Barrier::new(),
            nodes: (0..REPLICAS).map(node).collect(),
            done: 0,
            waits: Vec::new(),
        }
    }

    fn head(&self) -> Position {
        samples::head(self.epoch, &self.log)
    }

    fn hash_at(&self, revision: u64) -> Option<ChainHash> {
        let index = usize::try_from(revision).expect("small").checked_sub(1)?;
        self.log.get(index).filter(|_| index >= self.compacted).map(|entry| entry.hash)
    }

    fn snapshot(&self) -> Snapshot {
        let fact = |entry: &Entry| Fact { revision: entry.revision, event: entry.event.clone() };
        Snapshot { position: self.head(), facts: self.log.iter().map(fact).collect() }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Commit(count) => self.commit(count),
            Step::Push => {
                let head = self.head().revision;
                for link in self.nodes.iter_mut().filter_map(|node| node.link.as_mut()) {
                    link.todo.extend(link.feed.advanced(head));
                }
            }
            Step::Up(n) => self.up(n.into()),
            Step::Work(n) => {
                for _ in 0..3 {
                    self.work(n.into());
                }
            }
            Step::Down(n, messages) => {
                for _ in 0..messages {
                    self.down(n.into());
                }
            }
            Step::Connect(n) => self.connect(n.into()),
            Step::Break(n) => self.break_stream(n.into()),
            Step::Notice(n) => self.notice(n.into()),
            Step::Compact => self.compacted = self.log.len(),
            Step::Pass(seconds) => self.pass(seconds),
        }
        self.settle();
        self.check();
    }

    fn commit(&mut self, count: u8) {
        for _ in 0..count {
            let Position { revision, hash, .. } = self.head();
            let revision = revision + 1;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&revision.to_be_bytes());
            id[8..].copy_from_slice(&self.history.to_be_bytes());
            let event = Event::TokenRevoked { token: TokenId(id), expires: Timestamp(9_000_000_000) };
            let hash = chain::next(&hash, revision, &encode_event(&event));
            self.log.push(Entry { revision, hash, event });
        }
        let revision = self.head().revision;
        self.waits.push((revision, self.barrier.wait(revision, Duration::MAX)));
    }

    fn up(&mut self, n: usize) {
        let Some(link) = self.nodes[n].link.as_mut() else { return };
        let Some(request) = link.up.pop_front() else { return };
        let request = request_from_wire(request_to_wire(&request)).expect("it was well-formed");
        let outputs = link.feed.receive(request).expect("the replica keeps to the protocol");
        link.todo.extend(outputs);
    }

    fn work(&mut self, n: usize) {
        let Some(output) = self.nodes[n].link.as_mut().and_then(|link| link.todo.pop_front()) else { return };
        let (head, now) = (self.head(), self.now);
        let snapshot = matches!(output, Output::SendSnapshot { .. }).then(|| self.snapshot());
        let at_hash = if let Output::Look { at: Some(at) } = output { self.hash_at(at) } else { None };
        let (compacted, silent) = (self.compacted, self.silent);
        let Some(link) = self.nodes[n].link.as_mut() else { return };
        let more = match output {
            Output::Join { replica, max_staleness, .. } => {
                link.membership = Some(self.barrier.join(replica, 0, max_staleness));
                Vec::new()
            }
            Output::Look { .. } => match link.feed.looked(head, at_hash, now) {
                Ok(outputs) => outputs,
                Err(error) => {
                    assert!(silent, "only a log that lost something: {error}");
                    link.down.clear();
                    link.broken = true;
                    Vec::new()
                }
            },
            Output::Acked(revision) => {
                let membership = link.membership.as_ref().expect("it joined first");
                self.barrier.ack(membership, revision);
                Vec::new()
            }
            Output::Send(response) => {
                link.down.push_back(response);
                Vec::new()
            }
            Output::SendSnapshot { .. } => {
                let snapshot = snapshot.as_ref().expect("it was read above");
                link.down.extend(snapshot_chunks(snapshot, 3).map(Response::Snapshot));
                link.feed.snapshot_sent(&snapshot.position).expect("it was read just now")
            }
            Output::LoadEntries { after } => {
                let from = usize::try_from(after).expect("small");
                if from < compacted {
                    let _ = link.feed.compacted();
                    link.down.clear();
                    link.broken = true;
                    Vec::new()
                } else {
                    link.feed.entries(&self.log[from..], Duration::ZERO)
                }
            }
            Output::ReadHead { nonce } => link.feed.head_read(nonce, head.revision),
            Output::Leave => unreachable!("nobody says goodbye here"),
        };
        link.todo.extend(more);
        if link.broken {
            self.nodes[n].follower.disconnected();
        }
    }

    fn down(&mut self, n: usize) {
        let (now, silent) = (self.now, self.silent);
        let Node { replica, follower, link, .. } = &mut self.nodes[n];
        let Some(link) = link.as_mut() else { return };
        let Some(response) = link.down.pop_front() else { return };
        match follower.absorb(replica, response_to_wire(&response), now) {
            Ok(absorbed) => link.up.extend(absorbed.reply),
            Err(error) => {
                assert!(silent, "the issuer keeps to the protocol: {error}");
                link.broken = true;
            }
        }
    }

    fn connect(&mut self, n: usize) {
        self.break_stream(n);
        self.notice(n);
        let Node { replica, follower, link, .. } = &mut self.nodes[n];
        let terms = Terms {
            issuer: "https://issuer.test".to_owned(),
            heartbeat_interval: Duration::from_secs(1),
            hello_timeout: Duration::from_mins(1),
        };
        let hello = follower.connect(replica.position());
        *link = Some(Link {
            feed: Feed::new(terms, self.now),
            membership: None,
            todo: VecDeque::new(),
            up: VecDeque::from([hello]),
            down: VecDeque::new(),
            broken: false,
        });
    }

    fn break_stream(&mut self, n: usize) {
        let Node { follower, link, .. } = &mut self.nodes[n];
        if let Some(link) = link.as_mut() {
            follower.disconnected();
            link.broken = true;
            link.up.clear();
            link.down.clear();
        }
    }

    /// The issuer learns of a break; what it had left to send goes nowhere.
    fn notice(&mut self, n: usize) {
        if self.nodes[n].link.as_ref().is_some_and(|link| link.broken)
            && let Some(membership) = self.nodes[n].link.take().and_then(|link| link.membership)
        {
            self.barrier.lose(&membership, self.now);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let now = self.now;
        for link in self.nodes.iter_mut().filter_map(|node| node.link.as_mut()) {
            link.todo.extend(link.feed.tick(now).expect("every Hello comes in time"));
            if link.broken {
                link.todo.clear();
                link.down.clear();
            }
        }
    }

    fn settle(&mut self) {
        for released in self.barrier.poll(self.now).released {
            let wait = self.waits.iter().position(|(_, waiter)| *waiter == released).expect("it waited");
            self.done = self.done.max(self.waits.swap_remove(wait).0);
        }
        // What was sent into a broken stream is lost.
        for link in self.nodes.iter_mut().filter_map(|node| node.link.as_mut()).filter(|link| link.broken) {
            link.down.clear();
            link.up.clear();
        }
    }

    fn check(&mut self) {
        self.check_memory();
        if self.history > 0 {
            return;
        }
        for (n, node) in self.nodes.iter().enumerate() {
            let applied = node.replica.state().map_or(0, |state| state.applied());
            let may_answer = !node.follower.stale(self.now, MAX_STALENESS);
            assert!(!may_answer || applied >= self.done, "replica {n} answers from {applied}, {} was done", self.done);
            let hash = node.replica.position().filter(|position| position.revision > 0).map(|position| position.hash);
            let index = usize::try_from(applied).expect("small").checked_sub(1);
            assert_eq!(hash, index.map(|index| self.log[index].hash), "a replica holds a prefix of the log");
        }
    }

    /// Lets everything that is under way arrive, over streams that hold.
    fn run_out(&mut self) {
        for n in 0..REPLICAS {
            self.step(&Step::Connect(n));
        }
        for _ in 0..60 {
            self.step(&Step::Push);
            for n in 0..REPLICAS {
                for step in [Step::Up(n), Step::Work(n), Step::Down(n, 30)] {
                    self.step(&step);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_replica_that_may_answer_lacks_what_was_called_done(steps in vec(step(), 1..160)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.run_out();
        let head = world.head().revision;
        prop_assert!(world.waits.is_empty(), "over streams that hold every wait ends");
        for node in &world.nodes {
            prop_assert_eq!(node.replica.position().map(|position| position.revision), Some(head));
            prop_assert!(!node.follower.stale(world.now, MAX_STALENESS));
        }
    }
}
