//! The refresh token grant (RFC 6749 section 6), with rotation (RFC 9700 section 4.14).
//!
//! Each refresh spends the token presented and hands out the next one of its family, with a new access token. Threats: a stolen
//! token, used by two (presenting a spent one kills the family with its access tokens, but for a short grace in which a client that
//! lost the answer gets the same one again); two winners of a race (the spending is one conditional update); a forged token that kills
//! somebody's family (only one that carries our tag can); a grant that outlives password, consent or client (`rev`, at every use).

use std::time::Duration;

use tessera_ledger::event::Event;
use tessera_store::{RefreshFamily, StoreError, Turn as Spent, User};
use tessera_types::{ErrorCode, Failure, GrantType, RefreshToken, ScopeSet, Timestamp};

use super::users::{last_access, narrow_granted};
use super::{Asked, TokenError, Turn, may_use};
use crate::client_auth::AuthenticatedClient;
use crate::context::Context;
use crate::minting::{self, Grant, Minted};
use crate::operations::grants;
use crate::standing::{self, Owners};

/// How often a family that others refresh meanwhile is looked at again.
const LOOKS: usize = 4;

/// Why a refresh token is refused. The caller is told one thing; the shops' dialects tell more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// Not a refresh token of ours.
    #[error("unknown refresh token")]
    Unknown,
    /// It was given to another client.
    #[error("the refresh token of another client")]
    NotYours,
    /// It was not used in time, or its family has come to its end.
    #[error("expired refresh token")]
    Expired,
    /// Its family was revoked, or user, consent or client have changed since.
    #[error("revoked refresh token")]
    Revoked,
    /// It was spent before: the family is dead from now on.
    #[error("spent refresh token")]
    Reused,
}

impl Failure for RefreshError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidGrant
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "REFRESH_TOKEN_UNKNOWN",
            Self::NotYours => "REFRESH_TOKEN_OF_ANOTHER_CLIENT",
            Self::Expired => "REFRESH_TOKEN_EXPIRED",
            Self::Revoked => "REFRESH_TOKEN_REVOKED",
            Self::Reused => "REFRESH_TOKEN_REUSED",
        }
    }

    fn advice(&self) -> &'static str {
        "The refresh token is invalid, expired or revoked. The user must sign in again."
    }

    fn field(&self) -> Option<&'static str> {
        Some("refresh_token")
    }
}

/// Where a presented token stands in its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is the one that may be spent.
    Current,
    /// It was spent a moment ago: its successor is handed out again.
    JustSpent,
    /// It was spent before.
    Spent,
    /// It is none of the family's.
    Foreign,
}

/// Runs the grant for a client that has authenticated.
///
/// # Errors
/// `GrantNotAllowed`, `Refresh`, `ScopeNotAllowed`, `AudienceNotAllowed`, `Mint`, `Store`.
pub async fn execute(
    cx: &Context,
    authenticated: &AuthenticatedClient,
    presented: &str,
    asked: &Asked<'_>,
) -> Result<Turn, TokenError> {
    may_use(&authenticated.client, GrantType::RefreshToken)?;
    let token: RefreshToken = presented.parse().map_err(|_| RefreshError::Unknown)?;
    for _ in 0..LOOKS {
        let (family, user) = live_family(cx, authenticated, &token).await?;
        if asked.audience.is_some_and(|audience| *audience != family.audience) {
            return Err(TokenError::AudienceNotAllowed);
        }
        let scopes = narrow_granted(&family.scopes, asked.scopes)?;
        let owners = Owners { client: Some(&authenticated.client.id), user: user.id };
        if standing::overtaken(cx, authenticated.rev, owners) {
            return Ok(Turn::Again);
        }
        let refresh = Refresh { cx, authenticated, asked, family: &family, user: &user, token: &token };
        match place(cx, &family, &token, cx.clock.now(), asked.terms.grace) {
            Place::Foreign => return Err(RefreshError::Unknown.into()),
            Place::Spent => return Err(reused(cx, &family).await.into()),
            Place::JustSpent => return refresh.tokens(scopes).map(Turn::Done),
            Place::Current => {
                let minted = refresh.tokens(scopes)?;
                if refresh.spend(&minted).await? {
                    return Ok(Turn::Done(minted));
                }
            }
        }
    }
    Ok(Turn::Again)
}

