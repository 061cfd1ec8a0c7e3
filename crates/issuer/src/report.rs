//! Failures of ours, logged once, at the boundary.

use std::fmt::Write as _;

use tessera_types::Failure;

/// Logs a failure that is ours, with everything that caused it; callers get fixed text.
pub(crate) fn internal(failure: &dyn Failure) {
    if !failure.is_internal() {
        return;
    }
    let mut causes = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        // A write to a string does not fail.
        let _ = write!(causes, ": {error}");
        source = error.source();
    }
    tracing::error!(reason = failure.reason(), error = %causes, "a request failed");
}
