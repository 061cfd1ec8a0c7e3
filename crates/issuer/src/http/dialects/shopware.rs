//! Shopware's Admin API (seed 002): integrations by client credentials, the administration by password and refresh token. Who asks for
//! no scope may read, and not write.

use tessera_types::GrantType;

use super::league::System;

pub(super) const SYSTEM: System = System {
    path: "/api/oauth/token",
    grants: &[GrantType::ClientCredentials, GrantType::Password, GrantType::RefreshToken],
    implicit: None,
    unasked_without: Some("write"),
    unasked_defaults: true,
    separators: &[' '],
    denies_scopes: false,
    tells_disabled_users: false,
    numbers_errors: true,
    retires_access: false,
    requires_https: false,
};
