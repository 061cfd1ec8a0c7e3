//! What can go wrong before a person has decided.

use tessera_store::StoreError;
use tessera_types::{ErrorCode, Failure};

use crate::operations::sessions::SessionError;
use crate::standing::NotReady;

/// Why a request is not kept.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// The client or its redirect URI is not known: the person is told, and the browser is sent nowhere (RFC 6749 section 4.1.2.1).
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Something else is wrong: the client is told, at its redirect URI.
    #[error("the authorization request is wrong: {mistake}")]
    Mistaken {
        /// What.
        mistake: Mistake,
        /// Where to send the browser.
        redirect: String,
    },
    /// The database did not answer, or does not take the request's texts.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong with who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// No such client, or a disabled one.
    #[error("unknown client")]
    Client,
    /// A redirect URI that is not the client's.
    #[error("unknown redirect URI")]
    RedirectUri,
    /// No redirect URI where the client has none or several.
    #[error("no redirect URI")]
    NoRedirectUri,
    /// The parameters themselves cannot be read.
    #[error("malformed request")]
    Malformed,
}

impl Failure for Untrusted {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Client => "CLIENT_UNKNOWN",
            Self::RedirectUri => "REDIRECT_URI_UNKNOWN",
            Self::NoRedirectUri => "REDIRECT_URI_MISSING",
            Self::Malformed => "REQUEST_MALFORMED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Client => "The application is not known here. Check client_id.",
            Self::RedirectUri => "The redirect_uri is not registered for this application, byte by byte.",
            Self::NoRedirectUri => "The request names no redirect_uri, and the application has not exactly one.",
            Self::Malformed => "The request cannot be read: a parameter is repeated or wrongly encoded.",
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Client => Some("client_id"),
            Self::RedirectUri | Self::NoRedirectUri => Some("redirect_uri"),
            Self::Malformed => None,
        }
    }
}

/// What a client did wrong; it is told so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// No response type.
    #[error("no response type")]
    ResponseTypeMissing,
    /// Another response type than `code`.
    #[error("unsupported response type")]
    ResponseType,
    /// Another response mode than `query`.
    #[error("unsupported response mode")]
    ResponseMode,
    /// The client may not use the grant.
    #[error("the client may not use authorization codes")]
    GrantNotAllowed,
    /// A scope that is none, or not the client's.
    #[error("a scope is not one of the client's")]
    Scope,
    /// An audience that is none, or not the client's.
    #[error("the audience is not one of the client's")]
    Audience,
    /// A public client without a challenge, or any without one where all must have it.
    #[error("no code challenge")]
    ChallengeMissing,
    /// Another method than S256, `plain` by default.
    #[error("unsupported challenge method")]
    ChallengeMethod,
    /// A challenge that is none.
    #[error("malformed challenge")]
    Challenge,
    /// A state that is too long, or cannot be kept.
    #[error("state out of bounds")]
    State,
    /// A parameter stands there twice.
    #[error("a parameter is repeated")]
    Repeated,
    /// A request object, which this server does not read.
    #[error("request objects are not supported")]
    RequestObject,
}

