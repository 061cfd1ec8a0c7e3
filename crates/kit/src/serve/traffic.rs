//! What goes on: connections, calls that are not answered yet, and streams without an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The counts of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    calls: AtomicUsize,
    endless: AtomicUsize,
    /// Whether anybody waits for quiet: waking nobody would cost every call a lock.
    watched: AtomicBool,
    fell: Notify,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Connection,
    Call,
    Endless,
}

/// One of them, for as long as it is held.
#[derive(Debug)]
pub struct Going {
    traffic: Traffic,
    what: What,
}

impl Counts {
    fn of(&self, what: What) -> &AtomicUsize {
        match what {
            What::Connection => &self.connections,
            What::Call => &self.calls,
            What::Endless => &self.endless,
        }
    }
}

impl Traffic {
    pub(super) fn connection(&self) -> Going {
        self.begin(What::Connection)
    }

    pub(super) fn call(&self) -> Going {
        self.begin(What::Call)
    }

    pub(super) fn endless(&self) -> Going {
        // A stream more can make it quiet: what is left may be such streams alone.
        let going = self.begin(What::Endless);
        self.tell();
        going
    }

    fn begin(&self, what: What) -> Going {
        self.0.of(what).fetch_add(1, Ordering::SeqCst);
        Going { traffic: self.clone(), what }
    }

    fn tell(&self) {
        if self.0.watched.load(Ordering::SeqCst) {
            self.0.fell.notify_waiters();
        }
    }

    /// How many calls have no answer yet.
    pub(super) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Resolves when no call runs, and no connection is open on which one could begin: each one left has a stream without an end.
    pub(super) async fn quiet(&self) {
        self.0.watched.store(true, Ordering::SeqCst);
        loop {
            let mut fell = std::pin::pin!(self.0.fell.notified());
            // From here on nothing is missed.
            fell.as_mut().enable();
            let counts = &self.0;
            let endless = counts.endless.load(Ordering::SeqCst);
            if self.calls() == 0 && counts.connections.load(Ordering::SeqCst) <= endless {
                return;
            }
            fell.await;
        }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.traffic.0.of(self.what).fetch_sub(1, Ordering::SeqCst);
        self.traffic.tell();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn quiet_is_when_only_streams_without_an_end_are_left() {
        let traffic = Traffic::default();
        let (feed, other) = (traffic.connection(), traffic.connection());
        let call = traffic.call();
        let mut quiet = Box::pin(traffic.quiet());
        assert!(quiet.as_mut().now_or_never().is_none(), "a call and two connections");
        let stream = traffic.endless();
        drop(call);
        assert!(quiet.as_mut().now_or_never().is_none(), "a call may begin on the other connection");
        drop(other);
        assert!(quiet.as_mut().now_or_never().is_some(), "the stream alone is left");
        drop((stream, feed));
        assert!(traffic.quiet().now_or_never().is_some(), "nothing is left");
    }
}
