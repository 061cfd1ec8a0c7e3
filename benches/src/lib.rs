//! Measures Introspect against an empty handler, and what a flood of logins takes from token issuing.
//!
//! The empty handler answers the same request, metadata included, with the same bytes, and does nothing for it; what the
//! introspector's throughput is a fraction of is therefore the transport alone. Both are pinned to one core and the load
//! generator to another, in interleaved pairs. Ratios carry over to other machines, absolute numbers do not.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its caller")]

pub mod call;
pub mod flood;
pub mod generator;
pub mod h2load;
pub mod harness;
pub mod pair;
pub mod process;
pub mod report;
pub mod sample;
