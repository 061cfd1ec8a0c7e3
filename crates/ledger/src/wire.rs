//! The log's form on the wire and at rest: protobuf (`tessera.sync.v1`), both ways.
//!
//! Reading is strict: what is unset, unknown or out of bounds is an error and never a default. Protobuf skips silently what it
//! does not know, and an event kind skipped silently would be a revocation lost. The conversions of whole messages are in
//! [`messages`].

pub mod messages;
#[cfg(test)]
mod previous;
#[cfg(test)]
pub(crate) mod samples;
pub mod time;

use prost::Message as _;
use tessera_api::sync::v1;
use tessera_types::{ErrorCode, Failure, GrantId, KeyState, TokenId};

use crate::event::{ChainHash, ClientState, Entry, Event, Fact, KeyFact, Position, Snapshot, Subject};
use crate::message::Chunk;

pub use messages::{request_from_wire, request_to_wire, response_from_wire, response_to_wire};

/// The most bytes of facts or entries that go into one message, roughly; a single larger one still goes alone.
pub const MESSAGE_WEIGHT: usize = 512 * 1024;

/// What was read is not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A member that must be there is not, or is of a kind this version does not know.
    #[error("{0} is unset or of an unknown kind")]
    Unknown(&'static str),
    /// A member has a value it cannot have.
    #[error("{0} is malformed or out of bounds")]
    Invalid(&'static str),
    /// The bytes are not protobuf.
    #[error("not a protobuf message")]
    Undecodable,
}

impl Failure for WireError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "SYNC_UNKNOWN_MESSAGE",
            Self::Invalid(_) | Self::Undecodable => "SYNC_MALFORMED_MESSAGE",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Unknown(_) => {
                "The message is of a kind this version does not know; run the same version on both sides."
            }
            Self::Invalid(_) | Self::Undecodable => "The message is malformed.",
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Unknown(field) | Self::Invalid(field) => Some(field),
            Self::Undecodable => None,
        }
    }
}

/// An event as bytes: what the store keeps and the [chain](crate::chain) hashes.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    event_to_wire(event).encode_to_vec()
}

/// An event from the bytes of [`encode_event`].
///
/// # Errors
/// [`WireError::Undecodable`], or what [`event_from_wire`] says.
pub fn decode_event(bytes: &[u8]) -> Result<Event, WireError> {
    event_from_wire(v1::Event::decode(bytes).map_err(|_| WireError::Undecodable)?)
}

/// An event as a message. A moment outside protobuf's years 1 to 9999 becomes the nearest one inside.
#[must_use]
pub fn event_to_wire(event: &Event) -> v1::Event {
    use v1::event::Kind;
    let kind = match event {
        Event::TokenRevoked { token, expires } => Kind::TokenRevoked(v1::TokenRevoked {
            token_id: token.0.to_vec(),
            expire_time: Some(time::timestamp_to_wire(*expires)),
        }),
        Event::GrantRevoked { grant, expires } => Kind::GrantRevoked(v1::GrantRevoked {
            grant_id: grant.0.to_vec(),
            expire_time: Some(time::timestamp_to_wire(*expires)),
        }),
        Event::WatermarkRaised(subject) => {
            Kind::WatermarkRaised(v1::WatermarkRaised { subject: Some(subject_to_wire(subject)) })
        }
        Event::ClientChanged { client, state } => Kind::ClientChanged(v1::ClientChanged {
            client_id: client.to_string(),
            state: state.as_ref().map(client_state_to_wire),
        }),
        Event::KeyChanged(fact) => Kind::KeyChanged(key_to_wire(fact)),
        Event::ExpiredBefore(floor) => {
            Kind::ExpiredBefore(v1::ExpiredBefore { time: Some(time::timestamp_to_wire(*floor)) })
        }
        Event::EpochBegan { former } => Kind::EpochBegan(v1::EpochBegan { former_epoch: former.to_string() }),
    };
    v1::Event { kind: Some(kind) }
}

/// An event from a message.
///
/// # Errors
/// [`WireError::Unknown`] where the kind, or the subject of a watermark, is one this version does not know.
pub fn event_from_wire(event: v1::Event) -> Result<Event, WireError> {
    use v1::event::Kind;
    Ok(match event.kind.ok_or(WireError::Unknown("event.kind"))? {
        Kind::TokenRevoked(revoked) => Event::TokenRevoked {
            token: TokenId(array(&revoked.token_id, "token_revoked.token_id")?),
            expires: time::timestamp_from_wire(revoked.expire_time, "token_revoked.expire_time")?,
        },
        Kind::GrantRevoked(revoked) => Event::GrantRevoked {
            grant: GrantId(array(&revoked.grant_id, "grant_revoked.grant_id")?),
            expires: time::timestamp_from_wire(revoked.expire_time, "grant_revoked.expire_time")?,
        },
        Kind::WatermarkRaised(raised) => Event::WatermarkRaised(subject_from_wire(raised)?),
        Kind::ClientChanged(changed) => Event::ClientChanged {
            client: parse(&changed.client_id, "client_changed.client_id")?,
            state: changed.state.as_ref().map(client_state_from_wire).transpose()?,
        },
        Kind::KeyChanged(changed) => Event::KeyChanged(key_from_wire(changed)?),
        Kind::ExpiredBefore(before) => {
            Event::ExpiredBefore(time::timestamp_from_wire(before.time, "expired_before.time")?)
        }
        Kind::EpochBegan(began) => {
            Event::EpochBegan { former: parse(&began.former_epoch, "epoch_began.former_epoch")? }
        }
    })
}

