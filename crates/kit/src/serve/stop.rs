//! How a process stops.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// A stop in two steps: first no new calls and the ones in flight finish; then, when time is up, everything ends.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    draining: CancellationToken,
    over: CancellationToken,
}

impl Stop {
    /// Nothing stops yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins: listeners close, clients are told to go elsewhere (GOAWAY), endless streams end.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Ends what still runs.
    pub fn end(&self) {
        self.draining.cancel();
        self.over.cancel();
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

/// Resolves when the process is asked to stop: SIGTERM or SIGINT.
///
/// # Errors
/// Where the signals cannot be listened for.
pub async fn terminated() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
