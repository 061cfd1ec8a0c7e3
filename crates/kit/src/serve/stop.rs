//! How a process stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::traffic::Traffic;

/// A stop in three steps: first it is announced, and everything goes on; then no new calls come and the ones in flight finish; then,
/// when time is up, everything ends.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    leaving: Arc<AtomicBool>,
    draining: CancellationToken,
    over: CancellationToken,
    pub(super) traffic: Traffic,
}

impl Stop {
    /// Nothing stops yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces it: HTTP/1 answers say `connection: close`, so that their clients' next call goes elsewhere. HTTP/1 has no other way
    /// to say it, and a client that sends its next request just as an idle connection is closed cannot know whether it arrived.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Begins: listeners close, clients are told to go elsewhere (GOAWAY), endless streams end.
    pub fn drain(&self) {
        self.leave();
        self.draining.cancel();
    }

    /// Ends what still runs.
    pub fn end(&self) {
        self.drain();
        self.over.cancel();
    }

    /// Whether it is announced.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether it has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Resolves when it begins. Streams that have no end of their own select on it.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Resolves when time is up.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Resolves when the process drains and nothing is left but [streams without an end](super::Peer::endless); or when time is up.
    pub async fn quiet(&self) {
        self.draining().await;
        tokio::select! {
            () = self.traffic.quiet() => {}
            () = self.over() => {}
        }
    }

    /// How many calls are not answered yet.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.traffic.calls()
    }

    /// Drains, waits until `finished` or until `grace` is over, and ends the rest. Returns whether all finished by itself.
    pub async fn within(&self, grace: Duration, finished: impl Future<Output = ()>) -> bool {
        self.drain();
        let mut finished = std::pin::pin!(finished);
        let clean = tokio::time::timeout(grace, &mut finished).await.is_ok();
        self.end();
        if !clean {
            finished.await;
        }
        clean
    }
}

/// The signals that ask a process to stop: SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens for them. From here on they no longer end the process by themselves.
    ///
    /// # Errors
    /// Where the signals cannot be listened for.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves when one comes. The first asks for a stop; the second, not to wait any longer.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Resolves when the process is asked to stop.
///
/// # Errors
/// Where the signals cannot be listened for.
pub async fn terminated() -> std::io::Result<()> {
    Signals::listen()?.next().await;
    Ok(())
}
