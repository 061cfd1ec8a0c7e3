//! The issuer's end of one stream.
//!
//! The driver hands in what the replica says, what the log says, and ticks; it does what comes back as [`Output`]s, in their
//! order. The order matters once: the replica joins the [barrier](crate::barrier) *before* the head is read, so that whatever
//! was called done without it is below the head which the first heartbeat names, and a replica does not answer before it has
//! applied that (see [`follower`](crate::follower)). A snapshot shared between streams may therefore be older than the stream.

use std::time::Duration;

use tessera_types::{ErrorCode, Failure};

use crate::event::{ChainHash, Entry, Position};
use crate::message::{Delta, Hello, PROTOCOL_VERSION, ReplicaId, Request, Response, Welcome, common_version};
use crate::wire::cut;

/// How many of a replica's questions for the head may be open at once.
pub const MAX_HEAD_REQUESTS: usize = 64;

/// How many entries go into one delta at most.
pub const MAX_DELTA: usize = 1024;

/// The reason of [`FeedError::Ahead`].
pub const SYNC_REPLICA_AHEAD: &str = "SYNC_REPLICA_AHEAD";

/// The reason of [`FeedError::Rewritten`].
pub const SYNC_LOG_REWRITTEN: &str = "SYNC_LOG_REWRITTEN";

/// What an issuer offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its URL.
    pub issuer: String,
    /// How often heartbeats come.
    pub heartbeat_interval: Duration,
    /// How long it waits for a Hello.
    pub hello_timeout: Duration,
}

/// The state machine of one stream.
#[derive(Debug)]
pub struct Feed {
    terms: Terms,
    phase: Phase,
    /// The log's head, as far as this end was told.
    head: u64,
    acked: u64,
    head_requests: usize,
    /// The protocol's version, from the Hello on.
    spoken: u32,
    /// When the next heartbeat is due; before the Hello, when it is overdue.
    due: Duration,
}

#[derive(Debug)]
enum Phase {
    /// Waiting for the Hello.
    Opening,
    /// The replica has joined; the head is being read.
    Looking { own: Option<Position> },
    /// A snapshot is being read and sent.
    Loading { head: Position, own: Option<Position> },
    /// Everything up to `sent` was sent; `loading` while entries after it are being read.
    Streaming { sent: u64, loading: bool },
    /// The replica said goodbye, or the stream failed.
    Closed,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Let the replica join the barrier with nothing acknowledged, then look (below).
    Join {
        /// The process.
        replica: ReplicaId,
        /// Its name, for logs and metrics.
        name: String,
        /// How long it goes on answering when it hears nothing.
        max_staleness: Duration,
    },
    /// Read the head, now, from the primary, and the hash at this revision where there is one; then call [`Feed::looked`].
    Look {
        /// Where the replica stands.
        at: Option<u64>,
    },
    /// Tell the barrier that everything up to this revision is visible to the replica's readers.
    Acked(u64),
    /// Send this.
    Send(Response),
    /// Send a snapshot of the same log at this revision or above, in chunks; then call [`Feed::snapshot_sent`].
    SendSnapshot {
        /// The least revision it may stand at.
        at_least: u64,
    },
    /// Read the entries after this revision, and call [`Feed::entries`], or [`Feed::compacted`].
    LoadEntries {
        /// The last revision sent.
        after: u64,
    },
    /// Read the durable head, now, and call [`Feed::head_read`].
    ReadHead {
        /// The nonce of the request.
        nonce: u64,
    },
    /// Let the replica leave the barrier, and end the stream.
    Leave,
}

/// The stream is to be closed with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The Hello did not come in time.
    #[error("no Hello came")]
    Silent,
    /// The replica speaks none but versions that are too old.
    #[error("the replica speaks protocol version {0}")]
    Version(u32),
    /// A message came where the protocol has none of its kind.
    #[error("a {0} came out of turn")]
    OutOfTurn(&'static str),
    /// The replica stands ahead in the same log: this issuer has to catch up first. Its log is no mismatch, so a snapshot would
    /// take the replica back.
    #[error("the replica stands at revision {replica}, ahead of the head {head}")]
    Ahead {
        /// Where the replica stands.
        replica: u64,
        /// Where the log stands.
        head: u64,
    },
    /// The log has another hash where the replica stands: what it applied there is gone from the database. A snapshot of what is
    /// there now would make it forget revocations.
    #[error("the log has another hash at revision {replica} than the replica")]
    Rewritten {
        /// Where the replica stands.
        replica: u64,
    },
    /// An ack for what was never sent.
    #[error("revision {acked} was acknowledged, and {sent} is the last that was sent")]
    AckBeyond {
        /// What was acknowledged.
        acked: u64,
        /// What was sent.
        sent: u64,
    },
    /// Too many questions for the head are open.
    #[error("more than {MAX_HEAD_REQUESTS} head requests are open")]
    TooManyHeadRequests,
    /// The entries that come next are gone from the log; a new stream gets a snapshot.
    #[error("the log no longer holds revision {0}")]
    Compacted(u64),
    /// The driver sent a snapshot that cannot follow here.
    #[error("the snapshot sent is of another log, or below revision {at_least}")]
    WrongSnapshot {
        /// The least revision it could stand at.
        at_least: u64,
    },
}

