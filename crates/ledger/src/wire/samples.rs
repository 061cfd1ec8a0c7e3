//! Arbitrary events, for the tests of this crate.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tessera_types::{Algorithm, Audience, ClientId, Epoch, GrantId, KeyId, KeyState, Timestamp, TokenId, UserId};

use crate::chain;
use crate::event::{ChainHash, ClientState, Entry, Event, KeyFact, Position, Subject};
use crate::wire::encode_event;

fn parsed<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("the strategy makes valid text")
}

/// Clients that often are the same.
pub(crate) fn client() -> impl Strategy<Value = ClientId> {
    "[a-d]".prop_map(|text| parsed(&text))
}

fn audience() -> impl Strategy<Value = Audience> {
    "[a-z]{1,8}".prop_map(|text| parsed(&text))
}

/// Moments of which many share an hour.
pub(crate) fn moment() -> impl Strategy<Value = Timestamp> {
    (0..40_000_i64).prop_map(Timestamp)
}

pub(crate) fn subject() -> impl Strategy<Value = Subject> {
    let id = || "[u-w]".prop_map(String::into_boxed_str);
    prop_oneof![
        client().prop_map(Subject::Client),
        id().prop_map(Subject::User),
        id().prop_map(Subject::Organization),
        (id(), client()).prop_map(|(user, client)| Subject::Consent { user, client }),
        Just(Subject::Everything),
    ]
}

fn client_state() -> impl Strategy<Value = ClientState> {
    let owner = option::of(any::<[u8; 16]>().prop_map(UserId));
    (any::<bool>(), vec(audience(), 0..3), vec(audience(), 0..3), owner)
        .prop_map(|(enabled, audiences, resources, owner)| ClientState { enabled, audiences, resources, owner })
}

fn key_fact() -> impl Strategy<Value = KeyFact> {
    let algorithm = proptest::sample::select(Algorithm::ALL);
    let state = proptest::sample::select(KeyState::ALL);
    ("[k-m]", algorithm, "[{}\"a-z]{0,20}", state).prop_map(|(key, algorithm, jwk, state)| KeyFact {
        key: parsed::<KeyId>(&key),
        algorithm,
        public_jwk: jwk.into(),
        state,
    })
}

/// Events that are often about the same things.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    let id = || (0..12_u8).prop_map(|n| [n; 16]);
    prop_oneof![
        3 => (id(), moment()).prop_map(|(id, expires)| Event::TokenRevoked { token: TokenId(id), expires }),
        2 => (id(), moment()).prop_map(|(id, expires)| Event::GrantRevoked { grant: GrantId(id), expires }),
        2 => subject().prop_map(Event::WatermarkRaised),
        2 => (client(), option::of(client_state())).prop_map(|(client, state)| Event::ClientChanged { client, state }),
        1 => key_fact().prop_map(Event::KeyChanged),
        1 => moment().prop_map(Event::ExpiredBefore),
        1 => (2..4_u64).prop_map(|former| Event::EpochBegan { former: Epoch(former) }),
    ]
}

pub(crate) fn position() -> impl Strategy<Value = Position> {
    (any::<u64>(), any::<u64>(), any::<ChainHash>()).prop_map(|(epoch, revision, hash)| Position {
        epoch: Epoch(epoch),
        revision,
        hash,
    })
}

/// A log from these events: revisions from 1, hashes chained.
pub(crate) fn log(events: &[Event]) -> Vec<Entry> {
    let mut hash = chain::START;
    (1..)
        .zip(events)
        .map(|(revision, event)| {
            hash = chain::next(&hash, revision, &encode_event(event));
            Entry { revision, hash, event: event.clone() }
        })
        .collect()
}

/// Where a log stands after these entries.
pub(crate) fn head(epoch: u64, entries: &[Entry]) -> Position {
    let (revision, hash) = entries.last().map_or((0, chain::START), |entry| (entry.revision, entry.hash));
    Position { epoch: Epoch(epoch), revision, hash }
}
