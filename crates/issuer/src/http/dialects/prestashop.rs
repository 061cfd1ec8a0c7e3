//! PrestaShop's Admin API (seeds 000 and 001): client credentials only, over HTTPS, scopes as a list; every token can tell that its
//! client is authenticated.

use tessera_types::GrantType;

use super::league::{AskedForNothing, Quirk, System};

pub(super) const SYSTEM: System = System {
    path: "/admin-api/access_token",
    grants: &[GrantType::ClientCredentials],
    implicit: Some("is_authenticated"),
    separators: &[',', ' '],
    unasked: AskedForNothing::Nothing,
    quirks: &[Quirk::DeniesScopes, Quirk::RequiresHttps],
};
