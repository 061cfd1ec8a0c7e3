//! The one who answers whether a token is active.

mod ageless;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tessera_keys::jws;
use tessera_ledger::replica::{Replica, State};
use tessera_types::{Audience, Clock, ErrorCode, Failure, KeyState, Revision};

use crate::budget::Budget;
use crate::cache::{self, VerifiedCache};
use crate::claims::{self, AccessClaims};
use crate::keyring::Keyring;
use crate::live::{self, AudienceRule, Standing};
use crate::verified::{ActiveToken, Verified};

/// Decides whether tokens are active, from a replica. Clones are handles of the same one.
#[derive(Clone)]
pub struct Checker(Arc<Inner>);

struct Inner {
    replica: Replica,
    issuer_url: String,
    clock: Arc<dyn Clock>,
    not_before_leeway: Duration,
    cache: VerifiedCache,
    keys: Keyring,
    budget: Budget,
}

/// What a look at an unknown token says.
enum Examined {
    Ours(Arc<Verified>),
    Foreign(Source),
}

/// What may be set of a checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckerOptions {
    /// How many verified tokens are remembered at most; each takes some 600 bytes.
    pub cache_capacity: usize,
    /// The cores there are.
    pub cores: usize,
    /// The part of the cores' time that signature checks may take, in percent: 1 to 100.
    pub signature_percent: u8,
    /// How far ahead of ours the issuer's clock may be before a new token's `nbf` lies in the future. There is no such leeway
    /// for `exp`.
    pub not_before_leeway: Duration,
}

impl Default for CheckerOptions {
    fn default() -> Self {
        Self {
            cache_capacity: 200_000,
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            signature_percent: 50,
            not_before_leeway: Duration::from_secs(5),
        }
    }
}

/// What a token is to its caller.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Active, and meant for the caller.
    Active(ActiveToken),
    /// Anything else, whatever the cause (RFC 7662 section 2.2).
    Inactive,
}

/// How it was found out, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The token had been verified before.
    Memory,
    /// Its signature was checked now.
    Signature,
    /// It did not come as far as a signature.
    Shape,
}

/// A verdict with what metrics and answers say besides.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// How it was found out.
    pub source: Source,
    /// The place of the log it is from; present where the verdict is active.
    pub revision: Option<Revision>,
}

/// Why there is no verdict. Never to be taken for inactive, nor for active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotTell {
    /// The replica knows nothing yet, or not enough to use the token's key.
    #[error("the replica is not ready")]
    NotReady,
    /// The replica has not come as far as the token's issuer had; it may be waited for.
    #[error("the replica has not reached revision {needs}")]
    Behind {
        /// The token's `rev`.
        needs: Revision,
    },
    /// Too many unknown tokens are being checked.
    #[error("too many signatures are being checked")]
    Busy,
}

/// Why a token does not open a service of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not active, or not meant for this service.
    #[error("the token is not active here")]
    Inactive,
    /// Active, without the scope.
    #[error("the token lacks the scope")]
    Scope,
    /// It acts for a person; a person's token opens no service between machines.
    #[error("the token acts for a person")]
    Person,
    /// Nobody can tell now.
    #[error(transparent)]
    CannotTell(#[from] CannotTell),
}

