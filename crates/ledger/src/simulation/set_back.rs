//! A database that loses its last commits, as one that is restored from a backup, and what introspectors that ran on make of it.
//!
//! The law: a replica that may answer lacks no revocation that its readers have ever seen, whatever the log says since, unless a new
//! epoch has ended everything older.

use super::*;
use crate::event::Subject;

impl World {
    /// The issuer stops, the database is what it was so many events ago, and the issuer starts.
    fn set_back(&mut self, events: usize) {
        self.restart();
        self.log.truncate(self.log.len().saturating_sub(events));
        self.compacted = self.compacted.min(self.log.len());
        self.history += 1;
        self.silent = true;
    }

    /// `tessera db restored`.
    fn begin_epoch(&mut self) {
        self.restart();
        let former = self.head().epoch;
        self.epoch += 1;
        for event in [Event::EpochBegan { former }, Event::WatermarkRaised(Subject::Everything)] {
            let Position { revision, hash, .. } = self.head();
            let hash = chain::next(&hash, revision + 1, &encode_event(&event));
            self.log.push(Entry { revision: revision + 1, hash, event });
        }
        self.silent = false;
    }

    fn restart(&mut self) {
        for n in 0..self.nodes.len() {
            self.break_stream(n);
            self.nodes[n].link = None;
        }
        self.barrier = Barrier::new();
        self.waits.clear();
    }

    /// The law, at every step.
    pub(super) fn check_memory(&mut self) {
        for (n, node) in self.nodes.iter_mut().enumerate() {
            let Some(state) = node.replica.state() else { continue };
            let epoch = state.epoch().0;
            let revoked = self.log.iter().filter_map(|entry| match &entry.event {
                Event::TokenRevoked { token, .. } if state.token_revoked(token) => Some((epoch, *token)),
                _ => None,
            });
            node.seen.extend(revoked);
            if node.follower.stale(self.now, MAX_STALENESS) {
                continue;
            }
            for (of, token) in &node.seen {
                let ended = *of != epoch && state.everything() > 0;
                assert!(ended || state.token_revoked(token), "replica {n} has forgotten a revocation");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_replica_forgets_a_revocation_when_the_database_is_set_back_and_a_new_epoch_heals_all(
        before in vec(step(), 20..120), lost in 1..5_usize, after in vec(step(), 20..160),
    ) {
        let mut world = World::new();
        world.step(&Step::Commit(3));
        for n in 0..REPLICAS {
            world.step(&Step::Connect(n));
        }
        for step in &before {
            world.step(step);
        }
        world.set_back(lost);
        for step in &after {
            world.step(step);
        }
        world.begin_epoch();
        world.run_out();
        let head = world.head();
        for node in &world.nodes {
            prop_assert_eq!(node.replica.position(), Some(head));
            prop_assert!(!node.follower.stale(world.now, MAX_STALENESS));
        }
    }
}
