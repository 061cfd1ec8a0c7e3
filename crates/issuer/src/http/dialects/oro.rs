//! Oro's OAuth applications (seed 004): client credentials on behalf of an owner, or password and refresh token. A refresh ends the access
//! token before it, and may be switched off.

use tessera_types::GrantType;

use super::league::{AskedForNothing, Quirk, System};

pub(super) const SYSTEM: System = System {
    path: "/oauth2-token",
    grants: &[GrantType::ClientCredentials, GrantType::Password, GrantType::RefreshToken, GrantType::AuthorizationCode],
    implicit: None,
    separators: &[' '],
    unasked: AskedForNothing::Defaults,
    quirks: &[Quirk::TellsDisabledUsers, Quirk::RetiresAccess],
};
