use proptest::collection::vec;
use proptest::prelude::*;
use tessera_types::TokenId;

use super::*;
use crate::event::{Entry, Event};
use crate::wire::{response_to_wire, samples, snapshot_chunks};

const SECOND: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(10);

fn follower() -> Follower {
    Follower::new(ReplicaId([1; 16]), "test".to_owned(), MAX)
}

fn log(length: u8) -> Vec<Entry> {
    let event = |n: u8| Event::TokenRevoked { token: TokenId([n; 16]), expires: tessera_types::Timestamp(1) };
    samples::log(&(1..=length).map(event).collect::<Vec<_>>())
}

fn welcome(snapshot_follows: bool) -> Response {
    Response::Welcome(Welcome {
        protocol_version: PROTOCOL_VERSION,
        issuer: "https://issuer.test".to_owned(),
        snapshot_follows,
        heartbeat_interval: SECOND,
    })
}

fn heartbeat(revision: u64) -> Response {
    Response::Heartbeat { revision }
}

fn delta(entries: &[Entry]) -> Response {
    Response::Delta(Delta { entries: entries.to_vec(), age: Duration::ZERO })
}

fn snapshot(entries: &[Entry]) -> Snapshot {
    let facts = entries.iter().map(|e| Fact { revision: e.revision, event: e.event.clone() }).collect();
    Snapshot { position: samples::head(1, entries), facts }
}

fn chunks(entries: &[Entry], per_chunk: usize) -> Vec<Response> {
    snapshot_chunks(&snapshot(entries), per_chunk).map(Response::Snapshot).collect()
}

/// A replica with its end of the feed.
struct End {
    follower: Follower,
    replica: Replica,
}

impl End {
    /// A replica that holds these entries, with a stream on which nothing was said yet.
    fn at(entries: Option<&[Entry]>) -> Self {
        let replica = Replica::new();
        if let Some(entries) = entries {
            replica.install(snapshot(entries)).expect("a whole snapshot");
        }
        let mut follower = follower();
        follower.connect(replica.position());
        Self { follower, replica }
    }

    fn hear(&mut self, message: &Response, now: Duration) -> Result<Option<Request>, FollowError> {
        self.follower.absorb(&self.replica, response_to_wire(message), now).map(|absorbed| absorbed.reply)
    }

    fn hear_all(&mut self, messages: &[Response], now: Duration) -> Vec<Request> {
        messages.iter().filter_map(|message| self.hear(message, now).expect("the protocol is kept")).collect()
    }

    fn load(&mut self, entries: &[Entry], per_chunk: usize, now: Duration) -> Vec<Request> {
        let messages: Vec<_> = std::iter::once(welcome(true)).chain(chunks(entries, per_chunk)).collect();
        self.hear_all(&messages, now)
    }
}

#[test]
fn hello_tells_who_it_is_and_where_it_stands() {
    let log = log(2);
    let mut follower = follower();
    let Request::Hello(hello) = follower.connect(Some(samples::head(1, &log))) else { panic!("a Hello comes first") };
    assert_eq!((hello.protocol_version, hello.replica), (PROTOCOL_VERSION, ReplicaId([1; 16])));
    assert_eq!((hello.position, hello.max_staleness), (Some(samples::head(1, &log)), MAX));
}

#[test]
fn a_snapshot_takes_effect_and_is_acknowledged_with_its_last_chunk() {
    let log = log(5);
    let mut end = End::at(None);
    end.hear(&welcome(true), SECOND).expect("a welcome");
    let chunks = chunks(&log, 2);
    let (last, before) = chunks.split_last().expect("three chunks");
    assert_eq!(end.hear_all(before, SECOND), []);
    assert!(end.replica.position().is_none());
    assert_eq!(end.hear(last, SECOND), Ok(Some(Request::Ack(5))));
    assert_eq!(end.replica.position(), Some(samples::head(1, &log)));
}

#[test]
fn an_empty_logs_snapshot_is_acknowledged_too() {
    let mut end = End::at(None);
    assert_eq!(end.load(&[], 10, SECOND), [Request::Ack(0)]);
}

