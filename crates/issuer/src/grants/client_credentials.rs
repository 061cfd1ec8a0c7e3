//! The client credentials grant (RFC 6749 section 4.4).
//!
//! The client authenticates and gets an access token for itself; no refresh token (section 4.4.3). Nothing is written: the
//! token's `rev` ties it to the client's state as it was checked. Threats: a public client, which anybody can pretend to be; scopes
//! and audiences beyond what an administrator gave.

use tessera_types::{ClientType, GrantType};

use super::{Asked, TokenError, may_use};
use crate::client_auth::AuthenticatedClient;
use crate::context::Context;
use crate::minting::{self, Grant, Minted};

/// Runs the grant for a client that has authenticated.
///
/// # Errors
/// `PublicClient`, `GrantNotAllowed`, `ScopeNotAllowed`, `AudienceNotAllowed`, `Mint`.
pub fn execute(cx: &Context, authenticated: &AuthenticatedClient, asked: &Asked<'_>) -> Result<Minted, TokenError> {
    let client = &authenticated.client;
    if client.kind == ClientType::Public {
        return Err(TokenError::PublicClient);
    }
    may_use(client, GrantType::ClientCredentials)?;
    let grant = Grant {
        client,
        profile: asked.profile_of(client),
        subject: client.id.as_str(),
        username: None,
        grant: None,
        scopes: asked.scopes_of(client)?,
        audience: asked.audience_of(cx, client)?,
        rev: authenticated.rev,
    };
    Ok(minting::mint(cx, grant)?)
}
