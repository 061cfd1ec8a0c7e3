//! What surrounds every call: the caller's deadline, and a panic caught.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::response::Response;
use futures::FutureExt as _;
use tonic::Status;

use super::deadline;

/// Which protocol an answer made here must speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// Runs a call to its answer.
pub(super) async fn run<F>(protocol: Protocol, timeout: Option<Duration>, call: F) -> Response
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let call = AssertUnwindSafe(call).catch_unwind();
    let outcome = match timeout {
        Some(timeout) => match tokio::time::timeout(timeout, call).await {
            Ok(outcome) => outcome,
            Err(_) => return late(),
        },
        None => call.await,
    };
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