impl Checker {
    /// A checker over a replica. The issuer's URL is what every token's `iss` must be, byte by byte.
    #[must_use]
    pub fn new(replica: Replica, issuer_url: String, options: CheckerOptions, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            replica,
            issuer_url,
            clock,
            not_before_leeway: options.not_before_leeway,
            cache: VerifiedCache::new(options.cache_capacity),
            keys: Keyring::default(),
            budget: Budget::new(options.cores, options.signature_percent),
        }))
    }

    /// Whether a token is active for a caller.
    ///
    /// # Errors
    /// [`CannotTell::Behind`] may be waited for with the replica's `wait_for`; then ask again.
    pub fn check(&self, token: &str, rule: AudienceRule<'_>) -> Result<Verdict, CannotTell> {
        self.answer(token, rule).map(|answer| answer.verdict)
    }

    /// As [`check`](Self::check), with what metrics and answers say besides. A token that is remembered costs its digest and
    /// the look-ups, and nothing on the heap.
    pub fn answer(&self, token: &str, rule: AudienceRule<'_>) -> Result<Answer, CannotTell> {
        if token.len() > jws::MAX_LEN {
            return self.state().map(|_| Answer::inactive(Source::Shape));
        }
        let digest = cache::digest(token);
        let (verified, source) = match self.0.cache.find(&digest) {
            Some(verified) => (verified, Source::Memory),
            None => match self.examine(token)? {
                Examined::Ours(verified) => {
                    self.0.cache.remember(digest, Arc::clone(&verified));
                    (verified, Source::Signature)
                }
                Examined::Foreign(source) => return Ok(Answer::inactive(source)),
            },
        };
        match self.standing(&verified, rule)? {
            Standing::Active(revision, owner) => {
                let verdict = Verdict::Active(ActiveToken::new(verified, owner));
                Ok(Answer { verdict, source, revision: Some(revision) })
            }
            Standing::Inactive => Ok(Answer::inactive(source)),
            Standing::Expired => {
                self.0.cache.forget(&digest);
                Ok(Answer::inactive(source))
            }
            Standing::Behind => Err(CannotTell::Behind { needs: verified.claims().rev }),
        }
    }

    /// Whether a token that was verified before still stands: for callers whose credential is verified once per connection,
    /// and whose state is looked up on each call.
    pub fn still_active(&self, verified: &Verified, rule: AudienceRule<'_>) -> Result<bool, CannotTell> {
        match self.standing(verified, rule)? {
            Standing::Active(..) => Ok(true),
            Standing::Inactive | Standing::Expired => Ok(false),
            Standing::Behind => Err(CannotTell::Behind { needs: verified.claims().rev }),
        }
    }

    /// Checks the Bearer token of a call to a service of ours (RFC 6750): meant for this audience, of a client that acts for
    /// itself, with one of the scopes.
    pub fn check_locally(&self, token: &str, audience: &Audience, any_of: &[&str]) -> Result<Arc<Verified>, Refused> {
        let rule = AudienceRule { resources: std::slice::from_ref(audience), only: None };
        let Verdict::Active(verified) = self.check(token, rule)? else { return Err(Refused::Inactive) };
        if verified.claims().user().is_some() {
            return Err(Refused::Person);
        }
        let allowed = any_of.iter().any(|scope| verified.claims().scopes.contains(scope));
        if allowed { Ok(verified.into_verified()) } else { Err(Refused::Scope) }
    }

    /// How many verified tokens are remembered, for the metrics.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.0.cache.len()
    }

    /// How many signatures were checked so far, for the metrics.
    #[must_use]
    pub fn signature_checks(&self) -> u64 {
        self.0.budget.checks()
    }

    fn state(&self) -> Result<Arc<State>, CannotTell> {
        self.0.replica.state().ok_or(CannotTell::NotReady)
    }

    /// Loads the state anew: what was verified may have waited for its signature meanwhile.
    fn standing(&self, verified: &Verified, rule: AudienceRule<'_>) -> Result<Standing, CannotTell> {
        let state = self.state()?;
        Ok(live::standing(&state, verified, self.0.clock.now(), self.0.not_before_leeway, rule))
    }

    /// Whether a token is one of ours. All that is cheap comes first (key, algorithm, type, claims, issuer, expiry): a
    /// signature is checked only where everything else is right, and only within the budget.
    fn examine(&self, token: &str) -> Result<Examined, CannotTell> {
        const FOREIGN: Examined = Examined::Foreign(Source::Shape);
        let state = self.state()?;
        let Ok(parsed) = jws::parse_unverified(token) else { return Ok(FOREIGN) };
        let Some(entry) = parsed.header.kid.as_ref().and_then(|kid| state.key(kid)) else { return Ok(FOREIGN) };
        if entry.fact.state == KeyState::Retired || *parsed.header.alg != *entry.fact.algorithm.as_str() {
            return Ok(FOREIGN);
        }
        let Some(claims) = self.plausible(&parsed) else { return Ok(FOREIGN) };
        // A key of the log that this release cannot read is no reason to call its tokens inactive.
        let key = self.0.keys.parsed(&entry, &state).ok_or(CannotTell::NotReady)?;
        let permit = self.0.budget.start(&*self.0.clock).ok_or(CannotTell::Busy)?;
        let good = jws::verify(&parsed, key.public()).is_ok();
        drop(permit);
        Ok(if good {
            Examined::Ours(Arc::new(Verified::new(claims, key)))
        } else {
            Examined::Foreign(Source::Signature)
        })
    }

    /// The claims of a token that would be ours if its signature were right.
    fn plausible(&self, parsed: &jws::Parsed<'_>) -> Option<AccessClaims> {
        let profile = claims::profile_of(parsed.header.typ.as_deref())?;
        let claims = AccessClaims::parse(profile, &parsed.claims).ok()?;
        (claims.issuer == self.0.issuer_url && self.0.clock.now() < claims.expires).then_some(claims)
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").field("issuer_url", &self.0.issuer_url).finish_non_exhaustive()
    }
}

impl Answer {
    fn inactive(source: Source) -> Self {
        Self { verdict: Verdict::Inactive, source, revision: None }
    }
}

impl Failure for CannotTell {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotReady | Self::Behind { .. } => ErrorCode::TemporarilyUnavailable,
            Self::Busy => ErrorCode::Throttled,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotReady => "REPLICA_NOT_READY",
            Self::Behind { .. } => "REPLICA_BEHIND",
            Self::Busy => "TOO_MANY_UNKNOWN_TOKENS",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NotReady => "The server cannot check tokens yet. Try again shortly.",
            Self::Behind { .. } => "The server has not yet heard of what this token depends on. Try again shortly.",
            Self::Busy => "Too many unknown tokens are being checked. Try again shortly.",
        }
    }
}

impl Failure for Refused {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Inactive => ErrorCode::InvalidToken,
            Self::Scope | Self::Person => ErrorCode::InsufficientScope,
            Self::CannotTell(cause) => cause.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Inactive => "BEARER_TOKEN_INVALID",
            Self::Scope => "SCOPE_MISSING",
            Self::Person => "TOKEN_OF_A_PERSON",
            Self::CannotTell(cause) => cause.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Inactive => "The Bearer token is expired, revoked or not meant for this service. Get a new one.",
            Self::Scope => "The Bearer token lacks the scope that this call needs.",
            Self::Person => "This call takes a token of a client that acts for itself.",
            Self::CannotTell(cause) => cause.advice(),
        }
    }
}

#[cfg(test)]
mod tests;
