//! Traces, request identifiers and metrics (issue 4, item 5).

mod metrics;
mod requests;
mod traces;
