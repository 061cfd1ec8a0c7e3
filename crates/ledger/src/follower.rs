//! A replica's end of the feed.
//!
//! The driver hands in what the issuer says and does what comes back: installs or applies, and then tells
//! [`Follower::applied`], which makes the ack. [`Follower::absorb`] does these steps on a [`Replica`].
//!
//! # When the issuer counts as heard
//! A replica that reconnects was perhaps no longer waited for, so what it holds may lack revocations that were already called
//! done. Therefore nothing counts as a sign of life on a new stream until the replica has applied the head that the first
//! heartbeat names; the issuer read that head after it counted this replica among its holders. From then on the
//! issuer waits for it, and any message is a sign of life, except a heartbeat or head that names a revision not applied yet: on an ordered
//! stream its entry should have come before, and a feed that sends heartbeats but no entries must not pass as alive.
//!
//! After a message that breaks the protocol, or speaks of what this version does not know, the issuer counts as not heard at
//! once: the replica no longer knows what it does not know.
//!
//! The moment of hearing is the moment of receipt. A process that is paused with a message in its socket takes it for a fresh one when
//! it wakes; leases, which are measured from the request, will close that.

use std::time::Duration;

use tessera_api::sync::v1;
use tessera_types::{Epoch, ErrorCode, Failure};

use crate::event::{Fact, Position, Snapshot};
use crate::freshness::is_fresh;
use crate::message::{Chunk, Delta, Hello, OLDEST_VERSION, PROTOCOL_VERSION, ReplicaId, Request, Response, Welcome};
use crate::replica::{ApplyError, InstallError, Replica};
use crate::wire::{WireError, response_from_wire};

/// The state machine of a replica's end. It lives as long as the process; a new stream begins with [`Follower::connect`].
#[derive(Debug)]
pub struct Follower {
    replica: ReplicaId,
    name: String,
    max_staleness: Duration,
    /// None, or it broke the protocol.
    stream: Option<Stream>,
    last_heard: Option<Duration>,
}

/// What is known of the present stream.
#[derive(Debug)]
struct Stream {
    phase: Phase,
    caught_up: CaughtUp,
    heartbeat_interval: Option<Duration>,
    /// When its last message came.
    received_at: Duration,
    /// What is visible to readers, as far as this end was told.
    applied: Option<(Epoch, u64)>,
}

#[derive(Debug)]
enum Phase {
    /// Hello was said, from this position.
    Greeting(Option<Position>),
    /// The chunks of a snapshot come in, to a replica at `own`.
    Loading { own: Option<Position>, position: Option<Position>, facts: Vec<Fact> },
    /// Deltas come in.
    Following { epoch: Epoch, received: u64, acked: Option<u64> },
}

/// Whether the replica has reached the head that stood when the issuer began to wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CaughtUp {
    /// The head is not known yet.
    Unknown,
    /// It will have when it has applied this.
    At(u64),
    /// It has.
    Yes,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look at the terms; the issuer's URL must be the expected one.
    Welcomed(Welcome),
    /// Install this, then tell [`Follower::applied`].
    Install(Snapshot),
    /// Apply this, then tell [`Follower::applied`].
    Apply(Delta),
    /// Whoever asked for the head with this nonce has its answer.
    HeadAnswered {
        /// The nonce of the request.
        nonce: u64,
        /// The durable head, read after the request.
        revision: u64,
    },
}

/// What [`Follower::absorb`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// To be sent.
    pub reply: Option<Request>,
    /// The terms, after the first message.
    pub welcome: Option<Welcome>,
    /// A nonce and the head that answers it.
    pub head: Option<(u64, u64)>,
    /// How long the issuer's clock says the first applied entry had been durable when it was sent.
    pub age: Option<Duration>,
    /// Whether a snapshot was installed.
    pub installed: bool,
}