#[test]
fn deltas_go_on_where_the_replica_stands() {
    let log = log(5);
    let mut end = End::at(Some(&log[..2]));
    let acks = end.hear_all(&[welcome(false), delta(&log[2..3]), delta(&log[3..])], SECOND);
    assert_eq!(acks, [Request::Ack(3), Request::Ack(5)]);
    assert_eq!(end.replica.position(), Some(samples::head(1, &log)));
}

#[test]
fn nothing_is_acknowledged_before_it_is_applied() {
    let log = log(3);
    let mut follower = follower();
    follower.connect(Some(samples::head(1, &[])));
    follower.receive(response_to_wire(&welcome(false)), SECOND).expect("a welcome");
    let action = follower.receive(response_to_wire(&delta(&log)), SECOND).expect("entries that come next");
    assert!(matches!(action, Some(Action::Apply(_))), "the ack waits for `applied`");
    assert_eq!(follower.applied(samples::head(1, &log[..2])), Some(Request::Ack(2)), "only what was applied");
    assert_eq!(follower.applied(samples::head(1, &log[..2])), None, "only once");
    assert_eq!(follower.applied(samples::head(2, &log)), None, "another log is not this stream's");
    assert_eq!(follower.applied(samples::head(1, &log)), Some(Request::Ack(3)));
}

#[test]
fn a_gap_is_neither_applied_nor_acknowledged() {
    let log = log(5);
    let mut end = End::at(Some(&log[..2]));
    end.hear(&welcome(false), SECOND).expect("a welcome");
    assert_eq!(end.hear(&delta(&log[3..]), SECOND), Err(FollowError::Gap { expected: 3, found: 4 }));
    assert_eq!(end.replica.position(), Some(samples::head(1, &log[..2])));
    assert_eq!(end.hear(&delta(&log[2..]), SECOND), Err(FollowError::OutOfTurn("message")), "the stream is over");
}

/// The same message with its first event's kind replaced by one that a later version might add.
fn with_an_unknown_kind(mut message: v1::WatchResponse) -> v1::WatchResponse {
    match &mut message.message {
        Some(v1::watch_response::Message::Delta(delta)) => delta.events[0].event = Some(v1::Event { kind: None }),
        Some(v1::watch_response::Message::Snapshot(chunk)) => chunk.entries[0].event = Some(v1::Event { kind: None }),
        _ => unreachable!("only these carry events"),
    }
    message
}

#[test]
fn an_event_of_an_unknown_kind_is_never_acknowledged_and_ends_answering() {
    let log = log(3);
    let mut end = End::at(Some(&log[..2]));
    end.hear_all(&[welcome(false), heartbeat(2)], SECOND);
    assert!(!end.follower.stale(SECOND, MAX));
    let unknown = with_an_unknown_kind(response_to_wire(&delta(&log[2..])));
    let refused = Err(FollowError::Wire(WireError::Unknown("event.kind")));
    assert_eq!(end.follower.absorb(&end.replica, unknown, SECOND), refused);
    assert!(end.follower.stale(SECOND, MAX), "it answers UNAVAILABLE at once");
    assert_eq!(end.replica.position(), Some(samples::head(1, &log[..2])));

    // A new stream does not help as long as the event stands between the replica and the head.
    end.follower.connect(end.replica.position());
    end.hear_all(&[welcome(false), heartbeat(3)], SECOND);
    assert!(end.follower.stale(SECOND, MAX));
}

#[test]
fn a_snapshot_with_an_unknown_kind_is_refused_whole() {
    let log = log(3);
    let mut end = End::at(None);
    end.hear(&welcome(true), SECOND).expect("a welcome");
    let chunk = chunks(&log, 10).remove(0);
    let unknown = with_an_unknown_kind(response_to_wire(&chunk));
    assert!(end.follower.absorb(&end.replica, unknown, SECOND).is_err());
    assert!(end.replica.state().is_none());
}

#[test]
fn a_message_of_an_unknown_kind_is_refused() {
    let mut end = End::at(Some(&[]));
    end.hear_all(&[welcome(false), heartbeat(0)], SECOND);
    let unknown = v1::WatchResponse { message: None };
    assert!(end.follower.absorb(&end.replica, unknown, SECOND).is_err());
    assert!(end.follower.stale(SECOND, MAX));
}