impl Failure for FeedError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Silent => ErrorCode::DeadlineExceeded,
            Self::Version(_) | Self::OutOfTurn(_) | Self::AckBeyond { .. } => ErrorCode::InvalidRequest,
            Self::TooManyHeadRequests => ErrorCode::Throttled,
            Self::Ahead { .. } | Self::Rewritten { .. } | Self::Compacted(_) | Self::WrongSnapshot { .. } => {
                ErrorCode::TemporarilyUnavailable
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Silent => "SYNC_NO_HELLO",
            Self::Version(_) => "SYNC_VERSION",
            Self::OutOfTurn(_) => "SYNC_OUT_OF_TURN",
            Self::Ahead { .. } => SYNC_REPLICA_AHEAD,
            Self::Rewritten { .. } => SYNC_LOG_REWRITTEN,
            Self::AckBeyond { .. } => "SYNC_ACK_BEYOND",
            Self::TooManyHeadRequests => "SYNC_TOO_MANY_HEAD_REQUESTS",
            Self::Compacted(_) => "LOG_COMPACTED",
            Self::WrongSnapshot { .. } => "SNAPSHOT_MISMATCH",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Silent => "The first message must be a Hello, and come at once.",
            Self::Version(_) => {
                "The introspector is too old for this issuer. Update it; see docs/operations/upgrades.md for the order."
            }
            Self::OutOfTurn(_) => "One Hello comes first; acks and head requests follow.",
            Self::Ahead { .. } => {
                "The replica knows more of this log than the issuer. Reconnect later; if this stays so, the database was \
                 restored: run tessera db restored."
            }
            Self::Rewritten { .. } => {
                "The replica applied what this log no longer holds: the database was restored, or failed over to a standby \
                 that lacked commits. Run tessera db restored."
            }
            Self::AckBeyond { .. } => "Only what was received can be acknowledged.",
            Self::TooManyHeadRequests => "Ask for the head again when earlier requests have been answered.",
            Self::Compacted(_) | Self::WrongSnapshot { .. } => "Reconnect to get a snapshot.",
        }
    }
}

/// How a replica is brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Deltas go on where it stands.
    Resume,
    /// Its state is of another log, or too old, or it has none.
    Snapshot,
    /// It stands ahead of the head.
    Ahead,
    /// It has applied what is not in the log any more.
    Rewritten,
}

/// Decides how a replica is brought up to date: it may go on where it stands only if it is of the same log and the log has the
/// same hash at that place. `hash` is the log's hash at the replica's revision, where the log still has that entry.
///
/// Another hash in the same epoch means that the database was set back and has gone on since: a restored backup cannot be mistaken for its
/// former self. There is no snapshot for such a replica, however far the log has come: the revocations that were lost are in its memory
/// alone. The new epoch that `tessera db restored` begins is another log, and gets one.
#[must_use]
pub fn decide(own: Option<&Position>, head: &Position, hash: Option<ChainHash>) -> Decision {
    let Some(own) = own.filter(|own| own.epoch == head.epoch) else { return Decision::Snapshot };
    if own.revision > head.revision {
        return Decision::Ahead;
    }
    let hash = match own.revision {
        at if at == head.revision => Some(head.hash),
        // Every log has the same hash before its first event, whether or not it still has that event.
        0 => None,
        _ => hash,
    };
    match hash {
        Some(hash) if hash == own.hash => Decision::Resume,
        Some(_) => Decision::Rewritten,
        // The entry is gone. Whether the replica's state may be followed by a snapshot, it sees itself.
        None => Decision::Snapshot,
    }
}

impl Feed {
    /// A stream that was just opened.
    #[must_use]
    pub fn new(terms: Terms, now: Duration) -> Self {
        let due = now.saturating_add(terms.hello_timeout);
        Self { terms, phase: Phase::Opening, head: 0, acked: 0, head_requests: 0, spoken: PROTOCOL_VERSION, due }
    }

    /// The replica says something.
    ///
    /// # Errors
    /// Where it breaks the protocol.
    pub fn receive(&mut self, request: Request) -> Result<Vec<Output>, FeedError> {
        let result = match request {
            Request::Hello(hello) => self.hello(hello),
            Request::Ack(revision) => self.ack(revision),
            Request::HeadRequest { nonce } => self.head_request(nonce),
            Request::Goodbye => self.goodbye(),
        };
        self.closed_by(result)
    }

