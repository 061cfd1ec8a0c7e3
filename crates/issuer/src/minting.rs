//! Access tokens: what a grant decided becomes a signed JWT (RFC 9068, or the legacy claims profile).

use std::time::Duration;

use tessera_check::claims::AccessClaims;
use tessera_store::Client;
use tessera_types::{Audience, ClaimsProfile, ErrorCode, Failure, GrantId, Revision, ScopeSet, Timestamp, TokenId};
use zeroize::Zeroizing;

use crate::context::Context;

/// How far `nbf` lies in the past, and in the legacy profile `iat` too: resource servers verify with no leeway at all, and
/// their clocks run behind ours as often as ahead.
const BACKDATE: Duration = Duration::from_secs(3);

/// What everybody is told while the keys are missing that the operator wants to give (seed 004).
pub const NO_KEY: &str = "OAuth authorization is not available as encryption keys configuration was not complete. Please contact your administrator.";

/// What a grant decided.
pub struct Grant<'a> {
    /// The client the token is issued to.
    pub client: &'a Client,
    /// The shape of its claims.
    pub profile: ClaimsProfile,
    /// Whom it acts for: a user's id, or the client's own.
    pub subject: &'a str,
    /// The user's name, where it acts for one.
    pub username: Option<&'a str>,
    /// The grant it came of, where it can be revoked with others.
    pub grant: Option<GrantId>,
    /// The scopes granted.
    pub scopes: ScopeSet,
    /// The audience it is meant for.
    pub audience: Audience,
    /// What the issuer had applied before it checked anything.
    pub rev: Revision,
}

/// A token and what the client is told of it.
pub struct Minted {
    /// The signed token.
    pub access_token: String,
    /// How long it lives from now.
    pub expires_in: Duration,
    /// The scopes granted.
    pub scopes: ScopeSet,
    /// Its identifier and when it expires.
    pub token: (TokenId, Timestamp),
    /// The refresh token, where there is one.
    pub refresh_token: Option<Zeroizing<String>>,
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is no key to sign with.
    #[error("there is no active signing key")]
    NoKey,
    /// The key did not sign.
    #[error("signing failed")]
    Signing(#[source] tessera_keys::SignError),
}

impl Failure for MintError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoKey => ErrorCode::TemporarilyUnavailable,
            Self::Signing(_) => ErrorCode::ServerError,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NoKey => "NO_SIGNING_KEY",
            Self::Signing(_) => "SIGNING_FAILED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NoKey => NO_KEY,
            Self::Signing(_) => "The server failed. Its log says more.",
        }
    }
}

/// Makes and signs an access token.
///
/// # Errors
/// `NoKey` where the operator's keys are missing.
pub fn mint(cx: &Context, grant: Grant<'_>) -> Result<Minted, MintError> {
    let signer = cx.signer.load_full().ok_or(MintError::NoKey)?;
    let now = cx.clock.now();
    let profile = grant.profile;
    // Its key must be accepted until the end that the client is told.
    let longest = cx.policy.keys.schedule.retire_after;
    let lifetime = grant.client.access_ttl.unwrap_or(cx.policy.access_ttl).min(longest);
    let backdated = now.minus(BACKDATE);
    let claims = AccessClaims {
        issuer: cx.policy.issuer_url.clone(),
        subject: grant.subject.to_owned(),
        audience: vec![grant.audience],
        client: grant.client.id.clone(),
        scopes: grant.scopes.clone(),
        issued: if profile == ClaimsProfile::Legacy { backdated } else { now },
        not_before: backdated,
        expires: now.plus(lifetime),
        token: TokenId::generate(&*cx.random),
        rev: grant.rev,
        grant: grant.grant,
        username: grant.username.map(str::to_owned),
        profile,
    };
    let access_token = claims.sign(&signer).map_err(MintError::Signing)?;
    let token = (claims.token, claims.expires);
    Ok(Minted { access_token, expires_in: lifetime, scopes: grant.scopes, token, refresh_token: None })
}
