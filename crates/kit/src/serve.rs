//! Serving: one accept loop for gRPC and HTTP.
//!
//! It is our own, on hyper, rather than tonic's and axum's, for what both lack: connections that end at an age of their own
//! (so that a fleet's do not end together), a stop in steps that is bounded in time, a limit on connections, an accept error that
//! pauses instead of spinning, event loops that say whether they turn,
//! `DEADLINE_EXCEEDED` where tonic says `CANCELLED`, and a panic that costs one call.

mod beat;
mod call;
mod connection;
pub mod deadline;
mod drain;
mod limits;
mod linger;
mod listener;
pub mod reflection;
mod secure;
mod server;
mod slow;
mod stop;
mod traffic;

pub use beat::{Loops, STUCK_AFTER};
pub use connection::Peer;
pub use drain::{CLOSING, Drain, closing, process};
pub use limits::descriptors;
pub use listener::{BindError, Listener};
pub use server::{Options, Server, Serving};
pub use stop::{Signals, Stop, terminated};
pub use traffic::Endless;

/// The longest message of an RPC that carries tokens, in bytes: for `max_decoding_message_size` of the generated servers.
pub const MAX_MESSAGE: usize = 64 * 1024;
