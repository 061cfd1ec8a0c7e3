//! Shopware's Admin API (seed 002): integrations by client credentials, the administration by password and refresh token. Who asks for
//! no scope may read, and not write.

use tessera_types::GrantType;

use super::league::{AskedForNothing, Quirk, System};

pub(super) const SYSTEM: System = System {
    path: "/api/oauth/token",
    grants: &[GrantType::ClientCredentials, GrantType::Password, GrantType::RefreshToken],
    implicit: None,
    separators: &[' '],
    unasked: AskedForNothing::DefaultsWithout("write"),
    quirks: &[Quirk::NumbersErrors, Quirk::PasswordRefreshes],
};
