//! Reads of the issuer's durable head, shared by the calls that need one.
//!
//! A call joins the *next* request and never one in flight: that one may have been read before the call began, and before a
//! revocation that the caller knows of. At most one request is in flight, so a thousand calls cost two reads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tessera_types::Revision;
use tokio::sync::{Notify, oneshot};

/// The calls that wait for a head.
#[derive(Debug, Default)]
pub struct Heads {
    state: Mutex<State>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// They join the next request.
    waiting: Vec<oneshot::Sender<Revision>>,
    in_flight: Option<InFlight>,
    last_nonce: u64,
}

#[derive(Debug)]
struct InFlight {
    nonce: u64,
    calls: Vec<oneshot::Sender<Revision>>,
}

impl Heads {
    /// The durable head, read after this was called. Without end where the issuer is not reached: the caller bounds it.
    pub async fn next(&self) -> Revision {
        let (answer, answered) = oneshot::channel();
        self.lock().waiting.push(answer);
        self.wanted.notify_one();
        match answered.await {
            Ok(head) => head,
            // Only where the driver is gone, and with it the process.
            Err(_) => std::future::pending().await,
        }
    }

    /// Resolves when a call may have begun to wait.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The nonce of the request to send now; `None` where nobody waits or one is in flight.
    pub(crate) fn begin(&self) -> Option<u64> {
        let mut state = self.lock();
        state.waiting.retain(|call| !call.is_closed());
        if state.in_flight.is_some() || state.waiting.is_empty() {
            return None;
        }
        state.last_nonce += 1;
        let (nonce, calls) = (state.last_nonce, std::mem::take(&mut state.waiting));
        state.in_flight = Some(InFlight { nonce, calls });
        Some(nonce)
    }

    /// The issuer answered. An answer to another request than the one in flight is nobody's.
    pub(crate) fn answered(&self, nonce: u64, head: Revision) {
        let answered = self.lock().in_flight.take_if(|in_flight| in_flight.nonce == nonce);
        for call in answered.into_iter().flat_map(|in_flight| in_flight.calls) {
            // A call that no longer waits needs no answer.
            let _ = call.send(head);
        }
    }

    /// The stream broke: whoever waited for its answer joins the first request of the next one.
    pub(crate) fn disconnected(&self) {
        let mut state = self.lock();
        if let Some(in_flight) = state.in_flight.take() {
            state.waiting.extend(in_flight.calls);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use tessera_types::Epoch;

    use super::*;

    fn head(number: u64) -> Revision {
        Revision { epoch: Epoch(1), number }
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn a_call_never_joins_a_request_in_flight() {
        let heads = Heads::default();
        let mut early = pin!(heads.next());
        assert!(poll(early.as_mut()).is_pending());
        let first = heads.begin().expect("somebody waits");
        let mut late = pin!(heads.next());
        assert!(poll(late.as_mut()).is_pending());
        assert_eq!(heads.begin(), None, "one is in flight");

        heads.answered(first, head(7));
        assert_eq!(poll(early.as_mut()), Poll::Ready(head(7)));
        assert!(poll(late.as_mut()).is_pending(), "the answer may be from before this call");
        let second = heads.begin().expect("somebody waits");
        heads.answered(second, head(8));
        assert_eq!(poll(late.as_mut()), Poll::Ready(head(8)));
    }

    #[test]
    fn many_calls_share_one_request() {
        let heads = Heads::default();
        let mut calls: Vec<_> = (0..100).map(|_| Box::pin(heads.next())).collect();
        assert!(calls.iter_mut().all(|call| poll(call.as_mut()).is_pending()));
        let nonce = heads.begin().expect("somebody waits");
        heads.answered(nonce, head(3));
        assert!(calls.iter_mut().all(|call| poll(call.as_mut()) == Poll::Ready(head(3))));
        assert_eq!(heads.begin(), None);
    }

    #[test]
    fn an_answer_to_another_request_is_nobodys() {
        let heads = Heads::default();
        let mut call = pin!(heads.next());
        assert!(poll(call.as_mut()).is_pending());
        let nonce = heads.begin().expect("somebody waits");
        heads.answered(nonce + 1, head(1));
        assert!(poll(call.as_mut()).is_pending());
        heads.answered(nonce, head(2));
        assert_eq!(poll(call.as_mut()), Poll::Ready(head(2)));
    }

    #[test]
    fn a_broken_stream_moves_its_calls_to_the_next_request() {
        let heads = Heads::default();
        let mut call = pin!(heads.next());
        assert!(poll(call.as_mut()).is_pending());
        let lost = heads.begin().expect("somebody waits");
        heads.disconnected();
        let again = heads.begin().expect("it waits again");
        assert_ne!(lost, again);
        heads.answered(lost, head(1));
        assert!(poll(call.as_mut()).is_pending());
        heads.answered(again, head(2));
        assert_eq!(poll(call.as_mut()), Poll::Ready(head(2)));
    }

    #[test]
    fn nothing_is_sent_for_calls_that_gave_up() {
        let heads = Heads::default();
        {
            let mut call = pin!(heads.next());
            assert!(poll(call.as_mut()).is_pending());
        }
        assert_eq!(heads.begin(), None);
    }
}
