//! Introspection (RFC 7662): whether a token is active for a caller, and whether it allows what is asked.

use std::sync::Arc;
use std::time::Duration;

use tessera_check::{ActiveToken, AudienceRule, CannotTell, Checker, Source, Verdict, requirement};
use tessera_kit::calls;
use tessera_types::{Audience, Clock, ErrorCode, Failure, Revision, Scope, ScopeSet};

use crate::callers::{Caller, CallerError, Callers};
use crate::consistency::{Consistency, Gate, NotFresh, Waits};
use crate::measure::{self, Measures};
use crate::report;

/// What is asked about one token.
#[derive(Debug)]
pub struct Question {
    /// The token, as it came.
    pub token: String,
    /// The token must have every one of these.
    pub all_of: ScopeSet,
    /// The token must have one of these, where there are any.
    pub any_of: ScopeSet,
    /// The audience the token must have; otherwise any of the caller's resources.
    pub audience: Option<Audience>,
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The token is active.
    Active {
        /// What is known of it.
        verified: ActiveToken,
        /// The place of the log the answer is from.
        revision: Revision,
        /// The scopes it lacks of what was asked; allowed where there are none.
        missing: Vec<Scope>,
    },
    /// It is not, whatever the cause; no more is said (RFC 7662 section 2.2).
    Inactive,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectError {
    /// No token was given.
    #[error("there is no token")]
    NoToken,
    /// A scope asked for is none.
    #[error("a required scope is malformed")]
    Scope,
    /// The audience asked for is none.
    #[error("the audience is malformed")]
    Audience,
    /// The revision asked for is none.
    #[error("the revision is malformed")]
    Revision,
    /// The value of `consistency` is none of the words there are.
    #[error("the consistency is unknown")]
    Consistency,
    /// More requests than a batch may have.
    #[error("the batch is too large")]
    BatchTooLarge,
    /// The process stops, and with it a stream that has no end of its own.
    #[error("the introspector stops")]
    Stopping,
    /// The caller may not ask.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// No answer can be fresh enough.
    #[error(transparent)]
    NotFresh(#[from] NotFresh),
    /// The token cannot be judged now.
    #[error(transparent)]
    CannotTell(#[from] CannotTell),
}

impl Failure for IntrospectError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoToken | Self::Scope | Self::Audience | Self::Revision | Self::Consistency | Self::BatchTooLarge => {
                ErrorCode::InvalidRequest
            }
            Self::Stopping => ErrorCode::TemporarilyUnavailable,
            Self::Caller(error) => error.code(),
            Self::NotFresh(error) => error.code(),
            Self::CannotTell(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "TOKEN_MISSING",
            Self::Scope => "SCOPE_MALFORMED",
            Self::Audience => "AUDIENCE_MALFORMED",
            Self::Revision => "REVISION_MALFORMED",
            Self::Consistency => "CONSISTENCY_UNKNOWN",
            Self::BatchTooLarge => "BATCH_TOO_LARGE",
            Self::Stopping => "STOPPING",
            Self::Caller(error) => error.reason(),
            Self::NotFresh(error) => error.reason(),
            Self::CannotTell(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NoToken => "There is no token to check; send the parameter token.",
            Self::Scope => "A required scope is malformed.",
            Self::Audience => "The audience is malformed.",
            Self::Revision => "The revision is malformed; hand back what a revocation returned, unchanged.",
            Self::Consistency => "The consistency is unknown; use leased or fully_consistent.",
            Self::BatchTooLarge => "A batch has at most 1000 requests.",
            Self::Stopping => "The introspector stops. Begin the stream anew, and ask again what was not answered.",
            Self::Caller(error) => error.advice(),
            Self::NotFresh(error) => error.advice(),
            Self::CannotTell(error) => error.advice(),
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::NoToken => Some("token"),
            Self::Scope => Some("required_scopes"),
            Self::Audience => Some("audience"),
            Self::Revision | Self::Consistency => Some("consistency"),
            Self::BatchTooLarge => Some("requests"),
            Self::Stopping | Self::Caller(_) | Self::NotFresh(_) | Self::CannotTell(_) => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Caller(error) => error.retry_after(),
            Self::NotFresh(error) => error.retry_after(),
            Self::CannotTell(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// Answers questions.
#[derive(Clone)]
pub struct Introspection {
    /// Tells who asks.
    pub callers: Callers,
    gate: Gate,
    checker: Checker,
    clock: Arc<dyn Clock>,
    measures: Arc<Measures>,
    wait: Duration,
}

impl Introspection {
    pub(crate) fn new(
        callers: Callers,
        (gate, checker, measures): (Gate, Checker, Arc<Measures>),
        clock: Arc<dyn Clock>,
        wait: Duration,
    ) -> Self {
        Self { callers, gate, checker, clock, measures, wait }
    }

    /// How long a call may wait; `timeout` is what its caller says.
    #[must_use]
    pub fn waits(&self, timeout: Option<Duration>) -> Waits {
        Waits::new(timeout, self.wait)
    }

    /// Tells the log and the trace who asks, where anybody will see it.
    pub fn noted(&self, caller: &Caller) {
        if calls::is_seen() {
            calls::client(caller.client().as_str());
        }
    }

    /// Counts and reports what gets no answer, whatever it failed at: finding out who asks is part of it.
    pub fn unanswered(&self, failure: &dyn Failure, waits: &Waits) {
        report::unanswered(failure);
        self.measures.unanswered(failure.is_internal(), waits.waited());
    }

    /// Answers a question. Where the caller was changed meanwhile, the issuer is asked about it anew, once. Where there is no answer,
    /// the boundary counts that, with all it failed at before ([`unanswered`](Self::unanswered)).
    ///
    /// # Errors
    /// Every [`IntrospectError`] that is not about a malformed question.
    pub async fn introspect(
        &self,
        caller: &mut Caller,
        question: &Question,
        waits: &mut Waits,
    ) -> Result<Outcome, IntrospectError> {
        let began = self.clock.monotonic();
        let answer = self.answer(caller, question, waits).await;
        if calls::is_traced() {
            tell(&answer);
        }
        match answer {
            Ok((outcome, source)) => {
                let active = matches!(outcome, Outcome::Active { .. });
                self.measures.introspected(source, active, self.clock.monotonic().saturating_sub(began));
                Ok(outcome)
            }
            Err(error) => {
                // For the line that tells of it.
                calls::client(caller.client().as_str());
                Err(error)
            }
        }
    }

    /// Freshness first, then the states, then the token: the other way round, a pause in between could make an old state pass
    /// as fresh.
    async fn answer(
        &self,
        caller: &mut Caller,
        question: &Question,
        waits: &mut Waits,
    ) -> Result<(Outcome, Source), IntrospectError> {
        if question.token.is_empty() {
            return Err(IntrospectError::NoToken);
        }
        let mut asked_again = false;
        loop {
            self.gate.pass(question.consistency, waits).await?;
            let client = match self.callers.admit(caller) {
                Err(CallerError::Changed) if !asked_again => {
                    asked_again = true;
                    Box::pin(self.callers.again(caller, waits)).await?;
                    // The freshness that was checked is of before the wait.
                    continue;
                }
                admitted => admitted?,
            };
            let rule = AudienceRule { resources: &client.state.resources, only: question.audience.as_ref() };
            match self.checker.answer(&question.token, rule) {
                Ok(answer) => return Ok((outcome(question, answer.verdict, answer.revision), answer.source)),
                // What was just issued is active at once: wait for what its issuer knew. Then everything is asked anew.
                Err(CannotTell::Behind { needs }) => self.gate.reach(needs, waits).await?,
                Err(cause) => return Err(cause.into()),
            }
        }
    }
}

/// What the span of a traced call has of it.
fn tell(answer: &Result<(Outcome, Source), IntrospectError>) {
    match answer {
        Ok((outcome, source)) => {
            calls::attribute("outcome", if matches!(outcome, Outcome::Active { .. }) { "active" } else { "inactive" });
            calls::attribute("source", measure::name(*source));
        }
        Err(error) => {
            calls::attribute("outcome", "error");
            calls::attribute("error", error.code().as_str());
            calls::attribute("reason", error.reason());
        }
    }
}

fn outcome(question: &Question, verdict: Verdict, revision: Option<Revision>) -> Outcome {
    let (Verdict::Active(verified), Some(revision)) = (verdict, revision) else { return Outcome::Inactive };
    if question.all_of.is_empty() && question.any_of.is_empty() {
        return Outcome::Active { verified, revision, missing: Vec::new() };
    }
    let (_, missing) = requirement(&question.all_of, &question.any_of, &verified.claims().scopes);
    Outcome::Active { verified, revision, missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The future of every call is copied into its box: what is large there, every call pays for, also for waits it does not have.
    #[test]
    fn futures_of_the_usual_way_are_small() {
        type Asking = (&'static Introspection, &'static mut Caller, &'static Question, &'static mut Waits);
        type Calling = (&'static Callers, &'static http::HeaderMap, &'static mut Waits);
        fn size<A, F: Future>(_: fn(A) -> F) -> usize {
            size_of::<F>()
        }
        let asking =
            size(|(introspection, caller, question, waits): Asking| introspection.introspect(caller, question, waits));
        let calling = size(|(callers, headers, waits): Calling| callers.from_call(headers, None, waits));
        assert!(asking <= 512 && calling <= 512, "{asking} and {calling} bytes");
    }
}
