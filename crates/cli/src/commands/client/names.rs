//! Organizations and users by the names people have for them.

use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::organization_service_client::OrganizationServiceClient;
use tessera_api::admin::v1::user_service_client::UserServiceClient;
use tessera_types::{OrganizationId, UserId};

use crate::connect::Administrator;
use crate::problem::Problem;

/// The id of an organization; one that reads as an id is taken for it.
///
/// # Errors
/// Not found, where there is none.
pub(in crate::commands) async fn organization_id(admin: &Administrator, which: &str) -> Result<String, Problem> {
    if which.parse::<OrganizationId>().is_ok() {
        return Ok(which.to_owned());
    }
    known_organization_id(admin, which).await
}

/// The id of an organization, by its name or id: it is there.
///
/// # Errors
/// Not found, where there is none.
pub(super) async fn known_organization_id(admin: &Administrator, which: &str) -> Result<String, Problem> {
    let message = wire::GetOrganizationRequest { organization: which.to_owned() };
    let answer = OrganizationServiceClient::new(admin.channel()).get_organization(admin.request(message)).await?;
    let found = answer.into_inner().organization;
    found.map(|organization| organization.organization_id).ok_or_else(|| empty("an organization"))
}

/// The id of a user; one that reads as an id is taken for it.
///
/// # Errors
/// Not found, where there is none.
pub(in crate::commands) async fn user_id(admin: &Administrator, who: &str) -> Result<String, Problem> {
    if who.parse::<UserId>().is_ok() {
        return Ok(who.to_owned());
    }
    known_user_id(admin, who).await
}

/// The id of a user, by their id, username or e-mail address: they are there.
///
/// # Errors
/// Not found, where there is none.
pub(super) async fn known_user_id(admin: &Administrator, who: &str) -> Result<String, Problem> {
    let message = wire::GetUserRequest { user: who.to_owned() };
    let answer = UserServiceClient::new(admin.channel()).get_user(admin.request(message)).await?;
    answer.into_inner().user.map(|user| user.user_id).ok_or_else(|| empty("a user"))
}

fn empty(what: &str) -> Problem {
    Problem::internal("EMPTY_ANSWER", format!("the server answered without {what}"))
}
