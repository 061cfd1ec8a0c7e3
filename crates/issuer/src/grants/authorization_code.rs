//! The authorization code grant, its second half (RFC 6749 section 4.1.3) with PKCE (RFC 7636).
//!
//! A client redeems what a user decided. Threats: a code redeemed by another client, or twice (one conditional update picks the
//! winner; a second redemption with everything right revokes what came of the first); a code injected into another session (redirect
//! URI and challenge must match, and a verifier without a challenge is refused, RFC 9700 section 4.8.2); a code that outlives
//! password, consent or client (`rev`). A redemption that gets something wrong revokes nothing: anybody could send it.

use tessera_store::{Action, AuthorizationCodeRecord, Detail, StoreError};
use tessera_types::{AuthorizationCode, CodeVerifier, ErrorCode, Failure, GrantType};

use super::users::{Beginning, Prepared, narrow_granted};
use super::{Asked, TokenError, Turn, may_use};
use crate::client_auth::AuthenticatedClient;
use crate::context::Context;
use crate::operations::grants;
use crate::standing::{self, Owners};

/// What a client presents. Not shown.
#[derive(Clone)]
pub struct Redemption {
    /// The code, as sent.
    pub code: String,
    /// The redirect URI, as sent.
    pub redirect_uri: Option<String>,
    /// The verifier, as sent.
    pub verifier: Option<String>,
}

impl std::fmt::Debug for Redemption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redemption").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// Why a code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not a code of ours, or long over.
    #[error("unknown code")]
    Unknown,
    /// It was given to another client.
    #[error("the code of another client")]
    NotYours,
    /// It was not redeemed in time.
    #[error("expired code")]
    Expired,
    /// The redirect URI is not the one of the request.
    #[error("another redirect URI")]
    RedirectUri,
    /// The verifier is missing, malformed, or not the one behind the challenge; or there was no challenge.
    #[error("wrong code verifier")]
    Verifier,
    /// User, consent or client have changed since.
    #[error("revoked code")]
    Revoked,
    /// It was redeemed before: what came of that is dead from now on.
    #[error("code redeemed twice")]
    Replayed,
}

impl Failure for CodeError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidGrant
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "CODE_UNKNOWN",
            Self::NotYours => "CODE_OF_ANOTHER_CLIENT",
            Self::Expired => "CODE_EXPIRED",
            Self::RedirectUri => "REDIRECT_URI_DIFFERS",
            Self::Verifier => "CODE_VERIFIER_WRONG",
            Self::Revoked => "CODE_REVOKED",
            Self::Replayed => "CODE_REPLAYED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::RedirectUri => "The redirect_uri is not the one of the authorization request.",
            Self::Verifier => "The code_verifier does not match the code_challenge of the authorization request.",
            _ => "The authorization code is invalid, expired or used. Start the authorization again.",
        }
    }

    fn field(&self) -> Option<&'static str> {
        Some(match self {
            Self::RedirectUri => "redirect_uri",
            Self::Verifier => "code_verifier",
            _ => "code",
        })
    }
}

