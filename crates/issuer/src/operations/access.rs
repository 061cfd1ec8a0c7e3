//! Who may call what is not for clients: administration, the feed (security.md, item 44).
//!
//! A Bearer token whose audience is the issuer and that has the scope. Reserved scopes come by client credentials only, so that a
//! person's token never administers; the check here says so once more. Or a client certificate to which the configuration gives the scope,
//! where there is nothing else: what a token does not allow, a certificate beside it does not either.

use std::sync::Arc;
use std::time::Duration;

use tessera_check::{AudienceRule, CannotTell, Refused, Verdict, Verified};
use tessera_kit::calls;
use tessera_kit::tls::{IdentityName, NamesClient, PeerCertificate};
use tessera_store::Actor;
use tessera_types::{Audience, ClientId, ErrorCode, Failure, Revision};

use crate::context::Context;

/// How long a check waits for this process to catch up with the log.
pub const CATCH_UP: Duration = Duration::from_secs(2);

/// Why a caller was turned away.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There was no Bearer token.
    #[error("no bearer token")]
    NoToken,
    /// There was nothing but a certificate, and that is nobody's here.
    #[error("the client certificate is nobody's here")]
    UnknownCertificate,
    /// The certificate is not given the scope.
    #[error("the client certificate is not given the scope {0}")]
    CertificateScope(&'static str),
    /// The token is not active, or not for the issuer.
    #[error("the bearer token is not active here")]
    InvalidToken,
    /// The token lacks the scope.
    #[error("the bearer token lacks the scope {0}")]
    InsufficientScope(&'static str),
    /// Nobody can tell now.
    #[error("the token cannot be checked now")]
    CannotTell(#[source] CannotTell),
}

impl Failure for AccessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoToken | Self::UnknownCertificate | Self::InvalidToken => ErrorCode::InvalidToken,
            Self::InsufficientScope(_) | Self::CertificateScope(_) => ErrorCode::InsufficientScope,
            Self::CannotTell(CannotTell::Busy) => ErrorCode::Throttled,
            Self::CannotTell(_) => ErrorCode::TemporarilyUnavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "BEARER_TOKEN_MISSING",
            Self::UnknownCertificate => "CLIENT_CERTIFICATE_UNKNOWN",
            Self::InvalidToken => "BEARER_TOKEN_INVALID",
            Self::InsufficientScope(_) | Self::CertificateScope(_) => "SCOPE_MISSING",
            Self::CannotTell(CannotTell::Busy) => "TOO_MANY_UNKNOWN_TOKENS",
            Self::CannotTell(_) => "NOT_READY",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NoToken => "Send authorization: Bearer with a token whose audience is this issuer.",
            Self::UnknownCertificate => {
                "The certificate is good, but [[tls.identities]] does not say whose it is. Map one of its names, or send authorization too."
            }
            Self::CertificateScope(_) => {
                "The certificate is not given the scope for this call: see [[tls.identities]] in the issuer's configuration."
            }
            Self::InvalidToken => "The Bearer token is expired, revoked or not meant for this issuer. Get a new one.",
            Self::InsufficientScope(_) => {
                "The Bearer token lacks the scope for this call. See the service's documentation."
            }
            Self::CannotTell(CannotTell::Busy) => "Too many unknown tokens are being checked. Try again.",
            Self::CannotTell(_) => "The server cannot check tokens now. Try again.",
        }
    }
}

/// What the configuration says of the holder of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// What it may do here, as a client's own token with these scopes.
    pub scopes: Vec<&'static str>,
    /// The client that it is where it asks about tokens.
    pub client: Option<ClientId>,
}

impl NamesClient for Holder {
    fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }
}

/// Who was let pass.
#[derive(Clone, Debug)]
pub enum Caller {
    /// The bearer of a token.
    Token(Arc<Verified>),
    /// The holder of a certificate.
    Certificate {
        /// The name by which the configuration knows it.
        name: IdentityName,
        /// The certificate.
        certificate: Arc<PeerCertificate>,
        /// The scopes of which it has one.
        any_of: &'static [&'static str],
    },
}

impl Caller {
    /// What to call them: a client's identifier, or a name of a certificate, which is told from it by its `dns:` or `uri:`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Token(token) => token.claims().client.as_str(),
            Self::Certificate { name, .. } => name.as_str(),
        }
    }

    /// As whom the audit knows them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Token(token) => Actor::Client(token.claims().client.clone()),
            Self::Certificate { name, .. } => Actor::Identity(name.as_str().to_owned()),
        }
    }

    /// Whether they may go on, at what has no end of its own.
    #[must_use]
    pub fn is_still_good(&self, cx: &Context) -> bool {
        match self {
            Self::Token(token) => {
                let audience = std::slice::from_ref(&cx.policy.issuer_audience);
                cx.checker.is_unrevoked(token, AudienceRule { resources: audience, only: None })
            }
            // The configuration may say something else by now, or nobody vouch for it.
            Self::Certificate { certificate, any_of, .. } => certified(cx, certificate, any_of).is_ok(),
        }
    }
}