/// An entry as a message.
#[must_use]
pub fn entry_to_wire(entry: &Entry) -> v1::LogEvent {
    v1::LogEvent { revision: entry.revision, hash: entry.hash.to_vec(), event: Some(event_to_wire(&entry.event)) }
}

/// An entry from a message.
///
/// # Errors
/// [`WireError::Invalid`] for revision 0 or a hash that is not 32 bytes; else as [`event_from_wire`].
pub fn entry_from_wire(entry: v1::LogEvent) -> Result<Entry, WireError> {
    Ok(Entry {
        revision: place(entry.revision, "log_event.revision")?,
        hash: array(&entry.hash, "log_event.hash")?,
        event: event_from_wire(entry.event.ok_or(WireError::Unknown("log_event.event"))?)?,
    })
}

/// A fact as a message.
#[must_use]
pub fn fact_to_wire(fact: &Fact) -> v1::SnapshotEntry {
    v1::SnapshotEntry { revision: fact.revision, event: Some(event_to_wire(&fact.event)) }
}

/// A fact from a message.
///
/// # Errors
/// [`WireError::Invalid`] for revision 0; else as [`event_from_wire`].
pub fn fact_from_wire(fact: v1::SnapshotEntry) -> Result<Fact, WireError> {
    Ok(Fact {
        revision: place(fact.revision, "snapshot_entry.revision")?,
        event: event_from_wire(fact.event.ok_or(WireError::Unknown("snapshot_entry.event"))?)?,
    })
}

/// A position as a message.
#[must_use]
pub fn position_to_wire(position: &Position) -> v1::Position {
    v1::Position { epoch: position.epoch.to_string(), revision: position.revision, hash: position.hash.to_vec() }
}

/// A position from a message.
///
/// # Errors
/// [`WireError::Invalid`] for an epoch that is none, or a hash that is not 32 bytes.
pub fn position_from_wire(position: &v1::Position) -> Result<Position, WireError> {
    let hash: ChainHash = array(&position.hash, "position.hash")?;
    Ok(Position { epoch: parse(&position.epoch, "position.epoch")?, revision: position.revision, hash })
}

/// A snapshot in chunks of at most `per_chunk` facts (and of at most about [`MESSAGE_WEIGHT`] bytes), the last one marked. An
/// empty snapshot is one empty chunk.
pub fn snapshot_chunks(snapshot: &Snapshot, per_chunk: usize) -> impl Iterator<Item = Chunk> {
    let mut rest = Some(snapshot.facts.as_slice());
    std::iter::from_fn(move || {
        let (now, later) = cut(rest.take()?, per_chunk, |fact| &fact.event);
        let last = later.is_empty();
        if !last {
            rest = Some(later);
        }
        Some(Chunk { position: snapshot.position, facts: now.to_vec(), last })
    })
}

/// Cuts off the front what fits into one message: at most `count` items, at most about [`MESSAGE_WEIGHT`] bytes, but one at
/// least where there is one.
pub(crate) fn cut<T>(items: &[T], count: usize, event: impl Fn(&T) -> &Event) -> (&[T], &[T]) {
    let mut total = 0_usize;
    let fitting = items.iter().take(count.max(1)).take_while(|item| {
        total = total.saturating_add(weight(event(item)));
        total <= MESSAGE_WEIGHT
    });
    items.split_at(fitting.count().max(1).min(items.len()))
}

/// About how many bytes an entry with this event takes.
fn weight(event: &Event) -> usize {
    let text = |audiences: &[tessera_types::Audience]| audiences.iter().map(|a| a.as_str().len() + 4).sum::<usize>();
    96 + match event {
        Event::ClientChanged { client, state } => {
            client.as_str().len() + state.as_ref().map_or(0, |state| text(&state.audiences) + text(&state.resources))
        }
        Event::KeyChanged(fact) => fact.key.as_str().len() + fact.public_jwk.len(),
        Event::WatermarkRaised(subject) => subject.weight(),
        Event::TokenRevoked { .. }
        | Event::GrantRevoked { .. }
        | Event::ExpiredBefore(_)
        | Event::EpochBegan { .. } => 0,
    }
}

