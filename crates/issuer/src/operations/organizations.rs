//! Organizations: registering, changing, disabling and deleting them, and their members.
//!
//! Disabling one, or deleting it, raises the watermark of every client of it in the same transaction: their tokens are inactive once
//! the call has returned, and nothing revives them.

use tessera_store::{Action, Detail, Organization, OrganizationFilter, Target, Transaction};
use tessera_types::{OrganizationId, Revision, UserId};

use super::clients::{AdminError, Belonging, begin, commit, disable_all, settled, tell_all};
use crate::context::Context;

/// The longest name, in characters.
const NAME_MAX: usize = 255;

/// What to change of an organization: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct OrganizationPatch {
    /// Its name.
    pub name: Option<String>,
    /// Whether its members may make applications in the others.
    pub global: Option<bool>,
}

/// Registers an organization.
///
/// # Errors
/// `OrganizationName`, `Taken`.
pub async fn create(cx: &Context, name: String, global: bool) -> Result<Organization, AdminError> {
    let now = cx.clock.now();
    let organization = Organization {
        id: OrganizationId::generate(&*cx.random),
        name: checked(name)?,
        global,
        enabled: true,
        created: now,
        updated: now,
        version: 1,
    };
    let mut tx = cx.store.begin().await?;
    tx.organizations().insert(&organization).await?;
    tx.audit(cx.did(Action::OrganizationCreate).to(Target::Organization(organization.id)));
    tx.commit().await?;
    tracing::info!(organization_id = %organization.id, global, "organization created");
    Ok(organization)
}

/// An organization, by identifier or name.
///
/// # Errors
/// `OrganizationNotFound`.
pub async fn find(cx: &Context, which: &str) -> Result<Organization, AdminError> {
    let organizations = cx.store.organizations();
    let found = match which.parse() {
        Ok(id) => organizations.find(id).await?,
        Err(_) => organizations.find_by_name(which).await?,
    };
    found.ok_or(AdminError::OrganizationNotFound)
}

/// A page of organizations by id.
///
/// # Errors
/// `Store`.
pub async fn list(
    cx: &Context,
    filter: &OrganizationFilter,
    after: Option<OrganizationId>,
    limit: u64,
) -> Result<Vec<Organization>, AdminError> {
    Ok(cx.store.organizations().list(filter, after, limit).await?)
}

/// Changes an organization. Its clients and their tokens are as they were.
///
/// # Errors
/// `OrganizationNotFound`, `OrganizationName`, `Taken`, `Conflict`.
pub async fn update(
    cx: &Context,
    id: OrganizationId,
    etag: Option<i64>,
    patch: OrganizationPatch,
) -> Result<Organization, AdminError> {
    let mut tx = cx.store.begin().await?;
    let before = tx.organizations().find(id).await?.ok_or(AdminError::OrganizationNotFound)?;
    if etag.is_some_and(|etag| etag != before.version) {
        return Err(AdminError::Conflict);
    }
    let after = Organization {
        name: patch.name.map_or_else(|| Ok(before.name.clone()), checked)?,
        global: patch.global.unwrap_or(before.global),
        updated: cx.clock.now(),
        ..before.clone()
    };
    let after = Organization { version: tx.organizations().update(&after).await?, ..after };
    tx.audit(
        cx.did(Action::OrganizationUpdate).to(Target::Organization(id)).changing(&changed_fields(&before, &after)),
    );
    tx.commit().await?;
    Ok(after)
}

/// Enables or disables an organization. Disabling refuses its clients, and makes their tokens inactive for good.
///
/// # Errors
/// `OrganizationNotFound`, `Conflict`, `Unconfirmed`.
pub async fn set_enabled(
    cx: &Context,
    id: OrganizationId,
    enabled: bool,
) -> Result<(Organization, Revision), AdminError> {
    let mut tx = begin(cx).await?;
    let before = tx.organizations().find(id).await?.ok_or(AdminError::OrganizationNotFound)?;
    if before.enabled == enabled {
        // Nothing to write; but whoever said so first may still be waiting (revocation.md, the log).
        return Ok((before, confirmed(cx, tx).await?));
    }
    let after = Organization { enabled, updated: cx.clock.now(), ..before };
    let after = Organization { version: tx.organizations().update(&after).await?, ..after };
    tell_all(&mut tx, Belonging::Organization(id), !enabled).await?;
    let action = if enabled { Action::OrganizationEnable } else { Action::OrganizationDisable };
    tx.audit(cx.did(action).to(Target::Organization(id)));
    let revision = confirmed(cx, tx).await?;
    tracing::info!(organization_id = %id, %revision, enabled, "organization enabled or disabled");
    Ok((after, revision))
}