/// Who it is that is turned away, where that is beyond doubt: the client of a token that is active, the owner of a certificate.
#[must_use]
pub fn turned_away(cx: &Context, bearer: Option<&str>, certificate: Option<&PeerCertificate>) -> Option<Actor> {
    if let Some(certificate) = certificate {
        let identities = cx.policy.identities.now();
        let (name, _) = identities.find(certificate, cx.clock.now())?;
        return Some(Actor::Identity(name.as_str().to_owned()));
    }
    let rule = AudienceRule { resources: std::slice::from_ref(&cx.policy.issuer_audience), only: None };
    match cx.checker.check(bearer?, rule) {
        Ok(Verdict::Active(token)) => Some(Actor::Client(token.claims().client.clone())),
        _ => None,
    }
}

/// Whether a certificate is for anybody who may do something here.
#[must_use]
pub fn knows(cx: &Context, certificate: &PeerCertificate) -> bool {
    let identities = cx.policy.identities.now();
    identities.find(certificate, cx.clock.now()).is_some_and(|(_, holder)| !holder.scopes.is_empty())
}

/// Checks that a certificate is given one of the scopes; the first one named is what is asked for in errors.
///
/// # Errors
/// [`AccessError::UnknownCertificate`] and [`AccessError::CertificateScope`].
pub fn certified(
    cx: &Context,
    certificate: &Arc<PeerCertificate>,
    any_of: &'static [&'static str],
) -> Result<Caller, AccessError> {
    let identities = cx.policy.identities.now();
    let (name, holder) = identities.find(certificate, cx.clock.now()).ok_or(AccessError::UnknownCertificate)?;
    if !any_of.iter().any(|scope| holder.scopes.contains(scope)) {
        return Err(AccessError::CertificateScope(any_of.first().copied().unwrap_or_default()));
    }
    Ok(Caller::Certificate { name: name.clone(), certificate: Arc::clone(certificate), any_of })
}

/// Checks that a Bearer token is for the issuer and has one of the scopes; the first one named is what is asked for in errors.
///
/// # Errors
/// See [`AccessError`].
pub async fn authorize(
    cx: &Context,
    bearer: Option<&str>,
    any_of: &'static [&'static str],
) -> Result<Arc<Verified>, AccessError> {
    let token = bearer.ok_or(AccessError::NoToken)?;
    let caller = check_for(cx, token, &cx.policy.issuer_audience, any_of).await?;
    calls::client(caller.claims().client.as_str());
    Ok(caller)
}

/// Checks that a Bearer token is a client's own, for this audience, with one of the scopes.
///
/// # Errors
/// See [`AccessError`].
pub async fn check_for(
    cx: &Context,
    token: &str,
    audience: &Audience,
    any_of: &'static [&'static str],
) -> Result<Arc<Verified>, AccessError> {
    let scope = any_of.first().copied().unwrap_or_default();
    caught_up(cx, || cx.checker.check_locally(token, audience, any_of)).await.map_err(|refused| match refused {
        Refused::Inactive => AccessError::InvalidToken,
        Refused::Scope | Refused::Person => AccessError::InsufficientScope(scope),
        Refused::CannotTell(cause) => AccessError::CannotTell(cause),
    })
}

/// Checks a token for somebody with these resources.
///
/// # Errors
/// Why there is no answer.
pub async fn check(cx: &Context, token: &str, rule: AudienceRule<'_>) -> Result<Verdict, CannotTell> {
    caught_up(cx, || cx.checker.check(token, rule)).await
}

/// Runs a check, once more after a moment where the issuer has not caught up with the token. Out of touch with the database nobody
/// can tell.
async fn caught_up<T, E: MayBeBehind>(cx: &Context, check: impl Fn() -> Result<T, E>) -> Result<T, E> {
    if !cx.publication.in_touch(cx.clock.monotonic()) {
        return Err(CannotTell::NotReady.into());
    }
    match check() {
        Err(error) => {
            let Some(needs) = error.needs() else { return Err(error) };
            if tokio::time::timeout(CATCH_UP, cx.replica.wait_for(needs)).await.is_err() {
                return Err(error);
            }
            check()
        }
        answer => answer,
    }
}

/// An error that may say which revision would help.
trait MayBeBehind: From<CannotTell> {
    fn needs(&self) -> Option<Revision>;
}

impl MayBeBehind for CannotTell {
    fn needs(&self) -> Option<Revision> {
        match self {
            Self::Behind { needs } => Some(*needs),
            _ => None,
        }
    }
}

impl MayBeBehind for Refused {
    fn needs(&self) -> Option<Revision> {
        match self {
            Self::CannotTell(error) => error.needs(),
            _ => None,
        }
    }
}