impl Subject {
    fn weight(&self) -> usize {
        match self {
            Self::Client(client) => client.as_str().len(),
            Self::User(id) | Self::Organization(id) => id.len(),
            Self::Consent { user, client } => user.len() + client.as_str().len(),
            Self::Everything => 0,
        }
    }
}

fn subject_to_wire(subject: &Subject) -> v1::watermark_raised::Subject {
    use v1::watermark_raised::Subject as Wire;
    match subject {
        Subject::Client(client) => Wire::ClientId(client.to_string()),
        Subject::User(user) => Wire::UserId(user.to_string()),
        Subject::Organization(organization) => Wire::OrganizationId(organization.to_string()),
        Subject::Consent { user, client } => {
            Wire::Consent(v1::Consent { user_id: user.to_string(), client_id: client.to_string() })
        }
        Subject::Everything => Wire::Everything(v1::Everything {}),
    }
}

fn subject_from_wire(raised: v1::WatermarkRaised) -> Result<Subject, WireError> {
    use v1::watermark_raised::Subject as Wire;
    Ok(match raised.subject.ok_or(WireError::Unknown("watermark_raised.subject"))? {
        Wire::ClientId(client) => Subject::Client(parse(&client, "watermark_raised.client_id")?),
        Wire::UserId(user) => Subject::User(id(user, "watermark_raised.user_id")?),
        Wire::OrganizationId(organization) => {
            Subject::Organization(id(organization, "watermark_raised.organization_id")?)
        }
        Wire::Consent(consent) => Subject::Consent {
            user: id(consent.user_id, "consent.user_id")?,
            client: parse(&consent.client_id, "consent.client_id")?,
        },
        Wire::Everything(v1::Everything {}) => Subject::Everything,
    })
}

fn client_state_to_wire(state: &ClientState) -> v1::ClientState {
    v1::ClientState {
        enabled: state.enabled,
        audiences: state.audiences.iter().map(ToString::to_string).collect(),
        resources: state.resources.iter().map(ToString::to_string).collect(),
        owner_id: state.owner.map(|owner| owner.to_string()).unwrap_or_default(),
    }
}

fn client_state_from_wire(state: &v1::ClientState) -> Result<ClientState, WireError> {
    let all = |texts: &[String], field| texts.iter().map(|text| parse(text, field)).collect::<Result<Vec<_>, _>>();
    Ok(ClientState {
        enabled: state.enabled,
        audiences: all(&state.audiences, "client_state.audiences")?,
        resources: all(&state.resources, "client_state.resources")?,
        owner: match state.owner_id.as_str() {
            "" => None,
            owner => Some(parse(owner, "client_state.owner_id")?),
        },
    })
}

fn key_to_wire(fact: &KeyFact) -> v1::KeyChanged {
    let state = match fact.state {
        KeyState::Next => v1::KeyState::Next,
        KeyState::Active => v1::KeyState::Active,
        KeyState::Retiring => v1::KeyState::Retiring,
        KeyState::Retired => v1::KeyState::Retired,
    };
    v1::KeyChanged {
        key_id: fact.key.to_string(),
        algorithm: fact.algorithm.to_string(),
        public_jwk: fact.public_jwk.to_string(),
        state: state.into(),
    }
}

fn key_from_wire(changed: v1::KeyChanged) -> Result<KeyFact, WireError> {
    let state = match changed.state() {
        v1::KeyState::Next => KeyState::Next,
        v1::KeyState::Active => KeyState::Active,
        v1::KeyState::Retiring => KeyState::Retiring,
        v1::KeyState::Retired => KeyState::Retired,
        // What a number stands for that this version does not know is read as unspecified.
        v1::KeyState::Unspecified => return Err(WireError::Unknown("key_changed.state")),
    };
    Ok(KeyFact {
        key: parse(&changed.key_id, "key_changed.key_id")?,
        algorithm: parse(&changed.algorithm, "key_changed.algorithm")?,
        public_jwk: changed.public_jwk.into(),
        state,
    })
}

/// The place of an event: 0 is before the first one.
fn place(revision: u64, field: &'static str) -> Result<u64, WireError> {
    if revision == 0 { Err(WireError::Invalid(field)) } else { Ok(revision) }
}

/// An opaque identifier; an empty one is an unset field.
fn id(text: String, field: &'static str) -> Result<Box<str>, WireError> {
    if text.is_empty() { Err(WireError::Invalid(field)) } else { Ok(text.into()) }
}

fn array<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| WireError::Invalid(field))
}

fn parse<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<T, WireError> {
    text.parse().map_err(|_| WireError::Invalid(field))
}

#[cfg(test)]
mod tests;
