//! The order of a stop: not ready, a pause, GOAWAY, calls in flight, the end; every step bounded in time.

use std::process::ExitCode;
use std::time::Duration;

use super::server::Serving;
use super::stop::Stop;
use crate::config::Stopping;
use crate::health::Health;

/// How long connections may take to end when their calls were cut off: their last answers are given a second.
const CUT_OFF: Duration = Duration::from_secs(2);

/// How long what comes after the last call may take: a goodbye, a last write, the database's connections.
pub const CLOSING: Duration = Duration::from_secs(5);

/// How long work on other threads may take when everything else has ended: a password's hash, a file.
const THREADS: Duration = Duration::from_secs(1);

/// What a stop is made of.
#[derive(Debug)]
pub struct Drain<'a> {
    /// Says that the service is not ready.
    pub health: &'a Health,
    /// Stops what is asked.
    pub stop: &'a Stop,
    /// What is asked.
    pub servers: &'a mut [Serving],
    /// How long the steps take.
    pub spans: &'a Stopping,
}

impl Drain<'_> {
    /// Stops the servers. `now` resolves when nobody wants to wait any longer.
    pub async fn run(self, now: impl Future<Output = ()>) {
        let Self { health, stop, servers, spans } = self;
        let mut now = std::pin::pin!(now);
        health.drain();
        stop.leave();
        tracing::info!(pause = ?spans.pause, grace = ?spans.grace, "stopping: not ready from here on, but still answering");
        let hurry = tokio::select! {
            biased;
            () = now.as_mut() => true,
            () = tokio::time::sleep(spans.pause) => false,
        };
        let calls = stop.calls();
        tracing::info!(calls, "no new connections from here on; calls in flight finish");
        stop.drain();
        let mut finished = std::pin::pin!(async {
            for serving in servers {
                serving.finished().await;
            }
        });
        let reason = tokio::select! {
            biased;
            () = std::future::ready(()), if hurry => "a second signal",
            () = finished.as_mut() => return,
            () = now => "a second signal",
            () = tokio::time::sleep(spans.grace) => "the grace is over",
        };
        tracing::warn!(calls = stop.calls(), reason, "calls were cut off");
        stop.end();
        // A call that blocks its event loop is not even told.
        if tokio::time::timeout(CUT_OFF, finished).await.is_err() {
            tracing::warn!(within = ?CUT_OFF, "connections did not end; the process ends all the same");
        }
    }
}

/// What follows the last call, within a bound.
pub async fn closing(work: impl Future<Output = ()>) {
    if tokio::time::timeout(CLOSING, work).await.is_err() {
        tracing::warn!(within = ?CLOSING, "not everything was closed in time; the process ends all the same");
    }
}

/// Runs a process on an event loop of its own, and does not wait for threads that never come back.
#[allow(clippy::print_stderr, reason = "there is no log yet")]
pub fn process(main: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the operating system gives no threads or descriptors: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(main);
    runtime.shutdown_timeout(THREADS);
    code
}
