//! What can go wrong with a token request.

use std::time::Duration;

use tessera_store::StoreError;
use tessera_types::{ErrorCode, Failure, GrantType, Scope};

use super::authorization_code::CodeError;
use super::refresh_token::RefreshError;
use crate::client_auth::ClientAuthError;
use crate::minting::MintError;
use crate::standing::NotReady;
use crate::user_auth::UserAuthError;

/// What is wrong with a token request's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// No grant type.
    #[error("no grant type")]
    GrantTypeMissing,
    /// A grant type that this server does not run.
    #[error("unsupported grant type")]
    GrantTypeUnsupported,
    /// A scope that is none.
    #[error("malformed scope")]
    Scope,
    /// An audience that is none.
    #[error("malformed audience")]
    Audience,
    /// A `resource` that is not an absolute URI without fragment (RFC 8707 section 2).
    #[error("resource is not an absolute URI")]
    Resource,
    /// `resource` and `audience` both, and different.
    #[error("resource and audience differ")]
    Ambiguous,
    /// A parameter that the grant needs.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
}

impl Failure for ParameterError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::GrantTypeMissing | Self::Missing(_) => ErrorCode::InvalidRequest,
            Self::GrantTypeUnsupported => ErrorCode::UnsupportedGrantType,
            Self::Scope => ErrorCode::InvalidScope,
            Self::Audience | Self::Resource | Self::Ambiguous => ErrorCode::InvalidTarget,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::GrantTypeMissing => "GRANT_TYPE_MISSING",
            Self::GrantTypeUnsupported => "GRANT_TYPE_UNSUPPORTED",
            Self::Scope => "SCOPE_MALFORMED",
            Self::Audience => "AUDIENCE_MALFORMED",
            Self::Resource => "RESOURCE_MALFORMED",
            Self::Ambiguous => "RESOURCE_AND_AUDIENCE_DIFFER",
            Self::Missing(_) => "PARAMETER_MISSING",
        }
    }

    fn field(&self) -> Option<&'static str> {
        Some(match self {
            Self::GrantTypeMissing | Self::GrantTypeUnsupported => "grant_type",
            Self::Scope => "scope",
            Self::Audience | Self::Resource | Self::Ambiguous => "audience",
            Self::Missing(name) => name,
        })
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::GrantTypeMissing => "The parameter grant_type is missing.",
            Self::GrantTypeUnsupported => {
                "The grant type is not supported. The server's metadata lists the supported ones."
            }
            Self::Scope => "The parameter scope is malformed: names of printable ASCII, separated by spaces.",
            Self::Audience => "The parameter audience is malformed.",
            Self::Resource => "The parameter resource is not an absolute URI without fragment.",
            Self::Ambiguous => "The parameters resource and audience differ. Send one of them.",
            Self::Missing("username") => "The parameter username is missing.",
            Self::Missing("password") => "The parameter password is missing.",
            Self::Missing("refresh_token") => "The parameter refresh_token is missing.",
            Self::Missing("code") => "The parameter code is missing.",
            Self::Missing(_) => "A parameter that the grant needs is missing.",
        }
    }
}

/// Why a token request got no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The client is not who it says.
    #[error(transparent)]
    Client(#[from] ClientAuthError),
    /// The operator has not turned the grant on.
    #[error("the password grant is turned off")]
    GrantOff,
    /// The client may not use this grant.
    #[error("the client may not use the grant {0}")]
    GrantNotAllowed(GrantType),
    /// The grant is for confidential clients.
    #[error("a public client asked for client credentials")]
    PublicClient,
    /// A scope is not one of the client's, or was not granted.
    #[error("the scope {0} is not one of the client's, or was not granted")]
    ScopeNotAllowed(Scope),
    /// The audience is not one of the client's, or was not granted.
    #[error("the audience is not one of the client's, or was not granted")]
    AudienceNotAllowed,
    /// The user is not who they say.
    #[error(transparent)]
    User(#[from] UserAuthError),
    /// The refresh token is not good.
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    /// The code is not good.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The token could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// The database did not answer, or nobody knows what it did.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has not been read far enough.
    #[error("the log has not been read far enough")]
    NotReady,
}

impl From<NotReady> for TokenError {
    fn from(_: NotReady) -> Self {
        Self::NotReady
    }
}

impl TokenError {
    fn inner(&self) -> Option<&dyn Failure> {
        match self {
            Self::Client(error) => Some(error),
            Self::User(error) => Some(error),
            Self::Refresh(error) => Some(error),
            Self::Code(error) => Some(error),
            Self::Mint(error) => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }

    /// Of the cases that are its own: code, reason, advice and field.
    const fn told(&self) -> (ErrorCode, &'static str, &'static str, Option<&'static str>) {
        match self {
            Self::GrantOff => (
                ErrorCode::UnsupportedGrantType,
                "GRANT_TYPE_UNSUPPORTED",
                "The grant type is not supported. The server's metadata lists the supported ones.",
                Some("grant_type"),
            ),
            Self::GrantNotAllowed(_) => (
                ErrorCode::UnauthorizedClient,
                "GRANT_NOT_ALLOWED",
                "The client may not use this grant. An administrator can allow it.",
                None,
            ),
            Self::PublicClient => (
                ErrorCode::UnauthorizedClient,
                "PUBLIC_CLIENT",
                "Client credentials are for confidential clients only.",
                None,
            ),
            Self::ScopeNotAllowed(_) => (
                ErrorCode::InvalidScope,
                "SCOPE_NOT_ALLOWED",
                "A scope is unknown, not one of this client's, or was not granted.",
                Some("scope"),
            ),
            Self::AudienceNotAllowed => (
                ErrorCode::InvalidTarget,
                "AUDIENCE_NOT_ALLOWED",
                "The audience is not one of this client's, or was not granted.",
                Some("audience"),
            ),
            _ => (ErrorCode::TemporarilyUnavailable, "NOT_READY", "The server is starting. Try again.", None),
        }
    }
}

impl Failure for TokenError {
    fn code(&self) -> ErrorCode {
        self.inner().map_or(self.told().0, Failure::code)
    }

    fn reason(&self) -> &'static str {
        self.inner().map_or(self.told().1, Failure::reason)
    }

    fn advice(&self) -> &'static str {
        self.inner().map_or(self.told().2, Failure::advice)
    }

    fn retry_after(&self) -> Option<Duration> {
        match self.inner() {
            Some(inner) => inner.retry_after(),
            None => (self.code() == ErrorCode::TemporarilyUnavailable).then_some(Duration::from_secs(1)),
        }
    }

    fn field(&self) -> Option<&'static str> {
        self.inner().map_or(self.told().3, Failure::field)
    }
}
