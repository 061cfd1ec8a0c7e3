//! Oro's OAuth applications (seed 004): client credentials on behalf of an owner, or password and refresh token. A refresh ends the access
//! token before it, and may be switched off.

use tessera_types::GrantType;

use super::league::System;

pub(super) const SYSTEM: System = System {
    path: "/oauth2-token",
    grants: &[GrantType::ClientCredentials, GrantType::Password, GrantType::RefreshToken, GrantType::AuthorizationCode],
    implicit: None,
    unasked_without: None,
    unasked_defaults: true,
    separators: &[' '],
    denies_scopes: false,
    tells_disabled_users: true,
    numbers_errors: false,
    retires_access: true,
    requires_https: false,
};
