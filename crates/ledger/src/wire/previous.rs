//! Messages of the version before, byte for byte: this version reads them, and says the same again.
//!
//! `previous.txt` has a session of the feed, a line for each message. `cargo xtask record-previous`, at a release, writes it anew.

use std::path::PathBuf;
use std::time::Duration;

use prost::Message as _;
use tessera_api::sync::v1::{WatchRequest, WatchResponse};
use tessera_types::{Algorithm, GrantId, KeyState, Timestamp, TokenId};

use super::*;
use crate::event::{ClientState, KeyFact, Subject};
use crate::feed::{Feed, Terms};
use crate::follower::Follower;
use crate::message::{Delta, Hello, PROTOCOL_VERSION, ReplicaId, Request, Response, Welcome};
use crate::replica::Replica;
use crate::wire::samples;

const SECOND: Duration = Duration::from_secs(1);

/// One event of each kind.
fn events() -> Vec<Event> {
    let (client, user) = ("orders-service", "0192f3a0-0000-7000-8000-000000000001");
    let audiences = vec!["https://orders.test".parse().expect("an audience")];
    let state = ClientState { enabled: true, resources: audiences.clone(), audiences, owner: user.parse().ok() };
    let id = || client.parse().expect("a client id");
    let key = KeyFact {
        key: "key-1".parse().expect("a key id"),
        algorithm: Algorithm::Es256,
        public_jwk: r#"{"kty":"EC"}"#.into(),
        state: KeyState::Active,
    };
    vec![
        Event::KeyChanged(key),
        Event::ClientChanged { client: id(), state: Some(state) },
        Event::TokenRevoked { token: TokenId([7; 16]), expires: Timestamp(1_800_000_000) },
        Event::GrantRevoked { grant: GrantId([8; 16]), expires: Timestamp(1_800_000_000) },
        Event::WatermarkRaised(Subject::Client(id())),
        Event::WatermarkRaised(Subject::User(user.into())),
        Event::WatermarkRaised(Subject::Organization(user.into())),
        Event::WatermarkRaised(Subject::Consent { user: user.into(), client: id() }),
        Event::ClientChanged { client: id(), state: None },
        Event::ExpiredBefore(Timestamp(1_700_000_000)),
        Event::WatermarkRaised(Subject::Everything),
    ]
}

fn requests() -> Vec<Request> {
    let hello = |position| {
        let (name, max_staleness) = ("introspector-1".to_owned(), 5 * SECOND);
        let replica = ReplicaId([1; 16]);
        Request::Hello(Hello { protocol_version: PROTOCOL_VERSION, replica, position, name, max_staleness })
    };
    let position = samples::head(1, &samples::log(&events()));
    vec![hello(None), hello(Some(position)), Request::Ack(2), Request::HeadRequest { nonce: 9 }, Request::Goodbye]
}

fn responses() -> Vec<Response> {
    let log = samples::log(&events());
    let (before, after) = log.split_at(2);
    let facts = before.iter().map(|entry| Fact { revision: entry.revision, event: entry.event.clone() }).collect();
    let welcome = Welcome {
        protocol_version: PROTOCOL_VERSION,
        issuer: "https://issuer.test".to_owned(),
        snapshot_follows: true,
        heartbeat_interval: SECOND,
    };
    let snapshot = Snapshot { position: samples::head(1, before), facts };
    let mut all = vec![Response::Welcome(welcome)];
    all.extend(snapshot_chunks(&snapshot, 100).map(Response::Snapshot));
    all.push(Response::Delta(Delta { entries: after.to_vec(), age: Duration::ZERO }));
    all.push(Response::Heartbeat { revision: 11 });
    all.push(Response::Head { nonce: 9, revision: 11 });
    all
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/wire/previous.txt")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The recorded messages of a direction.
fn recorded(direction: &str) -> Vec<Vec<u8>> {
    let digits = |text: &str| u8::from_str_radix(text, 16).expect("hexadecimal");
    let bytes = |text: &str| (0..text.len() / 2).map(|at| digits(&text[2 * at..2 * at + 2])).collect();
    let lines = include_str!("previous.txt").lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(kind, _)| *kind == direction).map(|(_, text)| bytes(text)).collect()
}

#[test]
fn messages_of_the_version_before_mean_what_they_meant() {
    let (said, answered) = (recorded("request"), recorded("response"));
    assert!(said.len() >= 5 && answered.len() >= 5);
    for bytes in said {
        let request = request_from_wire(WatchRequest::decode(&bytes[..]).expect("a message")).expect("understood");
        assert_eq!(request_to_wire(&request).encode_to_vec(), bytes, "{request:?}");
    }
    for bytes in answered {
        let response = response_from_wire(WatchResponse::decode(&bytes[..]).expect("a message")).expect("understood");
        assert_eq!(response_to_wire(&response).encode_to_vec(), bytes, "{response:?}");
    }
}

#[test]
fn this_introspector_follows_an_issuer_of_the_version_before() {
    let replica = Replica::new();
    let mut follower = Follower::new(ReplicaId([1; 16]), "new".to_owned(), 5 * SECOND);
    follower.connect(None);
    for bytes in recorded("response") {
        let message = WatchResponse::decode(&bytes[..]).expect("a message");
        follower.absorb(&replica, message, SECOND).expect("the protocol is kept");
    }
    assert_eq!(replica.position().map(|position| position.revision), Some(11), "every kind of event was applied");
}

#[test]
fn this_issuer_serves_an_introspector_of_the_version_before() {
    let requests: Vec<_> = recorded("request")
        .into_iter()
        .map(|bytes| request_from_wire(WatchRequest::decode(&bytes[..]).expect("a message")).expect("understood"))
        .collect();
    let Some(Request::Hello(Hello { position: Some(head), .. })) = requests.get(1) else { panic!("{requests:?}") };
    let terms = Terms { issuer: "https://issuer.test".to_owned(), heartbeat_interval: SECOND, hello_timeout: SECOND };
    let mut feed = Feed::new(terms, Duration::ZERO);
    feed.receive(requests[1].clone()).expect("the Hello");
    feed.looked(*head, Some(head.hash), Duration::ZERO).expect("it resumes");
    for request in &requests[2..] {
        feed.receive(request.clone()).expect("the protocol is kept");
    }
}

/// Writes what is read from now on.
#[test]
#[ignore = "cargo xtask record-previous runs it, at a release"]
fn record() {
    let requests =
        requests().into_iter().map(|request| format!("request {}\n", hex(&request_to_wire(&request).encode_to_vec())));
    let responses = responses()
        .into_iter()
        .map(|response| format!("response {}\n", hex(&response_to_wire(&response).encode_to_vec())));
    let lines: String = requests.chain(responses).collect();
    std::fs::write(file(), lines).expect("written");
}