    /// Answers [`Output::Look`]: the head, and the log's hash at the revision asked for, unless it is gone.
    ///
    /// # Errors
    /// [`FeedError::Ahead`] where the replica stands ahead of the head, [`FeedError::Rewritten`] where it has applied what the
    /// log no longer holds.
    pub fn looked(&mut self, head: Position, hash: Option<ChainHash>, now: Duration) -> Result<Vec<Output>, FeedError> {
        let Phase::Looking { own } = self.phase else { return Ok(Vec::new()) };
        // Entries may have been heard of while the head was read.
        self.head = self.head.max(head.revision);
        self.due = now.saturating_add(self.terms.heartbeat_interval);
        let result = match (decide(own.as_ref(), &head, hash), own) {
            (Decision::Resume, Some(own)) => Ok(self.resume(own.revision, &head)),
            (Decision::Ahead, Some(own)) => Err(FeedError::Ahead { replica: own.revision, head: head.revision }),
            (Decision::Rewritten, Some(own)) => Err(FeedError::Rewritten { replica: own.revision }),
            _ => Ok(self.load(head, own)),
        };
        self.closed_by(result)
    }

    /// Answers [`Output::SendSnapshot`]: a snapshot read here was sent. To be called as soon as its last chunk is on its way, before
    /// the replica's answer can be received.
    ///
    /// # Errors
    /// [`FeedError::WrongSnapshot`] where it cannot follow; the replica will refuse it too.
    pub fn snapshot_sent(&mut self, position: &Position) -> Result<Vec<Output>, FeedError> {
        let Phase::Loading { head, own } = &self.phase else { return Ok(Vec::new()) };
        let at_least = at_least(own.as_ref(), head);
        if position.epoch != head.epoch || position.revision < at_least {
            return self.closed_by(Err(FeedError::WrongSnapshot { at_least }));
        }
        self.head = self.head.max(position.revision);
        self.phase = Phase::Streaming { sent: position.revision, loading: false };
        Ok(self.catch_up())
    }

    /// The log has grown up to this head. (Where the entries are at hand, [`entries`](Self::entries) says it too.)
    #[must_use]
    pub fn advanced(&mut self, head: u64) -> Vec<Output> {
        self.head = self.head.max(head);
        self.catch_up()
    }

    /// Entries of the log, in order and without a gap among themselves: those that answer [`Output::LoadEntries`], or new ones
    /// as they are committed. What was sent already is skipped, and what is missing before them is loaded. `age` is how long
    /// the first has been durable.
    #[must_use]
    pub fn entries(&mut self, entries: &[Entry], age: Duration) -> Vec<Output> {
        let newest = entries.last().map_or(0, |last| last.revision);
        self.head = self.head.max(newest);
        let Phase::Streaming { sent, loading } = &mut self.phase else { return Vec::new() };
        if entries.is_empty() {
            // Nothing there yet; to be tried again when the log grows or the next heartbeat is due, and not at once.
            *loading = false;
            return Vec::new();
        }
        let known = entries.partition_point(|entry| entry.revision <= *sent);
        let mut rest = &entries[known..];
        let mut outputs = Vec::new();
        if rest.first().is_some_and(|first| first.revision == *sent + 1) {
            *loading = false;
            while !rest.is_empty() {
                let (now, later) = cut(rest, MAX_DELTA, |entry| &entry.event);
                *sent += now.len() as u64;
                outputs.push(Output::Send(Response::Delta(Delta { entries: now.to_vec(), age })));
                rest = later;
            }
        }
        outputs.extend(self.catch_up());
        outputs
    }

    /// Answers [`Output::LoadEntries`] where the log no longer holds them.
    #[must_use]
    pub fn compacted(&mut self) -> FeedError {
        let next = match self.phase {
            Phase::Streaming { sent, .. } => sent.saturating_add(1),
            _ => 0,
        };
        self.phase = Phase::Closed;
        FeedError::Compacted(next)
    }

    /// Answers [`Output::ReadHead`].
    #[must_use]
    pub fn head_read(&mut self, nonce: u64, head: u64) -> Vec<Output> {
        if self.head_requests == 0 || matches!(self.phase, Phase::Closed) {
            return Vec::new();
        }
        self.head_requests -= 1;
        let mut outputs = vec![Output::Send(Response::Head { nonce, revision: head })];
        outputs.extend(self.advanced(head));
        outputs
    }