#[test]
fn a_snapshot_below_the_replica_is_refused() {
    let log = log(5);
    let mut end = End::at(Some(&log));
    end.hear(&welcome(true), SECOND).expect("a welcome");
    let chunk = chunks(&log[..4], 10).remove(0);
    let refused = InstallError::Below { own: 5, offered: 4 };
    assert_eq!(end.hear(&chunk, SECOND), Err(FollowError::Install(refused)));
    assert_eq!(end.replica.position(), Some(samples::head(1, &log)));
}

#[test]
fn chunks_of_two_snapshots_are_refused() {
    let log = log(4);
    let mut end = End::at(None);
    end.hear(&welcome(true), SECOND).expect("a welcome");
    end.hear(&chunks(&log[..3], 1)[0], SECOND).expect("the first chunk");
    assert_eq!(end.hear(&chunks(&log, 1)[0], SECOND), Err(FollowError::TornSnapshot));
}

#[test]
fn what_comes_out_of_turn_is_refused() {
    let log = log(1);
    let chunk = || chunks(&[], 1).remove(0);
    let refused = |before: &[Response], message: &Response| {
        let mut end = End::at(Some(&[]));
        end.hear_all(before, SECOND);
        end.hear(message, SECOND)
    };
    assert_eq!(refused(&[], &delta(&log)), Err(FollowError::OutOfTurn("delta")));
    assert_eq!(refused(&[], &heartbeat(0)), Err(FollowError::OutOfTurn("heartbeat")));
    assert_eq!(refused(&[], &chunk()), Err(FollowError::OutOfTurn("snapshot")));
    assert_eq!(refused(&[welcome(false)], &welcome(false)), Err(FollowError::OutOfTurn("welcome")));
    assert_eq!(refused(&[welcome(false)], &chunk()), Err(FollowError::OutOfTurn("snapshot")));
    assert_eq!(refused(&[welcome(true)], &delta(&log)), Err(FollowError::OutOfTurn("delta")));
    let without = End::at(None).hear(&welcome(false), SECOND);
    assert_eq!(without, Err(FollowError::OutOfTurn("welcome without a snapshot")));
    let mut later = welcome(false);
    if let Response::Welcome(welcome) = &mut later {
        welcome.protocol_version = 2;
    }
    assert_eq!(refused(&[], &later), Err(FollowError::Version(2)));
}

#[test]
fn a_replica_is_stale_until_it_has_applied_the_head_of_its_stream() {
    let log = log(4);
    let mut end = End::at(Some(&log[..2]));
    end.hear_all(&[welcome(false), heartbeat(4)], SECOND);
    assert!(end.follower.stale(SECOND, MAX), "what lies between was perhaps called done without it");
    end.hear(&delta(&log[2..3]), SECOND).expect("the entry is next");
    assert!(end.follower.stale(SECOND, MAX));
    end.hear(&delta(&log[3..]), 2 * SECOND).expect("the entry is next");
    assert!(end.follower.is_caught_up());
    assert_eq!(end.follower.last_heard(), Some(2 * SECOND));
    assert!(!end.follower.stale(12 * SECOND, MAX));
    assert!(end.follower.stale(12 * SECOND + Duration::from_nanos(1), MAX));
}

#[test]
fn a_heartbeat_before_a_snapshot_names_the_head_to_reach() {
    let log = log(4);
    let mut end = End::at(None);
    let messages: Vec<_> = [welcome(true), heartbeat(4)].into_iter().chain(chunks(&log[..3], 10)).collect();
    end.hear_all(&messages, SECOND);
    assert!(end.follower.stale(SECOND, MAX), "a shared snapshot may be older than the stream");
    end.hear(&delta(&log[3..]), SECOND).expect("the entry is next");
    assert!(!end.follower.stale(SECOND, MAX));
}

