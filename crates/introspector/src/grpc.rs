//! gRPC: the service, and the two clients of the issuer.

pub(crate) mod credential;
pub mod feed;
pub mod issuer;
mod service;
mod wire;

pub use service::{NAME, routes};

use tessera_api::status;
use tessera_types::Failure;
use tonic::Status;

/// The status of a failure that leaves no question unanswered.
fn refused(failure: &dyn Failure) -> Status {
    crate::report::unanswered(failure);
    status::status(failure)
}
