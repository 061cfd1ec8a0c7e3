use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tessera_types::Epoch;

use super::*;
use crate::message::{Delta, Hello, ReplicaId, Request, Response, Welcome};
use crate::wire::samples;

fn entry() -> impl Strategy<Value = Entry> {
    (1..u64::MAX, any::<ChainHash>(), samples::event()).prop_map(|(revision, hash, event)| Entry {
        revision,
        hash,
        event,
    })
}

fn fact() -> impl Strategy<Value = Fact> {
    (1..u64::MAX, samples::event()).prop_map(|(revision, event)| Fact { revision, event })
}

fn request() -> impl Strategy<Value = Request> {
    let hello = (any::<[u8; 16]>(), option::of(samples::position()), "[ -~]{0,255}", 1..=60_000_u64).prop_map(
        |(replica, position, name, staleness)| Hello {
            protocol_version: 1,
            replica: ReplicaId(replica),
            position,
            name,
            max_staleness: Duration::from_millis(staleness),
        },
    );
    prop_oneof![
        hello.prop_map(Request::Hello),
        any::<u64>().prop_map(Request::Ack),
        any::<u64>().prop_map(|nonce| Request::HeadRequest { nonce }),
        Just(Request::Goodbye),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let span = || (0..1_000_000_u64).prop_map(Duration::from_micros);
    let welcome =
        ("[a-z:/]{0,20}", any::<bool>(), span()).prop_map(|(issuer, snapshot_follows, heartbeat_interval)| Welcome {
            protocol_version: 1,
            issuer,
            snapshot_follows,
            heartbeat_interval,
        });
    let chunk = (samples::position(), vec(fact(), 0..5), any::<bool>()).prop_map(|(position, facts, last)| Chunk {
        position,
        facts,
        last,
    });
    prop_oneof![
        welcome.prop_map(Response::Welcome),
        chunk.prop_map(Response::Snapshot),
        (vec(entry(), 1..5), span()).prop_map(|(entries, age)| Response::Delta(Delta { entries, age })),
        any::<u64>().prop_map(|revision| Response::Heartbeat { revision }),
        any::<(u64, u64)>().prop_map(|(nonce, revision)| Response::Head { nonce, revision }),
    ]
}

proptest! {
    #[test]
    fn an_event_reads_back_as_written(event in samples::event()) {
        prop_assert_eq!(decode_event(&encode_event(&event)), Ok(event));
    }

    #[test]
    fn messages_read_back_as_written(request in request(), response in response()) {
        prop_assert_eq!(request_from_wire(request_to_wire(&request)), Ok(request));
        prop_assert_eq!(response_from_wire(response_to_wire(&response)), Ok(response));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_what_they_decode_to_is_stable(bytes: Vec<u8>) {
        if let Ok(event) = decode_event(&bytes) {
            prop_assert_eq!(decode_event(&encode_event(&event)), Ok(event));
        }
    }

    #[test]
    fn chunks_hold_every_fact_once_and_only_the_last_is_marked(facts in vec(fact(), 0..40), per_chunk in 0..7_usize) {
        let snapshot = Snapshot { position: samples::head(1, &[]), facts };
        let chunks: Vec<_> = snapshot_chunks(&snapshot, per_chunk).collect();
        let (last, before) = chunks.split_last().expect("there is always one chunk");
        prop_assert!(last.last && before.iter().all(|chunk| !chunk.last));
        prop_assert!(chunks.iter().all(|chunk| chunk.facts.len() <= per_chunk.max(1)));
        let joined: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.facts).collect();
        prop_assert_eq!(joined, snapshot.facts);
    }
}

#[test]
fn a_chunk_is_bounded_by_weight() {
    let jwk = "x".repeat(MESSAGE_WEIGHT / 3);
    let big = |n: u64| Fact {
        revision: n,
        event: Event::KeyChanged(KeyFact {
            key: n.to_string().parse().expect("a key id"),
            algorithm: tessera_types::Algorithm::Es256,
            public_jwk: jwk.as_str().into(),
            state: KeyState::Active,
        }),
    };
    let snapshot = Snapshot { position: samples::head(1, &[]), facts: (1..=5).map(big).collect() };
    let sizes: Vec<_> = snapshot_chunks(&snapshot, 1000).map(|chunk| chunk.facts.len()).collect();
    assert_eq!(sizes, [2, 2, 1]);
}

#[test]
fn an_event_of_an_unknown_kind_is_an_error() {
    // Field 99, length-delimited and empty: what a later version might add to the oneof.
    let later_kind = [0x9a, 0x06, 0x00];
    assert_eq!(decode_event(&later_kind), Err(WireError::Unknown("event.kind")));
    assert_eq!(decode_event(&[]), Err(WireError::Unknown("event.kind")));
    // A watermark (field 3) of a subject in field 99.
    let later_subject = [0x1a, 0x03, 0x9a, 0x06, 0x00];
    assert_eq!(decode_event(&later_subject), Err(WireError::Unknown("watermark_raised.subject")));
}

#[test]
fn a_key_state_of_an_unknown_number_is_an_error() {
    for number in [0, 99, -1] {
        let changed = v1::KeyChanged {
            key_id: "k".to_owned(),
            algorithm: "ES256".to_owned(),
            public_jwk: "{}".to_owned(),
            state: number,
        };
        let event = v1::Event { kind: Some(v1::event::Kind::KeyChanged(changed)) };
        assert_eq!(event_from_wire(event), Err(WireError::Unknown("key_changed.state")), "{number}");
    }
}

#[test]
fn ids_and_hashes_of_another_length_are_errors() {
    let token = |token_id: Vec<u8>| v1::Event {
        kind: Some(v1::event::Kind::TokenRevoked(v1::TokenRevoked {
            token_id,
            expire_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        })),
    };
    assert!(event_from_wire(token(vec![1; 16])).is_ok());
    for length in [0, 15, 17] {
        let expected = Err(WireError::Invalid("token_revoked.token_id"));
        assert_eq!(event_from_wire(token(vec![1; length])), expected, "{length}");
    }
    let position = |hash: Vec<u8>| v1::Position { epoch: Epoch(1).to_string(), revision: 1, hash };
    assert!(position_from_wire(&position(vec![0; 32])).is_ok());
    assert_eq!(position_from_wire(&position(vec![0; 31])), Err(WireError::Invalid("position.hash")));
}

#[test]
fn an_entry_at_revision_zero_is_an_error() {
    let event = || Some(event_to_wire(&Event::WatermarkRaised(Subject::Everything)));
    let entry = v1::LogEvent { revision: 0, hash: vec![0; 32], event: event() };
    assert_eq!(entry_from_wire(entry), Err(WireError::Invalid("log_event.revision")));
    let fact = v1::SnapshotEntry { revision: 0, event: event() };
    assert_eq!(fact_from_wire(fact), Err(WireError::Invalid("snapshot_entry.revision")));
}

#[test]
fn a_hello_out_of_bounds_is_an_error() {
    let hello = |staleness: Duration, name: usize| {
        request_from_wire(request_to_wire(&Request::Hello(Hello {
            protocol_version: 1,
            replica: ReplicaId([1; 16]),
            position: None,
            name: "n".repeat(name),
            max_staleness: staleness,
        })))
    };
    assert!(hello(Duration::from_mins(1), 255).is_ok());
    let staleness = Err(WireError::Invalid("hello.max_staleness"));
    assert_eq!(hello(Duration::ZERO, 1), staleness);
    assert_eq!(hello(Duration::from_millis(60_001), 1), staleness);
    assert_eq!(hello(Duration::from_secs(1), 256), Err(WireError::Invalid("hello.name")));
    let unset = v1::WatchRequest {
        message: Some(v1::watch_request::Message::Hello(v1::Hello { replica_id: vec![1; 16], ..v1::Hello::default() })),
    };
    assert_eq!(request_from_wire(unset), Err(WireError::Unknown("hello.max_staleness")));
}

#[test]
fn an_empty_delta_is_an_error() {
    let delta = v1::Delta { age: Some(prost_types::Duration::default()), ..v1::Delta::default() };
    let message = v1::WatchResponse { message: Some(v1::watch_response::Message::Delta(delta)) };
    assert_eq!(response_from_wire(message), Err(WireError::Invalid("delta.events")));
}
