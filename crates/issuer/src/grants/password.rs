//! The resource owner password credentials grant (RFC 6749 section 4.3).
//!
//! A first-party client presents what a user typed and acts for them. RFC 9700 section 2.4 forbids it to others, so it is off unless
//! the operator turned it on, and then for the clients that were given it. Threats: guessing (throttled for each user and address, and
//! for each address of a public client, on a bounded pool), and a client that keeps acting for a user whose password changed meanwhile (`rev`).

use tessera_store::{Action, Actor, Detail, StoreError, Target};
use tessera_types::{ClientType, GrantType};

use super::users::{self, Beginning};
use super::{Asked, TokenError, Turn, may_use};
use crate::client_auth::AuthenticatedClient;
use crate::context::Context;
use crate::user_auth::{self, PresentedUser};

/// Runs the grant for a client that has authenticated.
///
/// # Errors
/// `GrantOff`, `GrantNotAllowed`, `ScopeNotAllowed`, `AudienceNotAllowed`, `User`, `Mint`, `Store`.
pub async fn execute(
    cx: &Context,
    authenticated: &AuthenticatedClient,
    presented: &PresentedUser,
    asked: &Asked<'_>,
) -> Result<Turn, TokenError> {
    if !cx.policy.password_grant {
        return Err(TokenError::GrantOff);
    }
    let client = &authenticated.client;
    may_use(client, GrantType::Password)?;
    let scopes = users::scopes(client, asked)?;
    let audience = asked.audience_of(cx, client)?;
    // Who has a secret is a server, and all its users come from its address; an app on somebody's device comes from theirs.
    let presented = PresentedUser { relayed: client.kind == ClientType::Confidential, ..presented.clone() };
    let user = user_auth::authenticate(&cx.reached_from(presented.from), &presented).await?.user;
    let (rev, by_password) = (authenticated.rev, true);
    let beginning = Beginning { client, user: &user, scopes, audience, rev, by_password, asked };
    if beginning.overtaken(cx) {
        return Ok(Turn::Again);
    }
    let prepared = beginning.prepare(cx)?;
    let mut tx = cx.store.begin().await?;
    match prepared.write(&tx).await {
        // The user was deleted meanwhile, or the client was: the next look tells.
        Err(StoreError::Missing) => return Ok(Turn::Again),
        written => written?,
    }
    let record = cx.reached_from(presented.from).did_as(Actor::User(user.id), Action::UserLogin);
    tx.audit(record.to(Target::User(user.id)).with(Detail::Method, "password_grant"));
    tx.commit().await?;
    Ok(Turn::Done(prepared.minted))
}
