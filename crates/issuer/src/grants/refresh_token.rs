//! The refresh token grant (RFC 6749 section 6), with rotation (RFC 9700 section 4.14).
//!
//! Each refresh spends the token presented and hands out the next one of its family, with a new access token. Threats: a stolen
//! token, used by two (presenting a spent one kills the family with its access tokens, but for a short grace in which a client that
//! lost the answer gets the same one again); two winners of a race (the spending is one conditional update); a forged token that kills
//! somebody's family (only one that carries our tag can); a grant that outlives password, consent or client (`rev`, at every use).

use std::time::Duration;

use tessera_ledger::event::Event;
use tessera_store::{Action, Detail, LastAccess, RefreshFamily, StoreError, Target, Turn as Spent, User};
use tessera_types::{ErrorCode, Failure, GrantType, RefreshToken, ScopeSet, Timestamp};

use super::users::{last_access, narrow_granted};
use super::{Asked, TokenError, Turn};
use crate::client_auth::AuthenticatedClient;
use crate::context::Context;
use crate::minting::{self, Grant, Minted};
use crate::operations::grants;
use crate::standing::{self, Owners};

/// How often a family that others refresh meanwhile is looked at again.
const LOOKS: usize = 4;

/// How far the clocks of two issuers may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// How many spent tokens a family remembers for the grace: who refreshes faster than that has no use for it.
const REMEMBERED_TURNS: usize = 16;

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
    if !asked.may_refresh(cx, &authenticated.client) {
        return Err(TokenError::GrantNotAllowed(GrantType::RefreshToken));
    }
    let token: RefreshToken = presented.parse().map_err(|_| RefreshError::Unknown)?;
    for _ in 0..LOOKS {
        let (family, place) = find(cx, authenticated, &token, asked.terms.grace).await?;
        let user = live_user(cx, &family).await?;
        if asked.audience.is_some_and(|audience| *audience != family.audience) {
            return Err(TokenError::AudienceNotAllowed);
        }
        let scopes = narrow_granted(&family.scopes, asked.scopes, &asked.implicit(&authenticated.client))?;
        let owners = Owners { client: Some(&authenticated.client.id), user: user.id };
        if standing::overtaken(cx, authenticated.rev, owners) {
            return Ok(Turn::Again);
        }
        let refresh = Refresh { cx, authenticated, asked, family: &family, user: &user, token: &token };
        let minted = refresh.tokens(scopes)?;
        if place == Place::JustSpent || refresh.spend(&minted).await? {
            return Ok(Turn::Done(minted));
        }
    }
    Ok(Turn::Again)
}

/// The token's family, where the client is the one it was given to, and the token's place in it. A spent one kills the family, however
/// long ago that has come to its end: its access tokens may live on.
async fn find(
    cx: &Context,
    authenticated: &AuthenticatedClient,
    token: &RefreshToken,
    grace: Duration,
) -> Result<(RefreshFamily, Place), TokenError> {
    let Some(family) = cx.store.families().find(token.grant).await? else {
        let gone = if cx.lineage.knows(token) { RefreshError::Revoked } else { RefreshError::Unknown };
        return Err(gone.into());
    };
    if family.client != authenticated.client.id {
        return Err(RefreshError::NotYours.into());
    }
    if token.hash() == family.current {
        return Ok((family, Place::Current));
    }
    if token.generation >= family.generation || !cx.lineage.knows(token) {
        return Err(RefreshError::Unknown.into());
    }
    let now = cx.clock.now();
    let spent = family.recent.iter().find(|spent| spent.generation == token.generation);
    if !grace.is_zero() && spent.is_some_and(|spent| is_fresh(spent.at, now, grace)) {
        return Ok((family, Place::JustSpent));
    }
    Err(reused(cx, &family).await)
}

/// Whether a token was spent within the grace. A clock that was set back since prolongs it no further than it may differ.
fn is_fresh(at: Timestamp, now: Timestamp, grace: Duration) -> bool {
    now <= at.plus(grace) && at <= now.plus(CLOCKS_DIFFER)
}

/// The family's user, where both still stand.
async fn live_user(cx: &Context, family: &RefreshFamily) -> Result<User, TokenError> {
    let now = cx.clock.now();
    if family.expires <= now || family.ends <= now {
        return Err(RefreshError::Expired.into());
    }
    let owners = Owners { client: Some(&family.client), user: family.user };
    if !standing::stands(cx, family.rev, owners).await? {
        return Err(RefreshError::Revoked.into());
    }
    let user = cx.store.users().find(family.user).await?.filter(|user| user.enabled);
    user.ok_or(RefreshError::Revoked.into())
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
        let successor = cx.lineage.successor(token);
        let mut tx = cx.store.begin().await?;
        // Not before: the grace is the client's, however long this waited for its turn.
        let now = cx.clock.now();
        let fresh = |spent: &&Spent| is_fresh(spent.at, now, cx.policy.refresh_reuse_grace);
        let before: Vec<Spent> = family.recent.iter().filter(fresh).copied().collect();
        let mut recent = before[before.len().saturating_sub(REMEMBERED_TURNS - 1)..].to_vec();
        // Where there is no grace here, there is none for this token elsewhere.
        if !self.asked.terms.grace.is_zero() {
            recent.push(Spent { generation: token.generation, at: now });
        }
        let next = RefreshFamily {
            generation: successor.generation,
            current: successor.hash(),
            recent,
            used: now,
            expires: now.plus(cx.policy.refresh_ttl).min(family.ends),
            last_access: Some(last_access(minted)),
            ..(*family).clone()
        };
        // One that has expired, whatever the clocks say, needs no revocation, which everybody would wait for.
        let lives = |access: &LastAccess| now < access.expires.plus(CLOCKS_DIFFER);
        let retired = family.last_access.filter(lives).filter(|_| self.asked.terms.retires_access);
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
                let record = cx.did(Action::TokenRevoke).to(Target::Token(access.token)).because("REFRESHED");
                tx.audit(record.with(Detail::Grant, family.grant));
                let revision = cx.publication.commit(tx).await?.position.revision();
                // The refresh token is spent: refused now, the client would have neither. Where it is not confirmed, that is logged.
                cx.publication.confirm(revision, cx.policy.confirm_within).await.unwrap_or_default();
            }
        }
        Ok(true)
    }
}

/// A spent token came again: somebody has it who should not. What came of the grant is dead before the caller hears of it.
async fn reused(cx: &Context, family: &RefreshFamily) -> TokenError {
    cx.telemetry.refresh_reuse();
    tracing::warn!(client_id = %family.client, user_id = %family.user, grant_id = %family.grant, "a spent refresh token was presented: its grant is revoked");
    let record = cx.did(Action::GrantMisuse).because("REFRESH_TOKEN_REUSED");
    let record = record.with(Detail::Client, &family.client).with(Detail::User, family.user);
    match grants::end_after_misuse(cx, family.grant, record).await {
        Ok(()) => RefreshError::Reused.into(),
        Err(error) => error.into(),
    }
}
