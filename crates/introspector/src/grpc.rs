//! gRPC: the service, and the two clients of the issuer.

pub mod feed;
pub mod issuer;
mod service;
mod wire;

pub use service::{NAME, routes};

use tessera_api::status;
use tessera_types::Failure;
use tonic::Status;

/// The status of a failure. What is our fault is told to the log here, once; the metrics count it too, so an outage does not
/// flood the log.
fn refused(failure: &dyn Failure) -> Status {
    if failure.is_internal() {
        tracing::debug!(reason = failure.reason(), error = %failure, "no answer could be given");
    }
    status::status(failure)
}
