//! The grants: one file each, and here what they share.

pub mod client_credentials;

use tessera_store::Client;
use tessera_types::{Audience, ErrorCode, Failure, GrantType, ScopeSet};

use crate::client_auth::{self, ClientAuthError, PresentedClient};
use crate::context::Context;
use crate::minting::{MintError, Minted};

/// The grants this server runs; metadata lists just these.
pub const SUPPORTED: &[GrantType] = &[GrantType::ClientCredentials];

/// A token request, whatever way it came.
pub struct TokenRequest {
    /// Who asks.
    pub client: PresentedClient,
    /// For which grant.
    pub grant: GrantRequest,
    /// For which scopes; none means the client's default scopes.
    pub scopes: ScopeSet,
    /// For which audience; none means the client's first.
    pub audience: Option<Audience>,
}

/// A grant with its own parameters.
pub enum GrantRequest {
    /// RFC 6749 section 4.4.
    ClientCredentials,
}

impl GrantRequest {
    /// The grant's type.
    #[must_use]
    pub const fn grant_type(&self) -> GrantType {
        match self {
            Self::ClientCredentials => GrantType::ClientCredentials,
        }
    }
}

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
}

impl Failure for ParameterError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::GrantTypeMissing => ErrorCode::InvalidRequest,
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
        }
    }

    fn field(&self) -> Option<&'static str> {
        Some(match self {
            Self::GrantTypeMissing | Self::GrantTypeUnsupported => "grant_type",
            Self::Scope => "scope",
            Self::Audience | Self::Resource | Self::Ambiguous => "audience",
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
        }
    }
}

/// Why a token request got no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The client is not who it says.
    #[error(transparent)]
    Client(#[from] ClientAuthError),
    /// The client may not use this grant.
    #[error("the client may not use the grant {0}")]
    GrantNotAllowed(GrantType),
    /// The grant is for confidential clients.
    #[error("a public client asked for client credentials")]
    PublicClient,
    /// A scope is not one of the client's.
    #[error("a scope is not one of the client's")]
    ScopeNotAllowed,
    /// The audience is not one of the client's.
    #[error("the audience is not one of the client's")]
    AudienceNotAllowed,
    /// The token could not be made.
    #[error(transparent)]
    Mint(#[from] MintError),
}

impl Failure for TokenError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Client(error) => error.code(),
            Self::GrantNotAllowed(_) | Self::PublicClient => ErrorCode::UnauthorizedClient,
            Self::ScopeNotAllowed => ErrorCode::InvalidScope,
            Self::AudienceNotAllowed => ErrorCode::InvalidTarget,
            Self::Mint(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Client(error) => error.reason(),
            Self::GrantNotAllowed(_) => "GRANT_NOT_ALLOWED",
            Self::PublicClient => "PUBLIC_CLIENT",
            Self::ScopeNotAllowed => "SCOPE_NOT_ALLOWED",
            Self::AudienceNotAllowed => "AUDIENCE_NOT_ALLOWED",
            Self::Mint(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Client(error) => error.advice(),
            Self::GrantNotAllowed(_) => "The client may not use this grant. An administrator can allow it.",
            Self::PublicClient => "Client credentials are for confidential clients only.",
            Self::ScopeNotAllowed => "A scope is unknown or not one of this client's.",
            Self::AudienceNotAllowed => "The audience is not one of this client's.",
            Self::Mint(error) => error.advice(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Client(error) => error.retry_after(),
            Self::Mint(error) => error.retry_after(),
            _ => None,
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::ScopeNotAllowed => Some("scope"),
            Self::AudienceNotAllowed => Some("audience"),
            _ => None,
        }
    }
}

/// Runs a token request.
///
/// # Errors
/// See [`TokenError`].
pub async fn issue(cx: &Context, request: TokenRequest) -> Result<Minted, TokenError> {
    let grant_type = request.grant.grant_type();
    let result = execute(cx, request).await;
    cx.telemetry.token_request(grant_type, result.as_ref().err().map(Failure::code));
    result
}

async fn execute(cx: &Context, request: TokenRequest) -> Result<Minted, TokenError> {
    let client = client_auth::authenticate(cx, &request.client).await?;
    let grant_type = request.grant.grant_type();
    match request.grant {
        GrantRequest::ClientCredentials => {
            client_credentials::execute(cx, &client, grant_type, request.scopes, request.audience)
        }
    }
}

/// The client must have been given the grant.
fn may_use(client: &Client, grant: GrantType) -> Result<(), TokenError> {
    if client.grants.contains(&grant) { Ok(()) } else { Err(TokenError::GrantNotAllowed(grant)) }
}

/// What is asked for must be the client's; nothing asked for is the client's default (RFC 6749 section 3.3).
fn narrow_scopes(client: &Client, asked: ScopeSet) -> Result<ScopeSet, TokenError> {
    if asked.is_empty() {
        return Ok(client.default_scopes.clone());
    }
    if asked.is_subset(&client.scopes) { Ok(asked) } else { Err(TokenError::ScopeNotAllowed) }
}

/// The audience asked for must be the client's; none asked for is its first (RFC 8707 section 2).
fn choose_audience(cx: &Context, client: &Client, asked: Option<Audience>) -> Result<Audience, TokenError> {
    match asked {
        None => Ok(client.audiences.first().unwrap_or(&cx.policy.default_audience).clone()),
        Some(audience) if client.audiences.contains(&audience) => Ok(audience),
        Some(_) => Err(TokenError::AudienceNotAllowed),
    }
}
