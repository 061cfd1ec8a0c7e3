//! Which entries of the log were written by a call that is traced: introspectors that apply them join the trace.
//!
//! Kept in memory for the newest of them alone, and never needed for anything but a trace. What is about to be written has no place yet;
//! it is known by what it is about until the log is read back, which is before any feed sends it. What was not written after all is taken
//! back: otherwise the next event about the same would be told as part of a trace it has nothing to do with.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tessera_kit::calls;
use tessera_kit::trace::TraceParent;
use tessera_ledger::event::{Entry, Event};

/// How many are kept.
const MOST: usize = 256;

/// The newest traced entries.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// Whether there are any: otherwise nobody takes the lock.
    any: AtomicBool,
    /// Tells one expectation from another.
    next: AtomicU64,
    kept: Mutex<VecDeque<Traced>>,
}

/// Events that are about to be written. `None` where the call is not traced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected(Option<u64>);

#[derive(Debug)]
struct Traced {
    expected: u64,
    about: String,
    parent: TraceParent,
    revision: Option<u64>,
}

impl Traces {
    /// These events are about to be written. Nothing is kept where the call at hand is not traced. A caller who goes away takes
    /// nothing back: what is being written by then is written.
    pub(super) fn expect(&self, events: &[Event]) -> Expected {
        Expected(calls::place().map(|parent| self.keep(parent, events)))
    }

    fn keep(&self, parent: TraceParent, events: &[Event]) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let traced = |event: &Event| Traced { expected: number, about: event.about(), parent, revision: None };
        let mut kept = self.kept();
        kept.extend(events.iter().take(MOST).map(traced));
        let surplus = kept.len().saturating_sub(MOST);
        kept.drain(..surplus);
        self.any.store(!kept.is_empty(), Ordering::Release);
        number
    }

    /// These events were not written. What has its place by now was, whatever its writer was told.
    pub(super) fn take_back(&self, expected: Expected) {
        let Expected(Some(number)) = expected else { return };
        let mut kept = self.kept();
        kept.retain(|traced| traced.expected != number || traced.revision.is_some());
        self.any.store(!kept.is_empty(), Ordering::Release);
    }

    /// These entries were read: what was expected has its place.
    pub(super) fn read(&self, entries: &[Entry]) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut kept = self.kept();
        if kept.iter().all(|traced| traced.revision.is_some()) {
            return;
        }
        for entry in entries {
            let about = entry.event.about();
            for traced in kept.iter_mut().filter(|traced| traced.revision.is_none() && traced.about == about) {
                traced.revision = Some(entry.revision);
            }
        }
    }

    /// Those among some entries, each with its revision.
    pub(super) fn among(&self, entries: &[Entry]) -> Vec<(u64, TraceParent)> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Vec::new() };
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let range = first.revision..=last.revision;
        let placed = |traced: &Traced| traced.revision.filter(|revision| range.contains(revision));
        self.kept().iter().filter_map(|traced| Some((placed(traced)?, traced.parent))).collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Traced>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tessera_types::{Timestamp, TokenId};

    use super::*;

    fn event(n: u8) -> Event {
        Event::TokenRevoked { token: TokenId([n; 16]), expires: Timestamp(100) }
    }

    fn entry(revision: u64, n: u8) -> Entry {
        Entry { revision, hash: [0; 32], event: event(n) }
    }

    fn parent(n: u8) -> TraceParent {
        let text = format!("00-{}-{}-01", format!("{n:02x}").repeat(16), format!("{n:02x}").repeat(8));
        TraceParent::parse(text.as_bytes()).expect("well-formed")
    }

    #[test]
    fn an_entry_has_the_trace_of_the_call_that_wrote_it() {
        let traces = Traces::default();
        traces.keep(parent(1), &[event(1)]);
        let entries = [entry(7, 9), entry(8, 1), entry(9, 8)];
        assert_eq!(traces.among(&entries), [], "it has no place yet");
        traces.read(&entries);
        assert_eq!(traces.among(&entries), [(8, parent(1))]);
        assert_eq!(traces.among(&entries[..1]), []);
    }

    #[test]
    fn a_later_entry_about_the_same_is_of_no_trace() {
        let traces = Traces::default();
        traces.keep(parent(1), &[event(1)]);
        traces.read(&[entry(1, 1)]);
        traces.read(&[entry(2, 1)]);
        assert_eq!(traces.among(&[entry(2, 1)]), []);
    }

    #[test]
    fn the_newest_are_kept() {
        let traces = Traces::default();
        for n in 0..=u8::MAX {
            traces.keep(parent(1), &[event(n), event(n)]);
        }
        assert_eq!(traces.kept().len(), MOST);
    }

    #[test]
    fn what_was_not_written_is_of_no_trace() {
        let traces = Traces::default();
        traces.keep(parent(2), &[event(2)]);
        let failed = traces.keep(parent(1), &[event(1), event(3)]);
        traces.take_back(Expected(Some(failed)));
        let entries = [entry(1, 1), entry(2, 2), entry(3, 3)];
        traces.read(&entries);
        assert_eq!(traces.among(&entries), [(2, parent(2))]);
    }

    #[test]
    fn what_was_read_was_written_whatever_its_writer_heard() {
        let traces = Traces::default();
        let expected = traces.keep(parent(1), &[event(1)]);
        traces.read(&[entry(1, 1)]);
        traces.take_back(Expected(Some(expected)));
        assert_eq!(traces.among(&[entry(1, 1)]), [(1, parent(1))]);
    }

    #[test]
    fn what_no_traced_call_wrote_is_not_kept() {
        let traces = Traces::default();
        traces.expect(&[event(1)]);
        assert_eq!(traces.kept().len(), 0);
    }
}
