//! Whether the event loops turn.
//!
//! A call that blocks its loop, or a deadlock, leaves a process that runs and answers nothing. Every loop therefore says now and then
//! that it turns; `/livez` is answered by another loop and tells of those that have stopped saying so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tessera_types::Clock;

/// How often a loop says that it turns.
const EVERY: Duration = Duration::from_secs(1);

/// When a loop is taken to be stuck: far longer than any honest work on it.
pub const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The event loops of a process.
#[derive(Clone)]
pub struct Loops {
    clock: Arc<dyn Clock>,
    beats: Arc<Mutex<Vec<Beat>>>,
}

struct Beat {
    name: String,
    id: u64,
    last: Duration,
}

/// Takes a loop off the list when it ends.
pub(super) struct Beating {
    loops: Loops,
    id: u64,
}

impl std::fmt::Debug for Loops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loops").field("stuck", &self.stuck()).finish()
    }
}

impl Loops {
    /// None so far.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, beats: Arc::default() }
    }

    /// Watches the current event loop for as long as it runs, under a name for `/livez`.
    pub fn watch(&self, name: &str) {
        let beating = self.begin(name);
        tokio::spawn(beating.run());
    }

    pub(super) fn begin(&self, name: &str) -> Beating {
        let last = self.clock.monotonic();
        let mut beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let id = beats.iter().map(|beat| beat.id + 1).max().unwrap_or_default();
        beats.push(Beat { name: name.to_owned(), id, last });
        Beating { loops: self.clone(), id }
    }

    /// The loops that have not turned for [`STUCK_AFTER`].
    #[must_use]
    pub fn stuck(&self) -> Vec<String> {
        let now = self.clock.monotonic();
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = beats.iter().filter(|beat| now.saturating_sub(beat.last) > STUCK_AFTER);
        stuck.map(|beat| beat.name.clone()).collect()
    }
}

impl Beating {
    pub(super) async fn run(self) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let now = self.loops.clock.monotonic();
            let mut beats = self.loops.beats.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(beat) = beats.iter_mut().find(|beat| beat.id == self.id) {
                beat.last = now;
            }
        }
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        let mut beats = self.loops.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.retain(|beat| beat.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use tessera_types::Timestamp;

    use super::*;
    use crate::random::SystemRandom;
    use crate::serve::{Options, Server, Stop};

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::SeqCst))
        }
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect(what);
    }

    #[tokio::test]
    async fn a_loop_that_is_blocked_is_stuck_until_it_turns_again() {
        let clock = Arc::new(Hand::default());
        let mut options = Options::new(Stop::new(), Arc::new(SystemRandom));
        options.loops = Loops::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let (release, blocked) = mpsc::channel::<()>();
        let (told, entered) = mpsc::channel();
        let blocked = Arc::new(Mutex::new(blocked));
        let handler = async move || {
            told.send(std::thread::current().name().unwrap_or_default().to_owned()).expect("awaited");
            // What no handler may do.
            let _ = blocked.lock().expect("no panic").recv();
            "done"
        };
        let server = Server::grpc((Ipv4Addr::LOCALHOST, 0).into(), 2).expect("a free port");
        let router = Router::new().route("/", get(handler));
        let mut serving = server.serve(router.with_state(()), &options).expect("served");
        let uri = format!("http://{}/", serving.addr()).parse().expect("a URI");
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Body>();
        let call = tokio::spawn(async move { client.get(uri).await });
        let entered = tokio::task::spawn_blocking(move || entered.recv());
        let stuck = entered.await.expect("no panic").expect("the call came");
        clock.0.fetch_add(STUCK_AFTER.as_secs() + 1, Ordering::SeqCst);
        until("the other loop turns", || options.loops.stuck() == [stuck.clone()]).await;
        release.send(()).expect("still blocked");
        until("it turns again", || options.loops.stuck().is_empty()).await;
        assert!(call.await.expect("no panic").is_ok());
        options.stop.end();
        serving.finished().await;
        assert!(options.loops.beats.lock().expect("no panic").is_empty(), "a loop that ended is not stuck");
    }
}
