//! How fresh an answer must be, and waiting until it can be.

pub mod heads;

use std::sync::Arc;
use std::time::Duration;

use tessera_ledger::{Freshness, Replica};
use tessera_types::{Clock, ErrorCode, Failure, Revision};
use tokio::time::Instant;

use self::heads::Heads;

/// What a call asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// From memory, as long as the introspector is in touch with the issuer.
    #[default]
    Leased,
    /// At least as fresh as this revision.
    AtLeast(Revision),
    /// At least as fresh as the durable head, read after the call began.
    FullyConsistent,
}

/// Why an answer cannot be fresh enough now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFresh {
    /// Nothing was heard of the issuer for too long, or ever.
    #[error("the introspector is out of touch with the issuer")]
    OutOfTouch,
    /// The revision was not reached in time.
    #[error("revision {needs} was not reached in time")]
    Behind {
        /// The revision.
        needs: Revision,
    },
    /// The issuer did not tell its durable head in time.
    #[error("the issuer did not tell its head in time")]
    NoHead,
}

impl Failure for NotFresh {
    fn code(&self) -> ErrorCode {
        ErrorCode::TemporarilyUnavailable
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::OutOfTouch => "OUT_OF_TOUCH",
            Self::Behind { .. } => "REPLICA_BEHIND",
            Self::NoHead => "HEAD_UNKNOWN",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::OutOfTouch => "The introspector is out of touch with the issuer and cannot tell. Try again shortly.",
            Self::Behind { .. } => {
                "The introspector has not reached the revision that the answer depends on. Try again shortly."
            }
            Self::NoHead => "The issuer did not answer in time. Try again shortly.",
        }
    }
}

/// How long one call may wait in all, and what it has learnt by waiting.
#[derive(Debug)]
pub struct Waits {
    bound: Duration,
    until: Option<Instant>,
    head: Option<Revision>,
}

/// A call that says when it ends may wait so long at most.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Waits {
    /// For a call with this time left, or with none of its own. A tenth of the caller's time is kept for answering that it was
    /// not enough, since an answer after the deadline tells nobody anything.
    #[must_use]
    pub fn new(timeout: Option<Duration>, default: Duration) -> Self {
        let bound = timeout.map_or(default, |timeout| timeout.min(LONGEST_WAIT).mul_f64(0.9));
        Self { bound, until: None, head: None }
    }

    /// Waits within the bound, which begins with the first wait.
    pub async fn within<T>(&mut self, event: impl Future<Output = T>) -> Option<T> {
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.bound);
        tokio::time::timeout_at(until, event).await.ok()
    }

    /// How long it is since the first wait began, as far as waits may last.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let left = |until: Instant| until.saturating_duration_since(Instant::now());
        self.until.map_or(Duration::ZERO, |until| self.bound.saturating_sub(left(until)))
    }
}

/// Says whether answers can be fresh enough.
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    replica: Replica,
    freshness: Arc<Freshness>,
    heads: Arc<Heads>,
    clock: Arc<dyn Clock>,
    max_staleness: Duration,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("freshness", &self.freshness).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate over what the feed's driver keeps up to date.
    #[must_use]
    pub fn new(
        replica: Replica,
        freshness: Arc<Freshness>,
        heads: Arc<Heads>,
        clock: Arc<dyn Clock>,
        max_staleness: Duration,
    ) -> Self {
        Self { inner: Arc::new(Inner { replica, freshness, heads, clock, max_staleness }) }
    }

    /// Whether answers from memory may be given. To be asked *before* the state is loaded that an answer is from.
    #[must_use]
    pub fn in_touch(&self) -> bool {
        self.inner.freshness.is_fresh(self.inner.clock.monotonic(), self.inner.max_staleness)
    }

    /// Resolves when what is looked up from now on is as fresh as asked.
    ///
    /// # Errors
    /// Every [`NotFresh`].
    pub async fn pass(&self, consistency: Consistency, waits: &mut Waits) -> Result<(), NotFresh> {
        match consistency {
            Consistency::Leased => self.touched(),
            Consistency::AtLeast(revision) => {
                self.touched()?;
                self.reach(revision, waits).await?;
                self.touched()
            }
            // Neither a lease nor a clock is needed: the head was read after the call began.
            Consistency::FullyConsistent => {
                let head = match waits.head {
                    Some(head) => head,
                    None => Box::pin(waits.within(self.inner.heads.next())).await.ok_or(NotFresh::NoHead)?,
                };
                waits.head = Some(head);
                self.reach(head, waits).await
            }
        }
    }

    /// Waits until a revision is applied.
    ///
    /// # Errors
    /// [`NotFresh::Behind`].
    pub async fn reach(&self, needs: Revision, waits: &mut Waits) -> Result<(), NotFresh> {
        if self.inner.replica.has_applied(needs) {
            return Ok(());
        }
        // Boxed, as every wait of a call is: most calls wait for nothing, and room for it would be copied with each.
        Box::pin(waits.within(self.inner.replica.wait_for(needs))).await.ok_or(NotFresh::Behind { needs })
    }

    fn touched(&self) -> Result<(), NotFresh> {
        if self.in_touch() { Ok(()) } else { Err(NotFresh::OutOfTouch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_deadline_bounds_its_waits_and_leaves_time_to_answer() {
        let bound = |timeout| Waits::new(timeout, Duration::from_secs(2)).bound;
        assert_eq!(bound(None), Duration::from_secs(2));
        assert_eq!(bound(Some(Duration::from_secs(10))), Duration::from_secs(9));
        assert_eq!(bound(Some(Duration::from_millis(10))), Duration::from_millis(9));
        assert_eq!(bound(Some(Duration::MAX)), LONGEST_WAIT.mul_f64(0.9));
    }

    #[tokio::test]
    async fn the_bound_is_of_all_waits_together() {
        let mut waits = Waits::new(None, Duration::from_millis(20));
        assert_eq!(waits.waited(), Duration::ZERO, "there was none yet");
        assert_eq!(waits.within(std::future::pending::<()>()).await, None);
        assert_eq!(waits.waited(), Duration::from_millis(20));
        assert_eq!(waits.within(tokio::time::sleep(Duration::from_millis(10))).await, None, "nothing is left");
        assert_eq!(waits.within(std::future::ready(1)).await, Some(1), "what is there already is no wait");
    }
}
