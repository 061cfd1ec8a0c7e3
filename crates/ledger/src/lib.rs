//! The revocation log as sans-I/O state machines: what it says, how it travels, and who holds which part of it.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`event`] | events, facts and places |
//! | [`chain`] | the hash that chains the places |
//! | [`message`], [`wire`] | what the feed's two ends say, and its form on the wire and at rest |
//! | [`replica`] | the state in memory that checks are answered from |
//! | [`follower`] | a replica's end of the feed |
//! | [`feed`] | the issuer's end of the feed |
//! | [`barrier`] | who must confirm a revision before its revocation may be called done |
//! | [`freshness`] | whether the replica has heard from its issuer lately |
//!
//! Nothing here opens a socket, reads a clock or draws randomness: moments are passed in as time on a monotonic clock, and
//! what is to be done comes back as values.

pub mod barrier;
pub mod chain;
pub mod event;
pub mod feed;
pub mod follower;
pub mod freshness;
pub mod message;
pub mod replica;
#[cfg(test)]
mod simulation;
pub mod wire;

pub use barrier::Barrier;
pub use event::{ChainHash, ClientState, Entry, Event, Fact, KeyFact, Position, Snapshot, Subject};
pub use feed::Feed;
pub use follower::Follower;
pub use freshness::Freshness;
pub use message::ReplicaId;
pub use replica::{ClientEntry, KeyEntry, Replica, State};
