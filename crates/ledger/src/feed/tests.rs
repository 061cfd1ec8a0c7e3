use proptest::collection::vec;
use proptest::prelude::*;
use tessera_types::{Epoch, Timestamp, TokenId};

use super::*;
use crate::event::Event;
use crate::message::OLDEST_VERSION;
use crate::wire::samples;

const SECOND: Duration = Duration::from_secs(1);

fn terms() -> Terms {
    Terms { issuer: "https://issuer.test".to_owned(), heartbeat_interval: SECOND, hello_timeout: 5 * SECOND }
}

fn log(length: u8) -> Vec<Entry> {
    let event = |n: u8| Event::TokenRevoked { token: TokenId([n; 16]), expires: Timestamp(1) };
    samples::log(&(1..=length).map(event).collect::<Vec<_>>())
}

fn hello(position: Option<Position>) -> Request {
    Request::Hello(Hello {
        protocol_version: PROTOCOL_VERSION,
        replica: ReplicaId([1; 16]),
        position,
        name: "test".to_owned(),
        max_staleness: SECOND,
    })
}

fn welcome(snapshot_follows: bool) -> Output {
    Output::Send(Response::Welcome(Welcome {
        protocol_version: PROTOCOL_VERSION,
        issuer: "https://issuer.test".to_owned(),
        snapshot_follows,
        heartbeat_interval: SECOND,
    }))
}

fn heartbeat(revision: u64) -> Output {
    Output::Send(Response::Heartbeat { revision })
}

fn delta(entries: &[Entry]) -> Output {
    Output::Send(Response::Delta(Delta { entries: entries.to_vec(), age: SECOND }))
}

/// A feed that heard a Hello from this position.
fn greeted(position: Option<Position>) -> Feed {
    let mut feed = Feed::new(terms(), Duration::ZERO);
    feed.receive(hello(position)).expect("a Hello comes first");
    feed
}

/// A feed that streams to a replica which holds these entries, and the log no more.
fn streaming(entries: &[Entry]) -> Feed {
    let head = samples::head(1, entries);
    let mut feed = greeted(Some(head));
    feed.looked(head, Some(head.hash), Duration::ZERO).expect("it resumes");
    feed
}

#[test]
fn a_replica_joins_before_the_head_is_read() {
    let head = samples::head(1, &log(3));
    let outputs = Feed::new(terms(), Duration::ZERO).receive(hello(Some(head))).expect("a Hello comes first");
    let join = Output::Join { replica: ReplicaId([1; 16]), name: "test".to_owned(), max_staleness: SECOND };
    assert_eq!(outputs, [join, Output::Look { at: Some(3) }]);
}

#[test]
fn a_replica_of_the_same_log_resumes() {
    let log = log(5);
    let own = samples::head(1, &log[..3]);
    let outputs = greeted(Some(own)).looked(samples::head(1, &log), Some(own.hash), Duration::ZERO);
    let expected = vec![Output::Acked(3), welcome(false), heartbeat(5), Output::LoadEntries { after: 3 }];
    assert_eq!(outputs, Ok(expected));
}

#[test]
fn a_replica_at_the_head_has_nothing_to_load() {
    let head = samples::head(1, &log(3));
    let outputs = greeted(Some(head)).looked(head, None, Duration::ZERO);
    assert_eq!(outputs, Ok(vec![Output::Acked(3), welcome(false), heartbeat(3)]));
}

#[test]
fn a_replica_that_cannot_resume_gets_a_snapshot_and_counts_as_having_nothing() {
    let log = log(5);
    let head = samples::head(1, &log);
    let own = samples::head(1, &log[..3]);
    let other_log = Position { epoch: Epoch(2), ..own };
    let ahead_in_another = Position { epoch: Epoch(2), revision: 99, ..own };
    for (position, hash, at_least) in
        [(None, None, 0), (Some(own), None, 3), (Some(other_log), Some(own.hash), 0), (Some(ahead_in_another), None, 0)]
    {
        let outputs = greeted(position).looked(head, hash, Duration::ZERO);
        let expected = vec![welcome(true), heartbeat(5), Output::SendSnapshot { at_least }];
        assert_eq!(outputs, Ok(expected), "{position:?}");
    }
}

