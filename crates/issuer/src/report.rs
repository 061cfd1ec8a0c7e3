//! Failures of ours, logged once, at the boundary.

use tessera_types::Failure;
use tessera_types::error::chain;

/// Logs a failure that is ours, with everything that caused it; callers get fixed text.
pub(crate) fn internal(failure: &dyn Failure) {
    if failure.is_internal() {
        tracing::error!(reason = failure.reason(), error = %chain(failure), "a request failed");
    }
}
