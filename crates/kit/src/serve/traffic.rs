//! What goes on: places where a call may still begin, and calls that are not answered yet.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The counts of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    calls: AtomicUsize,
    /// Whether anybody waits for quiet: waking nobody would cost every call a lock.
    watched: AtomicBool,
    fell: Notify,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Open,
    Call,
}

/// One of them, for as long as it is held.
#[derive(Debug)]
pub(super) struct Going {
    traffic: Traffic,
    what: What,
}

impl Counts {
    fn of(&self, what: What) -> &AtomicUsize {
        match what {
            What::Open => &self.open,
            What::Call => &self.calls,
        }
    }
}

impl Traffic {
    /// A listener that still accepts: on what waits in its queue, calls may begin.
    pub(super) fn listener(&self) -> Going {
        self.begin(What::Open)
    }

    /// A connection, from the moment it is accepted: in its handshake it is one already.
    pub(super) fn connection(&self) -> Connection {
        let state = Held { open: Some(self.begin(What::Open)), ..Held::default() };
        Connection(Line(Arc::new(Shared { traffic: self.clone(), held: Mutex::new(state) })))
    }

    pub(super) fn call(&self) -> Going {
        self.begin(What::Call)
    }

    fn begin(&self, what: What) -> Going {
        self.0.of(what).fetch_add(1, Ordering::SeqCst);
        Going { traffic: self.clone(), what }
    }

    /// How many calls have no answer yet.
    pub(super) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Resolves when no call runs, no listener accepts, and no connection is open but those that have a stream without an end: clients
    /// were told to begin nothing more on them.
    pub(super) async fn quiet(&self) {
        self.0.watched.store(true, Ordering::SeqCst);
        loop {
            let mut fell = std::pin::pin!(self.0.fell.notified());
            // From here on nothing is missed.
            fell.as_mut().enable();
            if self.calls() == 0 && self.0.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            fell.await;
        }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let counts = &self.traffic.0;
        counts.of(self.what).fetch_sub(1, Ordering::SeqCst);
        if counts.watched.load(Ordering::SeqCst) {
            counts.fell.notify_waiters();
        }
    }
}

/// An open connection, for as long as it is held.
#[derive(Debug)]
pub(super) struct Connection(Line);

/// The connection that a call came on. A call's copy counts on the connection alone, and on nothing that others share.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    traffic: Traffic,
    held: Mutex<Held>,
}

/// What a connection counts as.
#[derive(Debug, Default)]
struct Held {
    /// None while it has a stream without an end, and when it is over.
    open: Option<Going>,
    endless: usize,
    over: bool,
}

/// A stream without an end, for as long as it is held.
#[derive(Debug)]
pub struct Endless(Line);

impl Connection {
    pub(super) fn line(&self) -> Line {
        self.0.clone()
    }
}

impl Line {
    /// Says that a stream without an end runs on this connection. However many there are, they are one connection's.
    pub(super) fn endless(&self) -> Endless {
        let mut held = self.held();
        held.endless += 1;
        held.open = None;
        Endless(self.clone())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.endless -= 1;
        if held.endless == 0 && !held.over {
            held.open = Some(self.0.0.traffic.begin(What::Open));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.over = true;
        held.open = None;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn is_quiet(traffic: &Traffic) -> bool {
        traffic.quiet().now_or_never().is_some()
    }

    #[tokio::test]
    async fn quiet_is_when_only_streams_without_an_end_are_left() {
        let traffic = Traffic::default();
        let (feed, other) = (traffic.connection(), traffic.connection());
        let call = traffic.call();
        let mut quiet = Box::pin(traffic.quiet());
        assert!(quiet.as_mut().now_or_never().is_none(), "a call and two connections");
        let stream = feed.line().endless();
        drop(call);
        assert!(quiet.as_mut().now_or_never().is_none(), "a call may begin on the other connection");
        drop(other);
        assert!(quiet.as_mut().now_or_never().is_some(), "the stream alone is left");
        drop((stream, feed));
        assert!(is_quiet(&traffic), "nothing is left");
    }

    #[test]
    fn several_streams_on_one_connection_stand_for_no_other() {
        let traffic = Traffic::default();
        let (feed, other) = (traffic.connection(), traffic.connection());
        let streams = [feed.line().endless(), feed.line().endless()];
        assert!(!is_quiet(&traffic), "a call may begin on the connection that has none");
        drop(other);
        assert!(is_quiet(&traffic));
        let [first, last] = streams;
        drop(first);
        assert!(is_quiet(&traffic), "the other one goes on");
        drop(last);
        assert!(!is_quiet(&traffic), "it is a connection like any other again");
        let after = feed.line().endless();
        drop(feed);
        drop(after);
        assert!(is_quiet(&traffic), "a stream that outlives its connection leaves nothing behind");
    }

    #[test]
    fn what_waits_in_a_listeners_queue_is_not_quiet() {
        let traffic = Traffic::default();
        let listener = traffic.listener();
        assert!(!is_quiet(&traffic));
        drop(listener);
        assert!(is_quiet(&traffic));
    }
}