#[test]
fn a_replica_that_applied_what_is_gone_gets_no_snapshot_however_far_the_log_has_come() {
    let log = log(5);
    for own in [&log[..3], &log[..]] {
        let own = Position { hash: [9; 32], ..samples::head(1, own) };
        let hash = samples::head(1, &log[..usize::try_from(own.revision).expect("small")]).hash;
        let mut feed = greeted(Some(own));
        let outputs = feed.looked(samples::head(1, &log), Some(hash), Duration::ZERO);
        assert_eq!(outputs, Err(FeedError::Rewritten { replica: own.revision }));
        assert_eq!(feed.next_timeout(), None);
        let outputs = greeted(Some(own)).looked(samples::head(2, &log), Some(hash), Duration::ZERO);
        assert_eq!(outputs.map(|outputs| outputs[0].clone()), Ok(welcome(true)), "a new epoch is another log");
    }
}

#[test]
fn a_replica_ahead_in_the_same_log_gets_no_snapshot() {
    let log = log(5);
    let mut feed = greeted(Some(samples::head(1, &log)));
    let outputs = feed.looked(samples::head(1, &log[..3]), None, Duration::ZERO);
    assert_eq!(outputs, Err(FeedError::Ahead { replica: 5, head: 3 }));
    assert_eq!(feed.next_timeout(), None);
}

#[test]
fn deltas_follow_the_snapshot_where_it_stands() {
    let log = log(5);
    let mut feed = greeted(None);
    feed.looked(samples::head(1, &log), None, Duration::ZERO).expect("a snapshot follows");
    assert_eq!(feed.entries(&log[4..], SECOND), [], "nothing goes between the chunks");
    let outputs = feed.snapshot_sent(&samples::head(1, &log[..2]));
    assert_eq!(outputs, Ok(vec![Output::LoadEntries { after: 2 }]), "a shared snapshot may be older than the stream");
    assert_eq!(feed.entries(&log[2..], SECOND), [delta(&log[2..])]);
}

#[test]
fn a_snapshot_that_cannot_follow_is_an_error() {
    let log = log(5);
    let own = Position { hash: [9; 32], ..samples::head(1, &log[..3]) };
    for (wrong, at_least) in [(samples::head(1, &log[..2]), 3), (samples::head(2, &log), 3)] {
        let mut feed = greeted(Some(own));
        feed.looked(samples::head(1, &log), None, Duration::ZERO).expect("a snapshot follows");
        assert_eq!(feed.snapshot_sent(&wrong), Err(FeedError::WrongSnapshot { at_least }));
    }
}

#[test]
fn entries_are_sent_once_and_in_order() {
    let log = log(8);
    let mut feed = streaming(&log[..2]);
    assert_eq!(feed.entries(&log[2..4], SECOND), [delta(&log[2..4])]);
    assert_eq!(feed.entries(&log[1..4], SECOND), [], "sent before");
    assert_eq!(feed.entries(&log[3..5], SECOND), [delta(&log[4..5])], "only what is new");
    assert_eq!(feed.entries(&log[6..7], SECOND), [Output::LoadEntries { after: 5 }], "what is missing is loaded");
    assert_eq!(feed.entries(&log[7..], SECOND), [], "one load at a time");
    assert_eq!(feed.entries(&log[5..], SECOND), [delta(&log[5..])]);
}

#[test]
fn a_load_that_finds_nothing_yet_is_repeated_later_and_not_at_once() {
    let log = log(3);
    let mut feed = streaming(&log[..2]);
    assert_eq!(feed.advanced(3), [Output::LoadEntries { after: 2 }]);
    assert_eq!(feed.entries(&[], SECOND), []);
    assert_eq!(feed.tick(SECOND), Ok(vec![heartbeat(3), Output::LoadEntries { after: 2 }]));
    assert_eq!(feed.tick(2 * SECOND), Ok(vec![heartbeat(3), Output::LoadEntries { after: 2 }]), "its answer was lost");
    assert_eq!(feed.entries(&log[2..], SECOND), [delta(&log[2..])]);
    assert_eq!(feed.entries(&log[2..], SECOND), [], "an answer that comes twice does no harm");
}

