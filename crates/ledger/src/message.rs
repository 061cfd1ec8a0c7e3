//! What the two ends of a feed say to each other, as values. [`wire`](crate::wire) gives them their form.

use std::fmt;
use std::time::Duration;

use tessera_types::Randomness;
use tessera_types::random;

use crate::event::{Entry, Fact, Position};

/// The newest version of the protocol spoken here. A Hello says the newest its process speaks, and the Welcome the one that is
/// spoken: the older of the two newest.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest version spoken here: the one before, once there is one, so that issuers and introspectors can be updated one by one and
/// in either order.
pub const OLDEST_VERSION: u32 = 1;

/// The version that two processes speak with each other, where `other` is the newest that the other one speaks; `None` where that is
/// too old.
#[must_use]
pub fn common_version(other: u32) -> Option<u32> {
    (other >= OLDEST_VERSION).then_some(other.min(PROTOCOL_VERSION))
}

/// The longest time a replica may go on answering checks without hearing anything.
pub const LONGEST_STALENESS: Duration = Duration::from_mins(1);

/// The longest name a replica may go by, in bytes.
pub const LONGEST_NAME: usize = 255;

/// A replica's process: random, new at each start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaId(pub [u8; 16]);

impl ReplicaId {
    /// A new one.
    #[must_use]
    pub fn generate(random: &dyn Randomness) -> Self {
        Self(random::bytes(random))
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicaId({self})")
    }
}

/// What a replica says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// First, and once.
    Hello(Hello),
    /// Everything up to this revision is visible to every reader of the process.
    Ack(u64),
    /// Asks for the durable head, read after this was received. Not before the [`Welcome`].
    HeadRequest {
        /// Echoed in the answer.
        nonce: u64,
    },
    /// The process answers no more checks.
    Goodbye,
}

/// How a replica introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The version it speaks.
    pub protocol_version: u32,
    /// The process.
    pub replica: ReplicaId,
    /// Where it stands; `None` where it knows nothing yet.
    pub position: Option<Position>,
    /// A name for logs and metrics; at most [`LONGEST_NAME`] bytes.
    pub name: String,
    /// How long it goes on answering when it hears nothing: more than nothing, at most [`LONGEST_STALENESS`].
    pub max_staleness: Duration,
}

/// What the issuer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// First: what follows, and the terms.
    Welcome(Welcome),
    /// A part of a snapshot.
    Snapshot(Chunk),
    /// Events in order, without a gap.
    Delta(Delta),
    /// A sign of life.
    Heartbeat {
        /// The issuer's head.
        revision: u64,
    },
    /// The answer to a [`Request::HeadRequest`].
    Head {
        /// The nonce of the request.
        nonce: u64,
        /// The durable head.
        revision: u64,
    },
}

/// How the issuer answers a [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that will be spoken.
    pub protocol_version: u32,
    /// The issuer's URL.
    pub issuer: String,
    /// Whether a snapshot follows; otherwise the deltas go on from the position in the [`Hello`].
    pub snapshot_follows: bool,
    /// How often heartbeats come.
    pub heartbeat_interval: Duration,
}

/// A part of a snapshot; it takes effect with the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where the snapshot was read; the same in every chunk.
    pub position: Position,
    /// Some of its facts.
    pub facts: Vec<Fact>,
    /// Whether this is the last chunk.
    pub last: bool,
}

/// A run of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The entries, their revisions rising by one; at least one.
    pub entries: Vec<Entry>,
    /// How long the issuer's clock says the first of them has been durable.
    pub age: Duration,
}
