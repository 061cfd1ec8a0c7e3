//! Token revocation (RFC 7009).
//!
//! The client authenticates, the token is found to be its own, the revocation is written to the log, and the call returns once
//! everybody who could still say active has confirmed it. Threats: a storage error that passes for success; revoking somebody
//! else's token; skipping a revocation because a clock runs ahead; tokens long expired, revoked to fill the log.

use tessera_ledger::event::Event;
use tessera_store::{Action, Actor, Detail, NewRecord, StoreError, Target};
use tessera_types::{ErrorCode, Failure, RefreshToken, Revision};

use crate::audit::By;
use crate::client_auth::{self, AuthenticatedClient, ClientAuthError, PresentedClient};
use crate::context::Context;
use crate::log::Unconfirmed;
use crate::operations::grants;

/// Who may revoke.
pub enum Authority {
    /// A client, its own tokens.
    Client(PresentedClient),
    /// An administrator, any client's; already authorized.
    Administrator,
}

/// Why a revocation is not confirmed everywhere.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The client is not who it says.
    #[error(transparent)]
    Client(#[from] ClientAuthError),
    /// The token was issued to another client; it stays active.
    #[error("the token was issued to another client")]
    NotYours,
    /// The log could not be written, or nobody knows whether it was: never a success.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The revocation is durable, but a connected introspector has not confirmed it in time.
    #[error(transparent)]
    Unconfirmed(#[from] Unconfirmed),
}

impl Failure for RevokeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Client(error) => error.code(),
            Self::NotYours => ErrorCode::InvalidGrant,
            Self::Store(error) => error.code(),
            Self::Unconfirmed(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Client(error) => error.reason(),
            Self::NotYours => "TOKEN_OF_ANOTHER_CLIENT",
            Self::Store(error) => error.reason(),
            Self::Unconfirmed(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Client(error) => error.advice(),
            Self::NotYours => "The token was issued to another client. It stays active.",
            Self::Store(error) => error.advice(),
            Self::Unconfirmed(error) => error.advice(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Client(error) => error.retry_after(),
            Self::NotYours => None,
            Self::Store(error) => error.retry_after(),
            Self::Unconfirmed(error) => error.retry_after(),
        }
    }
}

/// Revokes a token, and returns the revision at which it is inactive everywhere. A refresh token takes its grant along: every refresh
/// token and every access token of it (RFC 7009 section 2.1). What kind it is shows in the token itself; a hint is not needed.
///
/// A token that this server did not sign is nothing to revoke (RFC 7009 section 2.2): it is inactive already, and the revision is
/// the one the issuer stands at. An expired one is written all the same, since whether it has expired is a matter of clocks; but for
/// one below the floor, which is inactive wherever the floor is known: nothing is written, and the revision is the floor's.
///
/// # Errors
/// `NotYours` for another client's token; `Store` where nothing was written; `Unconfirmed` where it was.
pub async fn revoke(cx: &Context, authority: Authority, token: &str) -> Result<Revision, RevokeError> {
    let (client, by) = match authority {
        Authority::Client(presented) => {
            let client = client_auth::authenticate(cx, &presented).await?;
            let actor = Actor::Client(client.client.id.clone());
            (Some(client), By { from: presented.from, ..By::of(actor) })
        }
        Authority::Administrator => (None, cx.by().clone()),
    };
    let cx = &cx.acting(By { request_id: cx.by().request_id.clone(), ..by });
    if let Ok(refresh) = token.parse::<RefreshToken>() {
        return revoke_grant(cx, client.as_ref(), &refresh).await;
    }
    let Some((event, record)) = revocation(cx, client.as_ref(), token)? else {
        return cx.replica.position().map(|p| p.revision()).ok_or(ClientAuthError::NotReady.into());
    };
    if let Some(revision) = below_floor(cx, &event).await? {
        cx.publication.confirm(revision, cx.policy.confirm_within).await?;
        return Ok(revision);
    }
    let recorded = cx.publication.append(event, record).await?;
    cx.publication.confirm(recorded.revision, cx.policy.confirm_within).await?;
    tracing::info!(revision = %recorded.revision, "token revoked");
    Ok(recorded.revision)
}

/// Ends a refresh token's grant. One that was spent before does so too: its holder wants to be rid of all of it.
async fn revoke_grant(
    cx: &Context,
    client: Option<&AuthenticatedClient>,
    token: &RefreshToken,
) -> Result<Revision, RevokeError> {
    let nothing = || cx.replica.position().map(|p| p.revision()).ok_or(RevokeError::from(ClientAuthError::NotReady));
    let family = cx.store.families().find(token.grant).await?;
    let ours = family.as_ref().is_some_and(|family| family.current == token.hash()) || cx.lineage.knows(token);
    if !ours {
        return nothing();
    }
    let Some(family) = family else {
        // It is over. Where it was revoked a moment ago, whoever did so may still be waiting: this call waits with them.
        let Some(revision) = grants::ended_at(cx, token.grant).await? else { return nothing() };
        cx.publication.confirm(revision, cx.policy.confirm_within).await?;
        return Ok(revision);
    };
    if client.is_some_and(|client| client.client.id != family.client) {
        return Err(RevokeError::NotYours);
    }
    let record = cx.did(Action::GrantRevoke).with(Detail::Client, &family.client).with(Detail::User, family.user);
    let revision = grants::end(cx, family.grant, record).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    tracing::info!(%revision, grant_id = %family.grant, "grant revoked");
    Ok(revision)
}

/// What to write for a token, to the log and to the audit; `None` where it is none of this server's.
fn revocation(
    cx: &Context,
    client: Option<&AuthenticatedClient>,
    token: &str,
) -> Result<Option<(Event, NewRecord)>, RevokeError> {
    let claims = cx.checker.identify(token).map_err(|_| ClientAuthError::NotReady)?;
    let Some(claims) = claims else { return Ok(None) };
    match client {
        Some(authenticated) if authenticated.client.id != claims.client => Err(RevokeError::NotYours),
        _ => {
            let record = cx.did(Action::TokenRevoke).to(Target::Token(claims.token));
            let record = record.with(Detail::Client, &claims.client);
            Ok(Some((Event::TokenRevoked { token: claims.token, expires: claims.expires }, record)))
        }
    }
}

/// The revision of the floor, where it lies above what the event is about. Not the issuer's own clock decides, nor what the issuer has
/// applied alone: an introspector may not have heard of that floor, and its caller waits for it.
async fn below_floor(cx: &Context, event: &Event) -> Result<Option<Revision>, RevokeError> {
    let (Some(state), Some(expires)) = (cx.replica.state(), event.expires()) else { return Ok(None) };
    if state.floor().is_none_or(|floor| floor <= expires) {
        return Ok(None);
    }
    let floor = cx.store.log().floor().await?.filter(|(_, floor)| expires < *floor);
    Ok(floor.map(|(number, _)| Revision { epoch: state.epoch(), number }))
}