#[test]
fn a_long_run_is_cut_into_several_deltas() {
    let events = vec![Event::WatermarkRaised(crate::event::Subject::Everything); MAX_DELTA + 1];
    let log = samples::log(&events);
    let mut feed = streaming(&[]);
    assert_eq!(feed.entries(&log, SECOND), [delta(&log[..MAX_DELTA]), delta(&log[MAX_DELTA..])]);
}

#[test]
fn a_compacted_log_ends_the_stream() {
    let log = log(2);
    let mut feed = streaming(&log);
    assert_eq!(feed.compacted(), FeedError::Compacted(3));
    assert_eq!(feed.receive(Request::Ack(2)), Err(FeedError::OutOfTurn("Ack")));
}

#[test]
fn acks_rise_up_to_what_was_sent() {
    let log = log(4);
    let mut feed = streaming(&log[..1]);
    let _ = feed.entries(&log[1..], SECOND);
    assert_eq!(feed.receive(Request::Ack(3)), Ok(vec![Output::Acked(3)]));
    assert_eq!(feed.receive(Request::Ack(2)), Ok(vec![]), "old news");
    assert_eq!(feed.acked(), 3);
    assert_eq!(feed.receive(Request::Ack(5)), Err(FeedError::AckBeyond { acked: 5, sent: 4 }));
}

#[test]
fn an_ack_before_the_snapshot_was_sent_is_refused() {
    let log = log(4);
    let mut feed = greeted(None);
    feed.looked(samples::head(1, &log), None, Duration::ZERO).expect("a snapshot follows");
    assert_eq!(feed.receive(Request::Ack(1)), Err(FeedError::OutOfTurn("Ack")));
}

#[test]
fn what_comes_out_of_turn_is_refused() {
    let opening = || Feed::new(terms(), Duration::ZERO);
    assert_eq!(opening().receive(Request::Ack(0)), Err(FeedError::OutOfTurn("Ack")));
    assert_eq!(opening().receive(Request::Goodbye), Err(FeedError::OutOfTurn("Goodbye")));
    assert_eq!(opening().receive(Request::HeadRequest { nonce: 1 }), Err(FeedError::OutOfTurn("HeadRequest")));
    assert_eq!(greeted(None).receive(hello(None)), Err(FeedError::OutOfTurn("Hello")));
    assert_eq!(streaming(&[]).receive(hello(None)), Err(FeedError::OutOfTurn("Hello")));
    let Request::Hello(earlier) = hello(None) else { unreachable!("it is a Hello") };
    let earlier = Request::Hello(Hello { protocol_version: OLDEST_VERSION - 1, ..earlier });
    assert_eq!(opening().receive(earlier), Err(FeedError::Version(OLDEST_VERSION - 1)));
}

/// An introspector that was updated before the issuer.
#[test]
fn a_later_replica_is_spoken_with_in_the_issuers_version() {
    let head = samples::head(1, &log(2));
    let Request::Hello(later) = hello(Some(head)) else { unreachable!("it is a Hello") };
    let mut feed = Feed::new(terms(), Duration::ZERO);
    let later = Request::Hello(Hello { protocol_version: PROTOCOL_VERSION + 1, ..later });
    feed.receive(later).expect("a later version is spoken with");
    let outputs = feed.looked(head, Some(head.hash), Duration::ZERO).expect("it resumes");
    assert!(outputs.contains(&welcome(false)), "{outputs:?}");
}

#[test]
fn a_hello_that_does_not_come_ends_the_stream() {
    let mut feed = Feed::new(terms(), SECOND);
    assert_eq!(feed.next_timeout(), Some(6 * SECOND));
    assert_eq!(feed.tick(5 * SECOND), Ok(vec![]));
    assert_eq!(feed.tick(6 * SECOND), Err(FeedError::Silent));
}

#[test]
fn heartbeats_come_at_their_interval() {
    let mut feed = streaming(&log(2));
    assert_eq!(feed.next_timeout(), Some(SECOND));
    assert_eq!(feed.tick(SECOND / 2), Ok(vec![]));
    assert_eq!(feed.tick(SECOND), Ok(vec![heartbeat(2)]));
    assert_eq!(feed.tick(SECOND), Ok(vec![]));
    assert_eq!(feed.next_timeout(), Some(2 * SECOND));
}

