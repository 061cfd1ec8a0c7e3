//! What surrounds every call: the caller's deadline, the process's end, and a panic caught.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use axum::response::Response;
use futures::FutureExt as _;
use tonic::Status;

use super::deadline;
use super::stop::Stop;

/// Which protocol an answer made here must speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// Runs a call to its answer. What is pinned stays where it is: a future that is handed on is copied each time, and this one is large.
pub(super) async fn run<F>(protocol: Protocol, timeout: Option<Duration>, stop: &Stop, call: Pin<&mut F>) -> Response
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let call = AssertUnwindSafe(call).catch_unwind();
    let in_time = async {
        match timeout {
            Some(timeout) => tokio::time::timeout(timeout, call).await.ok(),
            None => Some(call.await),
        }
    };
    let outcome = tokio::select! {
        // Most calls are ready at once and never look at the rest.
        biased;
        outcome = in_time => outcome,
        () = stop.over() => return cut_off(protocol),
    };
    let Some(outcome) = outcome else { return late() };
    match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => panicked(protocol),
    }
}

/// The deadline of a gRPC call; HTTP callers have no way to say one.
pub(super) fn timeout(protocol: Protocol, headers: &http::HeaderMap) -> Option<Duration> {
    match protocol {
        Protocol::Grpc => deadline::timeout(headers),
        Protocol::Http => None,
    }
}

fn late() -> Response {
    grpc(&Status::deadline_exceeded("The deadline of the call was over before there was an answer."))
}

/// Whether it had an effect nobody can say, as with every connection that breaks.
fn cut_off(protocol: Protocol) -> Response {
    match protocol {
        Protocol::Grpc => {
            grpc(&Status::unavailable("The server stops and could not wait for this call. Try another, or again."))
        }
        Protocol::Http => crate::http::error::stopping(),
    }
}

/// The panic itself was reported by the hook (see [`crate::logs`]); its text may hold input and goes nowhere else.
fn panicked(protocol: Protocol) -> Response {
    tracing::error!("a call panicked and was answered as an internal error");
    match protocol {
        Protocol::Grpc => grpc(&Status::internal("The server failed; the fault is ours.")),
        Protocol::Http => crate::http::error::panicked(),
    }
}

fn grpc(status: &Status) -> Response {
    status.clone().into_http::<axum::body::Body>()
}