#[test]
fn heartbeats_without_their_entries_are_no_sign_of_life() {
    let log = log(2);
    let mut end = End::at(Some(&log));
    end.hear_all(&[welcome(false), heartbeat(2)], SECOND);
    end.hear(&heartbeat(3), 5 * SECOND).expect("a heartbeat");
    assert_eq!(end.follower.last_heard(), Some(SECOND));
    end.hear(&Response::Head { nonce: 1, revision: 3 }, 6 * SECOND).expect("a head");
    assert_eq!(end.follower.last_heard(), Some(SECOND));
    end.hear(&heartbeat(2), 7 * SECOND).expect("a heartbeat");
    assert_eq!(end.follower.last_heard(), Some(7 * SECOND));
}

#[test]
fn a_broken_stream_leaves_the_replica_answering_until_it_is_stale() {
    let mut end = End::at(Some(&[]));
    end.hear_all(&[welcome(false), heartbeat(0)], SECOND);
    end.follower.disconnected();
    assert!(!end.follower.stale(11 * SECOND, MAX));
    end.follower.connect(end.replica.position());
    end.hear(&welcome(false), 5 * SECOND).expect("a welcome");
    assert_eq!(end.follower.last_heard(), Some(SECOND), "a welcome alone is no sign of life");
}

#[test]
fn a_replica_that_says_goodbye_answers_no_more() {
    let mut end = End::at(Some(&[]));
    end.hear_all(&[welcome(false), heartbeat(0)], SECOND);
    assert_eq!(end.follower.goodbye(), Some(Request::Goodbye));
    assert!(end.follower.stale(SECOND, MAX));
    assert_eq!(end.follower.goodbye(), None);
}

#[test]
fn the_answer_to_a_head_request_is_handed_out() {
    let mut end = End::at(Some(&[]));
    end.hear(&welcome(false), SECOND).expect("a welcome");
    let message = response_to_wire(&Response::Head { nonce: 7, revision: 0 });
    let absorbed = end.follower.absorb(&end.replica, message, SECOND).expect("a head");
    assert_eq!(absorbed.head, Some((7, 0)));
}

fn response() -> impl Strategy<Value = Response> {
    let entries = samples::log(&vec![Event::WatermarkRaised(crate::event::Subject::Everything); 8]);
    let (runs, facts) = (entries.clone(), entries);
    prop_oneof![
        any::<bool>().prop_map(welcome),
        (0..10_u64).prop_map(heartbeat),
        (0..8_usize, 1..8_usize).prop_map(move |(from, n)| delta(&runs[from..(from + n).min(8)])),
        (0..9_usize, any::<bool>()).prop_map(move |(at, last)| {
            let Snapshot { position, facts } = snapshot(&facts[..at]);
            Response::Snapshot(Chunk { position, facts, last })
        }),
        (0..3_u64, 0..10_u64).prop_map(|(nonce, revision)| Response::Head { nonce, revision }),
    ]
}

proptest! {
    #[test]
    fn whatever_is_said_only_what_is_visible_is_acknowledged(messages in vec(response(), 1..30), start in 0..9_u8) {
        let start = log(start);
        let mut end = End::at(Some(&start));
        let mut heads = Vec::new();
        for message in messages {
            let before = end.replica.position();
            let reply = end.hear(&message, SECOND);
            let position = end.replica.position();
            if let Response::Heartbeat { revision } | Response::Head { revision, .. } = &message
                && reply.is_ok()
            {
                heads.push(*revision);
            }
            match reply {
                Ok(Some(Request::Ack(revision))) => {
                    prop_assert_eq!(position.map(|p| p.revision), Some(revision));
                    prop_assert!(revision >= before.map_or(0, |p| p.revision));
                }
                Ok(Some(other)) => prop_assert!(false, "unasked {:?}", other),
                Ok(None) => {}
                Err(_) => {
                    prop_assert!(end.follower.stale(SECOND, MAX));
                    prop_assert_eq!(position, before);
                    heads.clear();
                    end.follower.connect(position);
                }
            }
            if let (Some(_), Some(first)) = (end.follower.last_heard(), heads.first()) {
                prop_assert!(position.is_some_and(|p| p.revision >= *first), "heard before it had caught up");
            }
        }
    }
}