#[test]
fn a_head_request_is_answered_by_a_read_of_its_own() {
    let mut feed = streaming(&log(2));
    assert_eq!(feed.receive(Request::HeadRequest { nonce: 7 }), Ok(vec![Output::ReadHead { nonce: 7 }]));
    let head = Output::Send(Response::Head { nonce: 7, revision: 3 });
    assert_eq!(feed.head_read(7, 3), [head, Output::LoadEntries { after: 2 }]);
    assert_eq!(feed.head_read(7, 3), [], "answered once");
}

#[test]
fn open_head_requests_are_bounded() {
    let mut feed = streaming(&[]);
    for nonce in 0..MAX_HEAD_REQUESTS as u64 {
        feed.receive(Request::HeadRequest { nonce }).expect("within the bound");
    }
    let one_more = feed.receive(Request::HeadRequest { nonce: 0 });
    assert_eq!(one_more, Err(FeedError::TooManyHeadRequests));
}

#[test]
fn goodbye_is_final() {
    let mut feed = streaming(&log(2));
    assert_eq!(feed.receive(Request::Goodbye), Ok(vec![Output::Leave]));
    assert_eq!(feed.receive(Request::Goodbye), Err(FeedError::OutOfTurn("Goodbye")));
    assert_eq!(feed.advanced(9), []);
    assert_eq!(feed.tick(9 * SECOND), Ok(vec![]));
}

#[test]
fn every_failure_has_advice_that_may_be_shown() {
    let errors = [
        FeedError::Silent,
        FeedError::Version(2),
        FeedError::OutOfTurn("Ack"),
        FeedError::Ahead { replica: 2, head: 1 },
        FeedError::Rewritten { replica: 2 },
        FeedError::AckBeyond { acked: 2, sent: 1 },
        FeedError::TooManyHeadRequests,
        FeedError::Compacted(1),
        FeedError::WrongSnapshot { at_least: 1 },
    ];
    for error in errors {
        assert!(tessera_types::error::is_description(error.advice()), "{error}");
    }
}

proptest! {
    #[test]
    fn it_resumes_only_on_the_same_log_at_or_below_the_head_with_the_same_hash(
        own in proptest::option::of((1..3_u64, 0..6_usize, any::<bool>())), head in 0..6_usize, kept in any::<bool>(),
    ) {
        let log = log(6);
        let position = own.map(|(epoch, at, same)| {
            let position = samples::head(epoch, &log[..at]);
            if same { position } else { Position { hash: [7; 32], ..position } }
        });
        let top = samples::head(1, &log[..head]);
        let hash = position.filter(|p| kept && p.revision <= top.revision)
            .map(|p| samples::head(1, &log[..usize::try_from(p.revision).expect("small")]).hash);
        // At its head a log's hash is always known; before its first event it tells nothing.
        let expected = match own {
            Some((1, at, _)) if at > head => Decision::Ahead,
            Some((1, at, same)) if at == head || kept && at > 0 => {
                if same { Decision::Resume } else { Decision::Rewritten }
            }
            _ => Decision::Snapshot,
        };
        prop_assert_eq!(decide(position.as_ref(), &top, hash), expected);
    }

    #[test]
    fn whatever_the_driver_hands_in_the_replica_gets_every_entry_once_and_in_order(
        runs in vec((0..20_usize, 0..6_usize), 0..40), start in 0..10_usize,
    ) {
        let log = log(20);
        let mut feed = streaming(&log[..start]);
        let mut sent = start as u64;
        for (from, length) in runs {
            for output in feed.entries(&log[from..(from + length).min(20)], SECOND) {
                match output {
                    Output::Send(Response::Delta(delta)) => for entry in delta.entries {
                        prop_assert_eq!(entry.revision, sent + 1);
                        sent += 1;
                    },
                    Output::LoadEntries { after } => prop_assert_eq!(after, sent),
                    other => prop_assert!(false, "unexpected {:?}", other),
                }
            }
        }
    }
}
