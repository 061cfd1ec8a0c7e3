//! The issuer's side of the revocation log: written in batches, carried to the own replica and to introspectors, and waited for.

mod appender;
mod holders;
mod publication;
mod traces;

pub use appender::{Appender, Recorded};
pub use holders::{Holder, Holders};
pub use publication::{Publication, PublicationTask, Unconfirmed};
