//! How many connections there may be, and what happens to the others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// How often at most the same trouble is said again.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// How long it must not have come again to be over: where descriptors run short, each one that becomes free lets one connection in.
const OVER_AFTER: Duration = Duration::from_secs(1);

/// What a process has open beside its connections: files, event loops, the database, the feed.
const OTHERS: u64 = 128;

/// How many listeners count towards the descriptors: HTTP and gRPC. Nobody fills the ops port.
const LISTENERS: u64 = 2;

/// The connections of one listener; its event loops share it.
#[derive(Clone)]
pub(super) struct Room {
    open: Arc<AtomicUsize>,
    most: usize,
    counted: Option<Counted>,
}

#[derive(Clone)]
struct Counted {
    open: Gauge,
    full: Counter,
    unaccepted: Counter,
}

/// A place, until it is dropped.
pub(super) struct Place(Room);

impl Room {
    pub(super) fn new(listener: &'static str, most: usize, metrics: Option<&Metrics>) -> Self {
        let refused = |metrics: &Metrics, reason| {
            let help = "Connections that were closed at once because there were too many (limit), and accepts the operating system \
                        refused (descriptors).";
            metrics.counter("tessera_connections_refused_total", help, &[("listener", listener), ("reason", reason)])
        };
        let counted = metrics.map(|metrics| Counted {
            open: metrics.gauge("tessera_connections", "Open connections.", &[("listener", listener)]),
            full: refused(metrics, "limit"),
            unaccepted: refused(metrics, "descriptors"),
        });
        Self { open: Arc::default(), most, counted }
    }

    /// A place for a connection, or none where all are taken.
    ///
    /// The connection is then closed at once rather than left in the queue: whoever is behind it tries another process, while in the
    /// queue it would wait for whoever holds the places, and that may be somebody who wants exactly this.
    pub(super) fn enter(&self) -> Option<Place> {
        let taken =
            self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < self.most).then_some(open + 1));
        if taken.is_err() {
            if let Some(counted) = &self.counted {
                counted.full.increment(1);
            }
            return None;
        }
        if let Some(counted) = &self.counted {
            counted.open.increment(1.0);
        }
        Some(Place(self.clone()))
    }

    pub(super) fn not_accepted(&self) {
        if let Some(counted) = &self.counted {
            counted.unaccepted.increment(1);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(counted) = &self.0.counted {
            counted.open.decrement(1.0);
        }
    }
}

/// Says the same trouble once, then now and then with how often it was: it may come many times a second.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    said: Option<Instant>,
    last: Option<Instant>,
    unsaid: u64,
}

impl Trouble {
    /// Another time; how often it was since it was said last, where it is to be said now.
    pub(super) fn again(&mut self) -> Option<u64> {
        self.unsaid += 1;
        let now = Instant::now();
        self.last = Some(now);
        if self.said.is_some_and(|said| now.duration_since(said) < SAY_EVERY) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }

    /// Something went well; whether that is the end of a trouble that was said.
    pub(super) fn over(&mut self) -> bool {
        // Looked at for every connection, and nearly always none.
        let Some(last) = self.last else { return false };
        if last.elapsed() < OVER_AFTER {
            return false;
        }
        *self = Self::default();
        true
    }
}

/// Whether an accept failed for the connection's own sake: it was gone before it was taken.
pub(super) fn is_its_own(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Asks for as many descriptors as `connections` for each listener take, as far as the system lets a process raise its own limit. Returns
/// how many connections a listener may take: fewer, and that is said, where the limit is lower. Otherwise whoever fills the listeners
/// would take what the database, the feed and the ops port need.
#[must_use]
pub fn descriptors(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(LISTENERS).saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let current = limit.current.unwrap_or(u64::MAX);
    let raised = wanted.min(most).max(current);
    let raised = if raised > current {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
            Ok(()) => raised,
            Err(_) => current,
        }
    } else {
        current
    };
    let most = room(connections, raised);
    if most < connections {
        tracing::warn!(
            descriptors = raised,
            wanted,
            connections = most,
            "fewer open files are allowed than limits.connections may need, so that fewer connections are taken: raise LimitNOFILE (ulimit -n), or lower limits.connections"
        );
    }
    most
}

/// How many of the wanted connections each listener has descriptors for; one at least.
fn room(connections: usize, descriptors: u64) -> usize {
    let each = descriptors.saturating_sub(OTHERS) / LISTENERS;
    connections.min(usize::try_from(each).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_has_ended() {
        let metrics = Metrics::new("test", "0");
        let room = Room::new("grpc", 2, Some(&metrics));
        let (one, _two) = (room.enter().expect("free"), room.enter().expect("free"));
        assert!(room.clone().enter().is_none(), "for every event loop");
        drop(one);
        let _three = room.enter().expect("free again");
        let text = metrics.render();
        for line in [
            "tessera_connections{listener=\"grpc\"} 2",
            "tessera_connections_refused_total{listener=\"grpc\",reason=\"limit\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
    }

    #[test]
    fn listeners_leave_descriptors_for_the_rest() {
        assert_eq!(room(4096, 1_000_000), 4096);
        assert_eq!(room(4096, 8320), 4096, "as the page says");
        assert_eq!(room(4096, 8318), 4095);
        assert_eq!(room(4096, 160), 16);
        assert_eq!(room(4096, 100), 1, "never none at all");
    }

    #[tokio::test(start_paused = true)]
    async fn trouble_is_said_now_and_then() {
        let mut trouble = Trouble::default();
        assert!(!trouble.over());
        assert_eq!(trouble.again(), Some(1));
        assert_eq!((trouble.again(), trouble.again()), (None, None));
        tokio::time::advance(SAY_EVERY).await;
        assert_eq!(trouble.again(), Some(3));
        assert!(!trouble.over(), "a connection between two failures is no end");
        assert_eq!(trouble.again(), None);
        tokio::time::advance(OVER_AFTER).await;
        assert!(trouble.over());
        assert_eq!(trouble.again(), Some(1), "a new one is said at once");
    }
}