/// The token's family and user, where both still stand and the client is the one it was given to.
async fn live_family(
    cx: &Context,
    authenticated: &AuthenticatedClient,
    token: &RefreshToken,
) -> Result<(RefreshFamily, User), TokenError> {
    let Some(family) = cx.store.families().find(token.grant).await? else {
        let gone = if cx.lineage.knows(token) { RefreshError::Revoked } else { RefreshError::Unknown };
        return Err(gone.into());
    };
    if family.client != authenticated.client.id {
        return Err(RefreshError::NotYours.into());
    }
    let now = cx.clock.now();
    if family.expires <= now || family.ends <= now {
        return Err(RefreshError::Expired.into());
    }
    let owners = Owners { client: Some(&family.client), user: family.user };
    if !standing::stands(cx, family.rev, owners).await? {
        return Err(RefreshError::Revoked.into());
    }
    let user = cx.store.users().find(family.user).await?.filter(|user| user.enabled);
    user.map(|user| (family, user)).ok_or(RefreshError::Revoked.into())
}

fn place(cx: &Context, family: &RefreshFamily, token: &RefreshToken, now: Timestamp, grace: Duration) -> Place {
    if token.hash() == family.current {
        return Place::Current;
    }
    if token.generation >= family.generation || !cx.lineage.knows(token) {
        return Place::Foreign;
    }
    let spent = family.recent.iter().find(|spent| spent.generation == token.generation);
    if !grace.is_zero() && spent.is_some_and(|spent| now <= spent.at.plus(grace)) {
        Place::JustSpent
    } else {
        Place::Spent
    }
}

/// A refresh that is in order.
struct Refresh<'a> {
    cx: &'a Context,
    authenticated: &'a AuthenticatedClient,
    asked: &'a Asked<'a>,
    family: &'a RefreshFamily,
    user: &'a User,
    token: &'a RefreshToken,
}

impl Refresh<'_> {
    /// A new access token, and the token that follows the one presented.
    fn tokens(&self, scopes: ScopeSet) -> Result<Minted, TokenError> {
        let subject = self.user.id.to_string();
        let grant = Grant {
            client: &self.authenticated.client,
            profile: self.asked.profile_of(&self.authenticated.client),
            subject: &subject,
            username: Some(self.user.username.as_str()),
            grant: Some(self.family.grant),
            scopes,
            audience: self.family.audience.clone(),
            rev: self.authenticated.rev,
        };
        let mut minted = minting::mint(self.cx, grant)?;
        minted.refresh_token = Some(self.cx.lineage.successor(self.token).to_text());
        Ok(minted)
    }

    /// Puts the successor in the token's place; false where somebody else was faster.
    async fn spend(&self, minted: &Minted) -> Result<bool, StoreError> {
        let Self { cx, family, token, .. } = self;
        let now = cx.clock.now();
        let successor = cx.lineage.successor(token);
        let mut recent: Vec<Spent> =
            family.recent.iter().copied().filter(|spent| now <= spent.at.plus(cx.policy.refresh_reuse_grace)).collect();
        recent.push(Spent { generation: token.generation, at: now });
        let next = RefreshFamily {
            generation: successor.generation,
            current: successor.hash(),
            recent,
            used: now,
            expires: now.plus(cx.policy.refresh_ttl).min(family.ends),
            last_access: Some(last_access(minted)),
            ..(*family).clone()
        };
        let retired = family.last_access.filter(|_| self.asked.terms.retires_access);
        let mut tx = cx.store.begin().await?;
        if retired.is_some() {
            tx.exclusive().await?;
        }
        if !tx.families().rotate(family.current, &next).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        match retired {
            None => drop(tx.commit().await?),
            Some(access) => {
                tx.record(Event::TokenRevoked { token: access.token, expires: access.expires });
                let revision = cx.publication.commit(tx).await?.position.revision();
                // The refresh token is spent: refused now, the client would have neither. Where it is not confirmed, that is logged.
                cx.publication.confirm(revision, cx.policy.confirm_within).await.unwrap_or_default();
            }
        }
        Ok(true)
    }
}

/// A spent token came again: somebody has it who should not. What came of the grant is dead before the caller hears of it.
async fn reused(cx: &Context, family: &RefreshFamily) -> RefreshError {
    cx.telemetry.refresh_reuse();
    tracing::warn!(client_id = %family.client, user_id = %family.user, grant_id = %family.grant, "a spent refresh token was presented: its grant is revoked");
    grants::end_after_misuse(cx, family.grant).await;
    RefreshError::Reused
}