impl Mistake {
    const fn told(self) -> (ErrorCode, &'static str, &'static str) {
        match self {
            Self::ResponseTypeMissing => {
                (ErrorCode::InvalidRequest, "RESPONSE_TYPE_MISSING", "The parameter response_type is missing.")
            }
            Self::ResponseType => {
                (ErrorCode::UnsupportedResponseType, "RESPONSE_TYPE_UNSUPPORTED", "The only response_type is code.")
            }
            Self::ResponseMode => {
                (ErrorCode::InvalidRequest, "RESPONSE_MODE_UNSUPPORTED", "The only response_mode is query.")
            }
            Self::GrantNotAllowed => (
                ErrorCode::UnauthorizedClient,
                "GRANT_NOT_ALLOWED",
                "The client may not use this grant. An administrator can allow it.",
            ),
            Self::Scope => (
                ErrorCode::InvalidScope,
                "SCOPE_NOT_ALLOWED",
                "A scope is malformed, unknown or not one of this client's.",
            ),
            Self::Audience => {
                (ErrorCode::InvalidTarget, "AUDIENCE_NOT_ALLOWED", "The audience is not one of this client's.")
            }
            Self::ChallengeMissing => {
                (ErrorCode::InvalidRequest, "CODE_CHALLENGE_MISSING", "The parameter code_challenge is missing.")
            }
            Self::ChallengeMethod => (
                ErrorCode::InvalidRequest,
                "CODE_CHALLENGE_METHOD_UNSUPPORTED",
                "The only code_challenge_method is S256, and it must be named.",
            ),
            Self::Challenge => (
                ErrorCode::InvalidRequest,
                "CODE_CHALLENGE_MALFORMED",
                "A code_challenge is 43 characters of base64url: the SHA-256 of the verifier.",
            ),
            Self::State => {
                (ErrorCode::InvalidRequest, "STATE_OUT_OF_BOUNDS", "A state has at most 4096 bytes and no NUL.")
            }
            Self::Repeated => {
                (ErrorCode::InvalidRequest, "PARAMETER_REPEATED", "A parameter is repeated; send each parameter once.")
            }
            Self::RequestObject => {
                (ErrorCode::InvalidRequest, "REQUEST_OBJECT_UNSUPPORTED", "Request objects are not supported.")
            }
        }
    }
}

impl Failure for Mistake {
    fn code(&self) -> ErrorCode {
        self.told().0
    }

    fn reason(&self) -> &'static str {
        self.told().1
    }

    fn advice(&self) -> &'static str {
        self.told().2
    }
}

impl AuthorizeError {
    fn inner(&self) -> &dyn Failure {
        match self {
            Self::Untrusted(error) => error,
            Self::Mistaken { mistake, .. } => mistake,
            Self::Store(error) => error,
        }
    }
}

impl Failure for AuthorizeError {
    fn code(&self) -> ErrorCode {
        self.inner().code()
    }

    fn reason(&self) -> &'static str {
        self.inner().reason()
    }

    fn advice(&self) -> &'static str {
        self.inner().advice()
    }

    fn field(&self) -> Option<&'static str> {
        self.inner().field()
    }
}

/// Why a request is not decided.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// It was decided, is over, or never was; or its client may not ask any more.
    #[error("no such authorization request waits")]
    Gone,
    /// The session is over, or the user may not sign in.
    #[error("the user is not signed in")]
    SignedOut,
    /// They have not allowed all of it before, or are always asked.
    #[error("the user has not allowed it before")]
    NotAllowedBefore,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has not been read far enough, or client or user keep changing.
    #[error("the log is not loaded yet, or the client keeps changing")]
    NotReady,
}

impl From<NotReady> for DecideError {
    fn from(_: NotReady) -> Self {
        Self::NotReady
    }
}

impl From<SessionError> for DecideError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Store(error) => Self::Store(error),
            SessionError::NotReady => Self::NotReady,
        }
    }
}

impl Failure for DecideError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Gone => ErrorCode::NotFound,
            Self::SignedOut | Self::NotAllowedBefore => ErrorCode::FailedPrecondition,
            Self::Store(error) => error.code(),
            Self::NotReady => ErrorCode::TemporarilyUnavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Gone => "AUTHORIZATION_GONE",
            Self::SignedOut => "SIGNED_OUT",
            Self::NotAllowedBefore => "CONSENT_REQUIRED",
            Self::Store(error) => error.reason(),
            Self::NotReady => "NOT_READY",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Gone => "The authorization request was decided or is over. Start again at the application.",
            Self::SignedOut => "The user is not signed in. Sign in and decide again.",
            Self::NotAllowedBefore => "The user has not allowed all of it before. Ask them.",
            Self::Store(error) => error.advice(),
            Self::NotReady => "The server is starting, or the client is being changed. Try again.",
        }
    }
}