/// Runs the grant for a client that has authenticated.
///
/// # Errors
/// `GrantNotAllowed`, `Code`, `ScopeNotAllowed`, `AudienceNotAllowed`, `Mint`, `Store`.
pub async fn execute(
    cx: &Context,
    authenticated: &AuthenticatedClient,
    redemption: &Redemption,
    asked: &Asked<'_>,
) -> Result<Turn, TokenError> {
    let client = &authenticated.client;
    may_use(client, GrantType::AuthorizationCode)?;
    let code: AuthorizationCode = redemption.code.parse().map_err(|_| CodeError::Unknown)?;
    let record = cx.store.authorizations().code(code.hash()).await?.ok_or(CodeError::Unknown)?;
    if record.client != client.id {
        return Err(CodeError::NotYours.into());
    }
    check_redirect(&record, redemption.redirect_uri.as_deref())?;
    check_verifier(&record, redemption.verifier.as_deref())?;
    // From here on the presenter is who the code was made for: what is wrong now is misuse or lateness.
    if record.redeemed.is_some() {
        return Err(replayed(cx, &record).await);
    }
    if record.expires <= cx.clock.now() {
        return Err(CodeError::Expired.into());
    }
    let owners = Owners { client: Some(&client.id), user: record.user };
    if !standing::stands(cx, record.rev, owners).await? {
        return Err(CodeError::Revoked.into());
    }
    let user = cx.store.users().find(record.user).await?.filter(|user| user.enabled);
    let user = user.ok_or(CodeError::Revoked)?;
    let scopes = narrow_granted(&record.scopes, asked.scopes, &asked.implicit(client))?;
    let audience = match (&record.audience, asked.audience) {
        // What was granted, and nothing else (RFC 8707 section 2.2).
        (Some(granted), Some(asked)) if granted != asked => return Err(TokenError::AudienceNotAllowed),
        (granted, asked) => super::choose_audience(cx, client, asked.or(granted.as_ref()))?,
    };
    let (rev, by_password) = (authenticated.rev, false);
    let beginning = Beginning { client, user: &user, scopes, audience, rev, by_password, asked };
    if beginning.overtaken(cx) {
        return Ok(Turn::Again);
    }
    let prepared = beginning.prepare_as(cx, record.grant)?;
    redeem(cx, &record, &prepared).await?;
    Ok(Turn::Done(prepared.minted))
}

/// Redeems the code and keeps the family. The family first: it needs client and user, and who deletes these locks them first too.
async fn redeem(cx: &Context, record: &AuthorizationCodeRecord, prepared: &Prepared) -> Result<(), TokenError> {
    let tx = cx.store.begin().await?;
    let won = match prepared.write(&tx).await {
        // Deleted meanwhile, with everything of theirs.
        Err(StoreError::Missing) => return Err(CodeError::Revoked.into()),
        // Another redemption was faster.
        Err(StoreError::Taken { .. }) => false,
        written => {
            written?;
            tx.authorizations().redeem(record.code, cx.clock.now()).await?
        }
    };
    if won {
        tx.commit().await?;
        return Ok(());
    }
    tx.rollback().await?;
    match cx.store.authorizations().code(record.code).await? {
        Some(code) if code.redeemed.is_some() => Err(replayed(cx, record).await),
        // Taken back meanwhile.
        _ => Err(CodeError::Revoked.into()),
    }
}

/// The URI must be the request's, byte by byte, where the request named one (RFC 6749 section 4.1.3).
fn check_redirect(record: &AuthorizationCodeRecord, presented: Option<&str>) -> Result<(), CodeError> {
    match (record.redirect_uri.as_deref(), presented) {
        (Some(asked), Some(presented)) if asked == presented => Ok(()),
        (None, None) => Ok(()),
        _ => Err(CodeError::RedirectUri),
    }
}

fn check_verifier(record: &AuthorizationCodeRecord, presented: Option<&str>) -> Result<(), CodeError> {
    match (record.challenge, presented) {
        (None, None) => Ok(()),
        (Some(challenge), Some(presented)) => {
            let verifier: CodeVerifier = presented.parse().map_err(|_| CodeError::Verifier)?;
            if challenge.is_of(&verifier) { Ok(()) } else { Err(CodeError::Verifier) }
        }
        _ => Err(CodeError::Verifier),
    }
}

/// A code came again, with everything right. What came of it is dead before the caller hears of it.
async fn replayed(cx: &Context, record: &AuthorizationCodeRecord) -> TokenError {
    tracing::warn!(client_id = %record.client, user_id = %record.user, grant_id = %record.grant, "an authorization code was redeemed again: its grant is revoked");
    let told = cx.did(Action::GrantMisuse).because("CODE_REUSED");
    let told = told.with(Detail::Client, &record.client).with(Detail::User, record.user);
    match grants::end_after_misuse(cx, record.grant, told).await {
        Ok(()) => CodeError::Replayed.into(),
        Err(error) => error.into(),
    }
}
