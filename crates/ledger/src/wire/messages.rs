//! What the two ends of a feed say, as messages.

use std::time::Duration;

use tessera_api::sync::v1;

use super::time::{duration_from_wire, duration_to_wire};
use super::{
    WireError, array, entry_from_wire, entry_to_wire, fact_from_wire, fact_to_wire, position_from_wire,
    position_to_wire,
};
use crate::message::{Chunk, Delta, Hello, LONGEST_NAME, LONGEST_STALENESS, ReplicaId, Request, Response, Welcome};

/// What a replica says, as a message.
#[must_use]
pub fn request_to_wire(request: &Request) -> v1::WatchRequest {
    use v1::watch_request::Message;
    let message = match request {
        Request::Hello(hello) => Message::Hello(v1::Hello {
            protocol_version: hello.protocol_version,
            replica_id: hello.replica.0.to_vec(),
            position: hello.position.as_ref().map(position_to_wire),
            name: hello.name.clone(),
            max_staleness: Some(duration_to_wire(hello.max_staleness)),
        }),
        Request::Ack(revision) => Message::Ack(v1::Ack { revision: *revision }),
        Request::HeadRequest { nonce } => Message::HeadRequest(v1::HeadRequest { nonce: *nonce }),
        Request::Goodbye => Message::Goodbye(v1::Goodbye {}),
    };
    v1::WatchRequest { message: Some(message) }
}

/// What a replica says, from a message.
///
/// # Errors
/// Where it is of an unknown kind, or a member is out of bounds.
pub fn request_from_wire(request: v1::WatchRequest) -> Result<Request, WireError> {
    use v1::watch_request::Message;
    Ok(match request.message.ok_or(WireError::Unknown("watch_request.message"))? {
        Message::Hello(hello) => Request::Hello(hello_from_wire(hello)?),
        Message::Ack(ack) => Request::Ack(ack.revision),
        Message::HeadRequest(request) => Request::HeadRequest { nonce: request.nonce },
        Message::Goodbye(v1::Goodbye {}) => Request::Goodbye,
    })
}

/// What the issuer says, as a message.
#[must_use]
pub fn response_to_wire(response: &Response) -> v1::WatchResponse {
    use v1::watch_response::Message;
    let message = match response {
        Response::Welcome(welcome) => Message::Welcome(v1::Welcome {
            protocol_version: welcome.protocol_version,
            issuer: welcome.issuer.clone(),
            snapshot_follows: welcome.snapshot_follows,
            heartbeat_interval: Some(duration_to_wire(welcome.heartbeat_interval)),
        }),
        Response::Snapshot(chunk) => Message::Snapshot(v1::SnapshotChunk {
            position: Some(position_to_wire(&chunk.position)),
            entries: chunk.facts.iter().map(fact_to_wire).collect(),
            last: chunk.last,
        }),
        Response::Delta(delta) => Message::Delta(v1::Delta {
            events: delta.entries.iter().map(entry_to_wire).collect(),
            age: Some(duration_to_wire(delta.age)),
            traces: Vec::new(),
        }),
        Response::Heartbeat { revision } => Message::Heartbeat(v1::Heartbeat { revision: *revision }),
        Response::Head { nonce, revision } => Message::Head(v1::Head { nonce: *nonce, revision: *revision }),
    };
    v1::WatchResponse { message: Some(message) }
}

/// What the issuer says, from a message.
///
/// # Errors
/// Where it, or an event in it, is of an unknown kind, or a member is out of bounds.
pub fn response_from_wire(response: v1::WatchResponse) -> Result<Response, WireError> {
    use v1::watch_response::Message;
    Ok(match response.message.ok_or(WireError::Unknown("watch_response.message"))? {
        Message::Welcome(welcome) => Response::Welcome(Welcome {
            protocol_version: welcome.protocol_version,
            issuer: welcome.issuer,
            snapshot_follows: welcome.snapshot_follows,
            heartbeat_interval: duration_from_wire(welcome.heartbeat_interval, "welcome.heartbeat_interval")?,
        }),
        Message::Snapshot(chunk) => Response::Snapshot(chunk_from_wire(chunk)?),
        Message::Delta(delta) => Response::Delta(delta_from_wire(delta)?),
        Message::Heartbeat(heartbeat) => Response::Heartbeat { revision: heartbeat.revision },
        Message::Head(head) => Response::Head { nonce: head.nonce, revision: head.revision },
    })
}

fn hello_from_wire(hello: v1::Hello) -> Result<Hello, WireError> {
    let max_staleness = duration_from_wire(hello.max_staleness, "hello.max_staleness")?;
    if max_staleness == Duration::ZERO || max_staleness > LONGEST_STALENESS {
        return Err(WireError::Invalid("hello.max_staleness"));
    }
    if hello.name.len() > LONGEST_NAME {
        return Err(WireError::Invalid("hello.name"));
    }
    Ok(Hello {
        protocol_version: hello.protocol_version,
        replica: ReplicaId(array(&hello.replica_id, "hello.replica_id")?),
        position: hello.position.as_ref().map(position_from_wire).transpose()?,
        name: hello.name,
        max_staleness,
    })
}

fn chunk_from_wire(chunk: v1::SnapshotChunk) -> Result<Chunk, WireError> {
    let position = chunk.position.as_ref().ok_or(WireError::Unknown("snapshot_chunk.position"))?;
    Ok(Chunk {
        position: position_from_wire(position)?,
        facts: chunk.entries.into_iter().map(fact_from_wire).collect::<Result<_, _>>()?,
        last: chunk.last,
    })
}

fn delta_from_wire(delta: v1::Delta) -> Result<Delta, WireError> {
    if delta.events.is_empty() {
        return Err(WireError::Invalid("delta.events"));
    }
    Ok(Delta {
        entries: delta.events.into_iter().map(entry_from_wire).collect::<Result<_, _>>()?,
        age: duration_from_wire(delta.age, "delta.age")?,
    })
}