    /// Time passes.
    ///
    /// # Errors
    /// [`FeedError::Silent`] where the Hello is overdue.
    pub fn tick(&mut self, now: Duration) -> Result<Vec<Output>, FeedError> {
        if now < self.due {
            return Ok(Vec::new());
        }
        match self.phase {
            Phase::Opening => self.closed_by(Err(FeedError::Silent)),
            Phase::Looking { .. } | Phase::Closed => Ok(Vec::new()),
            Phase::Loading { .. } | Phase::Streaming { .. } => {
                self.due = now.saturating_add(self.terms.heartbeat_interval);
                let mut outputs = vec![self.heartbeat()];
                outputs.extend(self.reload());
                Ok(outputs)
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do; a moment, not a span.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Looking { .. } | Phase::Closed => None,
            Phase::Opening | Phase::Loading { .. } | Phase::Streaming { .. } => Some(self.due),
        }
    }

    /// The last revision the replica has acknowledged on this stream.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acked
    }

    fn hello(&mut self, hello: Hello) -> Result<Vec<Output>, FeedError> {
        if !matches!(self.phase, Phase::Opening) {
            return Err(FeedError::OutOfTurn("Hello"));
        }
        let Some(spoken) = common_version(hello.protocol_version) else {
            return Err(FeedError::Version(hello.protocol_version));
        };
        self.spoken = spoken;
        let Hello { replica, name, max_staleness, position: own, .. } = hello;
        self.phase = Phase::Looking { own };
        let look = Output::Look { at: own.map(|own| own.revision) };
        Ok(vec![Output::Join { replica, name, max_staleness }, look])
    }

    fn ack(&mut self, revision: u64) -> Result<Vec<Output>, FeedError> {
        let Phase::Streaming { sent, .. } = self.phase else { return Err(FeedError::OutOfTurn("Ack")) };
        if revision > sent {
            return Err(FeedError::AckBeyond { acked: revision, sent });
        }
        if revision <= self.acked {
            return Ok(Vec::new());
        }
        self.acked = revision;
        Ok(vec![Output::Acked(revision)])
    }

    fn head_request(&mut self, nonce: u64) -> Result<Vec<Output>, FeedError> {
        // The answer must not come before the Welcome.
        if !matches!(self.phase, Phase::Loading { .. } | Phase::Streaming { .. }) {
            return Err(FeedError::OutOfTurn("HeadRequest"));
        }
        if self.head_requests >= MAX_HEAD_REQUESTS {
            return Err(FeedError::TooManyHeadRequests);
        }
        self.head_requests += 1;
        Ok(vec![Output::ReadHead { nonce }])
    }

    fn goodbye(&mut self) -> Result<Vec<Output>, FeedError> {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Opening | Phase::Closed => Err(FeedError::OutOfTurn("Goodbye")),
            Phase::Looking { .. } | Phase::Loading { .. } | Phase::Streaming { .. } => Ok(vec![Output::Leave]),
        }
    }

    fn resume(&mut self, at: u64, head: &Position) -> Vec<Output> {
        self.acked = at;
        self.phase = Phase::Streaming { sent: at, loading: false };
        let mut outputs =
            vec![Output::Acked(at), self.welcome(false), Output::Send(Response::Heartbeat { revision: head.revision })];
        outputs.extend(self.catch_up());
        outputs
    }

    fn load(&mut self, head: Position, own: Option<Position>) -> Vec<Output> {
        self.phase = Phase::Loading { head, own };
        let heartbeat = Output::Send(Response::Heartbeat { revision: head.revision });
        vec![self.welcome(true), heartbeat, Output::SendSnapshot { at_least: at_least(own.as_ref(), &head) }]
    }

    /// Loads what the head is ahead by, one load at a time.
    fn catch_up(&mut self) -> Vec<Output> {
        match &mut self.phase {
            Phase::Streaming { sent, loading } if !*loading && *sent < self.head => {
                *loading = true;
                vec![Output::LoadEntries { after: *sent }]
            }
            _ => Vec::new(),
        }
    }

    /// Asks again for entries that were asked for a heartbeat ago: an answer that comes twice does no harm, and one that never
    /// came must not stop the stream for good.
    fn reload(&mut self) -> Vec<Output> {
        if let Phase::Streaming { loading, .. } = &mut self.phase {
            *loading = false;
        }
        self.catch_up()
    }

    fn welcome(&self, snapshot_follows: bool) -> Output {
        Output::Send(Response::Welcome(Welcome {
            protocol_version: self.spoken,
            issuer: self.terms.issuer.clone(),
            snapshot_follows,
            heartbeat_interval: self.terms.heartbeat_interval,
        }))
    }

    fn heartbeat(&self) -> Output {
        Output::Send(Response::Heartbeat { revision: self.head })
    }

    fn closed_by<T>(&mut self, result: Result<T, FeedError>) -> Result<T, FeedError> {
        result.inspect_err(|_| self.phase = Phase::Closed)
    }
}

/// A replica takes no snapshot below its own place in the same log.
fn at_least(own: Option<&Position>, head: &Position) -> u64 {
    own.filter(|own| own.epoch == head.epoch).map_or(0, |own| own.revision)
}

#[cfg(test)]
mod tests;