/// The stream cannot go on: it is to be closed, and a new one begun after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// A message is malformed, or speaks of what this version does not know.
    #[error("the issuer sent what cannot be understood")]
    Wire(#[from] WireError),
    /// The issuer wants to speak a version that is not spoken here.
    #[error("the issuer speaks protocol version {0}")]
    Version(u32),
    /// A message came where the protocol has none of its kind.
    #[error("a {0} came out of turn")]
    OutOfTurn(&'static str),
    /// Entries do not go on where the last ended.
    #[error("revision {expected} is next, not {found}")]
    Gap {
        /// The place that comes next.
        expected: u64,
        /// The place of the entry.
        found: u64,
    },
    /// The chunks of a snapshot are of different positions.
    #[error("the chunks of the snapshot do not belong together")]
    TornSnapshot,
    /// The replica refused the snapshot.
    #[error("the snapshot was refused")]
    Install(#[from] InstallError),
    /// The replica refused the entries.
    #[error("the entries were refused")]
    Apply(#[from] ApplyError),
}

impl Failure for FollowError {
    fn code(&self) -> ErrorCode {
        ErrorCode::TemporarilyUnavailable
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Wire(error) => error.reason(),
            Self::Version(_) => "SYNC_VERSION",
            Self::OutOfTurn(_) => "SYNC_OUT_OF_TURN",
            Self::Gap { .. } => "LOG_GAP",
            Self::TornSnapshot => "SNAPSHOT_MALFORMED",
            Self::Install(error) => error.reason(),
            Self::Apply(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        "The replica cannot follow its issuer now; it will try again."
    }
}

impl Follower {
    /// The end of a replica that has not connected yet. `max_staleness` is more than nothing and at most
    /// [`LONGEST_STALENESS`](crate::message::LONGEST_STALENESS), else the issuer refuses the Hello.
    #[must_use]
    pub fn new(replica: ReplicaId, name: String, max_staleness: Duration) -> Self {
        Self { replica, name, max_staleness, stream: None, last_heard: None }
    }

    /// Begins a stream: what to send first. `position` is where the replica stands.
    pub fn connect(&mut self, position: Option<Position>) -> Request {
        self.stream = Some(Stream {
            phase: Phase::Greeting(position),
            caught_up: CaughtUp::Unknown,
            heartbeat_interval: None,
            received_at: Duration::ZERO,
            applied: position.map(|position| (position.epoch, position.revision)),
        });
        Request::Hello(Hello {
            protocol_version: PROTOCOL_VERSION,
            replica: self.replica,
            position,
            name: self.name.clone(),
            max_staleness: self.max_staleness,
        })
    }

    /// The stream broke. When the issuer was last heard stays known.
    pub fn disconnected(&mut self) {
        self.stream = None;
    }

    /// What the issuer says; what is to be done about it.
    ///
    /// # Errors
    /// Where the message breaks the protocol: the stream is to be closed, and the issuer counts as not heard.
    pub fn receive(&mut self, message: v1::WatchResponse, now: Duration) -> Result<Option<Action>, FollowError> {
        let result = response_from_wire(message).map_err(FollowError::from).and_then(|message| {
            let stream = self.stream.as_mut().ok_or(FollowError::OutOfTurn("message"))?;
            stream.received_at = now;
            stream.receive(message)
        });
        match &result {
            Ok((_, Heard::Yes)) => self.last_heard = Some(now),
            Ok((_, Heard::No)) => {}
            Err(_) => self.fail(),
        }
        result.map(|(action, _)| action)
    }

    /// The driver installed or applied what it was given, and every reader sees it: the ack to be sent, unless there is nothing
    /// new to say or the position is not one this stream has led to.
    pub fn applied(&mut self, position: Position) -> Option<Request> {
        let stream = self.stream.as_mut()?;
        let reached = stream.applied(position);
        if reached != Reached::Elsewhere && stream.caught_up == CaughtUp::Yes {
            self.last_heard = Some(stream.received_at);
        }
        (reached == Reached::Further).then_some(Request::Ack(position.revision))
    }

    /// Receives a message and does to the replica what it asks.
    ///
    /// # Errors
    /// As [`receive`](Self::receive), and where the replica refuses.
    pub fn absorb(
        &mut self,
        replica: &Replica,
        message: v1::WatchResponse,
        now: Duration,
    ) -> Result<Absorbed, FollowError> {
        let mut absorbed = Absorbed::default();
        match self.receive(message, now)? {
            None => return Ok(absorbed),
            Some(Action::Welcomed(welcome)) => absorbed.welcome = Some(welcome),
            Some(Action::HeadAnswered { nonce, revision }) => absorbed.head = Some((nonce, revision)),
            Some(Action::Install(snapshot)) => {
                replica.install(snapshot).inspect_err(|_| self.fail())?;
                absorbed.installed = true;
                absorbed.reply = replica.position().and_then(|position| self.applied(position));
            }
            Some(Action::Apply(delta)) => {
                replica.apply(&delta.entries).inspect_err(|_| self.fail())?;
                absorbed.age = Some(delta.age);
                absorbed.reply = replica.position().and_then(|position| self.applied(position));
            }
        }
        Ok(absorbed)
    }

    /// The process answers no more checks (the driver has made it so before): what to send last, where there is a stream.
    pub fn goodbye(&mut self) -> Option<Request> {
        self.last_heard = None;
        self.stream.take().map(|_| Request::Goodbye)
    }

    /// When the issuer was last heard, on the monotonic clock.
    #[must_use]
    pub fn last_heard(&self) -> Option<Duration> {
        self.last_heard
    }

    /// Whether the replica must not answer: the issuer was never heard, or longer ago than `max_staleness`.
    #[must_use]
    pub fn stale(&self, now: Duration, max_staleness: Duration) -> bool {
        !is_fresh(self.last_heard, now, max_staleness)
    }

    /// Whether the present stream has brought the replica up to the head that stood when the issuer began to wait for it.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.caught_up == CaughtUp::Yes)
    }

    /// How often the issuer of the present stream said it would be heard.
    #[must_use]
    pub fn heartbeat_interval(&self) -> Option<Duration> {
        self.stream.as_ref()?.heartbeat_interval
    }

    fn fail(&mut self) {
        self.stream = None;
        self.last_heard = None;
    }
}

/// Where what was applied stands, as the stream sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// At a place the stream has not led to.
    Elsewhere,
    /// Where it was acknowledged before.
    Again,
    /// Further than what was acknowledged.
    Further,
}

/// Whether a message is a sign of life by itself.
enum Heard {
    Yes,
    No,
}

impl Stream {
    fn receive(&mut self, message: Response) -> Result<(Option<Action>, Heard), FollowError> {
        let action = match message {
            Response::Welcome(welcome) => Action::Welcomed(self.welcome(welcome)?),
            Response::Snapshot(chunk) => match self.chunk(chunk)? {
                Some(snapshot) => Action::Install(snapshot),
                None => return Ok((None, Heard::No)),
            },
            Response::Delta(delta) => Action::Apply(self.delta(delta)?),
            Response::Heartbeat { revision } => return Ok((None, self.head(revision, "heartbeat")?)),
            Response::Head { nonce, revision } => {
                let heard = self.head(revision, "head")?;
                return Ok((Some(Action::HeadAnswered { nonce, revision }), heard));
            }
        };
        Ok((Some(action), Heard::No))
    }

    fn welcome(&mut self, welcome: Welcome) -> Result<Welcome, FollowError> {
        let Phase::Greeting(own) = &self.phase else { return Err(FollowError::OutOfTurn("welcome")) };
        if !(OLDEST_VERSION..=PROTOCOL_VERSION).contains(&welcome.protocol_version) {
            return Err(FollowError::Version(welcome.protocol_version));
        }
        self.heartbeat_interval = Some(welcome.heartbeat_interval);
        self.phase = match *own {
            own if welcome.snapshot_follows => Phase::Loading { own, position: None, facts: Vec::new() },
            Some(own) => Phase::Following { epoch: own.epoch, received: own.revision, acked: Some(own.revision) },
            None => return Err(FollowError::OutOfTurn("welcome without a snapshot")),
        };
        Ok(welcome)
    }

    fn chunk(&mut self, chunk: Chunk) -> Result<Option<Snapshot>, FollowError> {
        let Phase::Loading { own, position, facts } = &mut self.phase else {
            return Err(FollowError::OutOfTurn("snapshot"));
        };
        if let Some(own) = own.filter(|own| own.epoch == chunk.position.epoch && own.revision > chunk.position.revision)
        {
            let refused = InstallError::Below { own: own.revision, offered: chunk.position.revision };
            return Err(refused.into());
        }
        if *position.get_or_insert(chunk.position) != chunk.position {
            return Err(FollowError::TornSnapshot);
        }
        facts.extend(chunk.facts);
        if !chunk.last {
            return Ok(None);
        }
        let snapshot = Snapshot { position: chunk.position, facts: std::mem::take(facts) };
        let Position { epoch, revision, .. } = chunk.position;
        self.phase = Phase::Following { epoch, received: revision, acked: None };
        Ok(Some(snapshot))
    }

    fn delta(&mut self, delta: Delta) -> Result<Delta, FollowError> {
        let Phase::Following { received, .. } = &mut self.phase else { return Err(FollowError::OutOfTurn("delta")) };
        for entry in &delta.entries {
            let expected = received.saturating_add(1);
            if entry.revision != expected {
                return Err(FollowError::Gap { expected, found: entry.revision });
            }
            *received = expected;
        }
        Ok(delta)
    }

    /// The issuer names its head.
    fn head(&mut self, revision: u64, what: &'static str) -> Result<Heard, FollowError> {
        if matches!(self.phase, Phase::Greeting(_)) {
            return Err(FollowError::OutOfTurn(what));
        }
        if self.caught_up == CaughtUp::Unknown {
            self.caught_up = CaughtUp::At(revision);
            self.catch_up();
        }
        let alive = self.caught_up == CaughtUp::Yes && self.visible().is_some_and(|visible| visible >= revision);
        Ok(if alive { Heard::Yes } else { Heard::No })
    }

    fn applied(&mut self, position: Position) -> Reached {
        let Phase::Following { epoch, received, acked } = &mut self.phase else { return Reached::Elsewhere };
        if position.epoch != *epoch || position.revision > *received {
            return Reached::Elsewhere;
        }
        let new = acked.is_none_or(|acked| acked < position.revision);
        if new {
            *acked = Some(position.revision);
        }
        self.applied = Some((position.epoch, position.revision));
        self.catch_up();
        if new { Reached::Further } else { Reached::Again }
    }

    fn catch_up(&mut self) {
        if let CaughtUp::At(head) = self.caught_up
            && self.visible().is_some_and(|visible| visible >= head)
        {
            self.caught_up = CaughtUp::Yes;
        }
    }

    /// What readers see of the log this stream carries.
    fn visible(&self) -> Option<u64> {
        match (&self.phase, self.applied) {
            (Phase::Following { epoch, .. }, Some((applied, revision))) if *epoch == applied => Some(revision),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