/// Deletes an organization with its memberships. Its clients stay, disabled, until somebody moves them to another; their tokens are
/// inactive for good.
///
/// # Errors
/// `OrganizationNotFound`, `Unconfirmed`.
pub async fn delete(cx: &Context, id: OrganizationId) -> Result<Revision, AdminError> {
    let mut tx = begin(cx).await?;
    if !tx.organizations().delete(id).await? {
        return Err(settled(cx, tx, AdminError::OrganizationNotFound).await);
    }
    disable_all(&mut tx, Belonging::Organization(id), cx.clock.now()).await?;
    tx.audit(cx.did(Action::OrganizationDelete).to(Target::Organization(id)));
    let revision = confirmed(cx, tx).await?;
    tracing::info!(organization_id = %id, %revision, "organization deleted");
    Ok(revision)
}

/// Makes a user a member. Done already is done.
///
/// # Errors
/// `OrganizationNotFound`, `UserNotFound`.
pub async fn add_member(cx: &Context, id: OrganizationId, user: UserId) -> Result<(), AdminError> {
    let mut tx = cx.store.begin().await?;
    if tx.organizations().find(id).await?.is_none() {
        return Err(AdminError::OrganizationNotFound);
    }
    if tx.users().find(user).await?.is_none() {
        return Err(AdminError::UserNotFound);
    }
    tx.organizations().add_member(id, user, cx.clock.now()).await?;
    let record = cx.did(Action::OrganizationMemberAdd).to(Target::Organization(id));
    tx.audit(record.with(Detail::User, user));
    tx.commit().await?;
    Ok(())
}

/// Ends a membership. The clients the user owns in the organization stay theirs: disable or move them where that is not meant.
///
/// # Errors
/// `OrganizationNotFound`, `MemberNotFound`.
pub async fn remove_member(cx: &Context, id: OrganizationId, user: UserId) -> Result<(), AdminError> {
    let mut tx = cx.store.begin().await?;
    if tx.organizations().find(id).await?.is_none() {
        return Err(AdminError::OrganizationNotFound);
    }
    if !tx.organizations().remove_member(id, user).await? {
        return Err(AdminError::MemberNotFound);
    }
    let record = cx.did(Action::OrganizationMemberRemove).to(Target::Organization(id));
    tx.audit(record.with(Detail::User, user));
    tx.commit().await?;
    Ok(())
}

/// A page of members by id.
///
/// # Errors
/// `OrganizationNotFound`.
pub async fn members(
    cx: &Context,
    id: OrganizationId,
    after: Option<UserId>,
    limit: u64,
) -> Result<Vec<UserId>, AdminError> {
    let organizations = cx.store.organizations();
    if organizations.find(id).await?.is_none() {
        return Err(AdminError::OrganizationNotFound);
    }
    Ok(organizations.members(id, after, limit).await?)
}

async fn confirmed(cx: &Context, tx: Transaction) -> Result<Revision, AdminError> {
    let revision = commit(cx, tx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    Ok(revision)
}

fn changed_fields(before: &Organization, after: &Organization) -> Vec<&'static str> {
    let differs = [("name", before.name != after.name), ("global", before.global != after.global)];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

/// A name within bounds.
fn checked(name: String) -> Result<String, AdminError> {
    let length = name.chars().count();
    let well_formed = (1..=NAME_MAX).contains(&length) && !name.chars().any(char::is_control);
    // One that reads as an identifier would be taken for it.
    if well_formed && name.parse::<OrganizationId>().is_err() { Ok(name) } else { Err(AdminError::OrganizationName) }
}
