//! Oro's OAuth applications (seed 004): client credentials on behalf of an owner, or password, which brings the
//! refresh token with it. A refresh ends the access token before it, and may be switched off.

use tessera_types::GrantType;

use super::league::{AskedForNothing, Quirk, System};

pub(super) const SYSTEM: System = System {
    path: "/oauth2-token",
    grants: &[GrantType::ClientCredentials, GrantType::Password, GrantType::RefreshToken, GrantType::AuthorizationCode],
    implicit: None,
    separators: &[' '],
    unasked: AskedForNothing::Defaults,
    quirks: &[Quirk::TellsDisabledUsers, Quirk::RetiresAccess, Quirk::PasswordRefreshes],
};
