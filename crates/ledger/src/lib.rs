//! The revocation log.
pub mod event;
