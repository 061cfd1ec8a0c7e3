//! Why somebody may not ask.

use std::time::Duration;

use tessera_check::Refused;
use tessera_kit::http::AuthorizationError;
use tessera_kit::tls::NotTheirs;
use tessera_types::{ErrorCode, Failure};

use super::Unconfirmed;
use crate::consistency::NotFresh;

/// Why somebody may not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// No credential.
    #[error("there is no credential")]
    Missing,
    /// Nothing but a certificate, and that is no client's, or another one's.
    #[error(transparent)]
    Certificate(#[from] NotTheirs),
    /// A credential that is malformed.
    #[error(transparent)]
    Malformed(#[from] AuthorizationError),
    /// Two mechanisms in one request (RFC 6749 section 2.3).
    #[error("two ways of authentication are used at once")]
    TwoMechanisms,
    /// A mechanism that is not known here (RFC 7523 section 2.2).
    #[error("client assertions are not supported")]
    Assertion,
    /// The credential is wrong, or of a client that may not be used.
    #[error("client authentication failed")]
    Refused,
    /// The client was changed since its credential was confirmed: nothing is known against the credential.
    #[error("the client was changed during the call")]
    Changed,
    /// The Bearer token is not good for this.
    #[error(transparent)]
    Token(#[from] Refused),
    /// The client has no resources, so there is nothing it may ask about.
    #[error("the client may introspect nothing")]
    NoResources,
    /// The issuer must be asked, and does not answer.
    #[error(transparent)]
    Unconfirmed(#[from] Unconfirmed),
    /// The replica cannot tell now.
    #[error(transparent)]
    NotFresh(#[from] NotFresh),
}

impl Failure for CallerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::TwoMechanisms => ErrorCode::InvalidRequest,
            Self::Missing | Self::Assertion | Self::Refused | Self::Unconfirmed(Unconfirmed::Refused) => {
                ErrorCode::InvalidClient
            }
            Self::Certificate(error) => error.code(),
            Self::Malformed(error) => error.code(),
            Self::Token(refused) => refused.code(),
            Self::NoResources => ErrorCode::UnauthorizedClient,
            Self::Unconfirmed(Unconfirmed::Throttled) => ErrorCode::Throttled,
            Self::Changed | Self::Unconfirmed(Unconfirmed::Unreachable) => ErrorCode::TemporarilyUnavailable,
            Self::NotFresh(cause) => cause.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "CLIENT_AUTHENTICATION_MISSING",
            Self::Certificate(error) => error.reason(),
            Self::Malformed(error) => error.reason(),
            Self::TwoMechanisms => "TWO_CLIENT_AUTHENTICATIONS",
            Self::Assertion => "CLIENT_ASSERTION_UNSUPPORTED",
            Self::Refused | Self::Unconfirmed(Unconfirmed::Refused) => "CLIENT_AUTHENTICATION_FAILED",
            Self::Changed => "CALLER_CHANGED",
            Self::Token(refused) => refused.reason(),
            Self::NoResources => "NO_RESOURCES",
            Self::Unconfirmed(Unconfirmed::Throttled) => "TOO_MANY_AUTHENTICATIONS",
            Self::Unconfirmed(Unconfirmed::Unreachable) => "ISSUER_UNREACHABLE",
            Self::NotFresh(cause) => cause.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Missing => {
                "Authenticate with Basic (client id and secret) or with a Bearer token that has the scope introspect."
            }
            Self::Certificate(error) => error.advice(),
            Self::Malformed(error) => error.advice(),
            Self::TwoMechanisms => {
                "Authenticate in one way: with the Authorization header or with the form's parameters."
            }
            Self::Assertion => {
                "Client assertions are not supported. Use Authorization: Basic, or client_secret in the body."
            }
            Self::Refused | Self::Unconfirmed(Unconfirmed::Refused) => {
                "Client authentication failed; check client id and secret, and that the client is enabled."
            }
            Self::Changed => "The client was changed during the call. Try again at once.",
            Self::Token(refused) => refused.advice(),
            Self::NoResources => {
                "The client may introspect nothing; give it resources, the audiences it serves, with tessera client update."
            }
            Self::Unconfirmed(Unconfirmed::Throttled) => "Too many credentials are being checked. Try again shortly.",
            Self::Unconfirmed(Unconfirmed::Unreachable) => {
                "The issuer, which must check this credential, was not reached. Try again shortly."
            }
            Self::NotFresh(cause) => cause.advice(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match (self, self.code()) {
            (Self::Changed, _) => Some(Duration::ZERO),
            (_, ErrorCode::Throttled | ErrorCode::TemporarilyUnavailable) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl CallerError {
    /// Whether the caller may not ask, as opposed to: it cannot be told now.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self.code(),
            ErrorCode::Throttled
                | ErrorCode::TemporarilyUnavailable
                | ErrorCode::DeadlineExceeded
                | ErrorCode::ServerError
        )
    }
}
