//! The feed's messages, and the log's events at rest. What decodes is stable: written and read again it is equal, and written
//! again it is the same bytes. The chain hashes those bytes, so two forms of one event would be two histories.

use std::fmt::Debug;

use prost::Message;
use tessera_api::sync::v1;
use tessera_fuzz::Seeds;
use tessera_ledger::wire::{self, WireError};

const WORDS: &[&[u8]] = &[
    b"\x0a\x00",
    b"\x12\x00",
    b"\x1a\x00",
    b"\x08\x01",
    b"\x10\x01",
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x08\x80\xac\xca\xce\xcf\x8f\x01",
    b"demo-service",
    b"0123456789abcdef",
    b"0123456789abcdef0123456789abcdef",
    b"EdDSA",
];

fn seeds() -> Seeds {
    Seeds::load("feed", WORDS).expect("seeds")
}

fn property(input: &[u8]) -> bool {
    let event = stable(input, wire::decode_event, wire::encode_event);
    let request = stable(
        input,
        |bytes| wire::request_from_wire(message::<v1::WatchRequest>(bytes)?),
        |request| wire::request_to_wire(request).encode_to_vec(),
    );
    let response = stable(
        input,
        |bytes| wire::response_from_wire(message::<v1::WatchResponse>(bytes)?),
        |response| wire::response_to_wire(response).encode_to_vec(),
    );
    event || request || response
}

fn message<M: Message + Default>(bytes: &[u8]) -> Result<M, WireError> {
    M::decode(bytes).map_err(|_| WireError::Undecodable)
}

fn stable<T: Debug + PartialEq>(
    input: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, WireError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> bool {
    let Ok(read) = decode(input) else {
        return false;
    };
    let written = encode(&read);
    let again = decode(&written).expect("what was read can be written");
    assert_eq!(again, read);
    assert_eq!(encode(&again), written);
    true
}

tessera_fuzz::target!(what_decodes_is_stable, seeds(), property);
