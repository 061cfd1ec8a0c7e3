//! What a user may do with applications of their own.
//!
//! An owner makes applications in the organizations they belong to, and in every other where they belong to a global one; sees,
//! changes, disables, enables and deletes those that are theirs, and renews their secrets. Everything else is an administrator's:
//! who owns an application and where it belongs, its audiences, lifetime, claims and what it may introspect, and the password grant,
//! which is for first-party clients.
//!
//! Threats: a person who gives an application scopes that nobody gave the person (only those that the operator lists); one who gets
//! at the secret of a client that administers (a client with a reserved scope is out of reach, whoever owns it); one who enables
//! again what an administrator has disabled, or deletes what was kept to be looked at; one who asks for somebody else's application
//! (told as one that is not there); a session that was ended while its request waited for the database; and a program that registers,
//! or registers and deletes, without end.

use std::time::Duration;

use tessera_store::{
    Action, Actor, AuditFilter, Client, ClientFilter, NewRecord, Organization, OrganizationFilter, Transaction,
};
use tessera_types::{
    ClientId, ClientType, ErrorCode, Failure, GrantType, OrganizationId, RedirectUri, Revision, Scope, ScopeSet,
    UserId, WebUrl,
};
use uuid::Uuid;

use super::secrets::{Renewal, rotate_as};
use super::{
    AdminError, Changed, Created, DEFAULT_OVERLAP, Draft, DraftError, Patch, Rotated, create_as, delete_as,
    set_enabled_as, update_as,
};
use crate::context::Context;
use crate::operations::sessions::{self, Live};

/// In which span an owner makes so many applications and no more.
const DAY: Duration = Duration::from_hours(24);

/// How many organizations an owner may choose from: as many as a page shows.
const CHOICES: u64 = 200;

/// What an owner says of an application.
#[derive(Clone, Debug)]
pub struct OwnDraft {
    /// Where it belongs; it stays there.
    pub organization: OrganizationId,
    /// What it is; it stays so.
    pub kind: OwnKind,
    /// Whether it may be used at once.
    pub enabled: bool,
    /// What can be changed later, too.
    pub rest: OwnPatch,
}

/// What an owner may change of an application.
#[derive(Clone, Debug, Default)]
pub struct OwnPatch {
    /// The name people see.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The scopes it may ask for: those it has, and those the operator lets owners give.
    pub scopes: ScopeSet,
    /// Where authorization answers may be sent.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where authorization errors may be sent.
    pub failure_uri: Option<RedirectUri>,
    /// The site it is of.
    pub site_url: Option<WebUrl>,
    /// Its logo.
    pub logo_url: Option<WebUrl>,
}

/// What an owner's application may be. There is no kind with the password grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnKind {
    /// A machine that acts for its owner.
    Service,
    /// A site with a server that keeps a secret; people sign in.
    Web,
    /// A program on people's devices or in their browsers, which keeps none; people sign in.
    Native,
}

/// Why an owner may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// They are a member of neither the organization nor a global one, or it is disabled.
    #[error("the owner may not act in this organization")]
    NotOfOrganization,
    /// A scope that the operator does not let owners give.
    #[error("a scope that owners may not give")]
    Scope,
    /// The application has a reserved scope.
    #[error("an application with a reserved scope is administrators'")]
    Administered,
    /// An administrator disabled it.
    #[error("it was not its owner who disabled the application")]
    DisabledByAdministrator,
    /// They have as many as they may.
    #[error("the owner has as many applications as they may")]
    TooMany,
    /// They have made as many within a day as they may, those included that they have deleted.
    #[error("the owner has made as many applications within a day as they may")]
    TooManyToday,
}

/// On whose word a client is changed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Authority<'a> {
    /// An administrator's.
    Administrator,
    /// Its owner's, in a session.
    Owner(&'a Live),
}

impl Authority<'_> {
    /// The record of something that was done on it.
    pub(super) fn did(self, cx: &Context, action: Action) -> NewRecord {
        match self {
            Self::Administrator => cx.did(action),
            Self::Owner(live) => cx.did_as(Actor::User(live.user.id), action),
        }
    }
}

/// What somebody wants to do with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Something that gives it more, or a secret.
    Giving,
    /// Enabling it.
    Enabling,
    /// Something that only takes away: also who left the organization may.
    Taking,
    /// Deleting it: so may they, but what an administrator has disabled is kept to be looked at.
    Deleting,
}

impl OwnKind {
    const fn client_type(self) -> ClientType {
        match self {
            Self::Service | Self::Web => ClientType::Confidential,
            Self::Native => ClientType::Public,
        }
    }

    fn grants(self) -> Vec<GrantType> {
        match self {
            Self::Service => vec![GrantType::ClientCredentials],
            Self::Web | Self::Native => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        }
    }
}

impl OwnPatch {
    fn into_patch(self, default_scopes: ScopeSet) -> Patch {
        Patch {
            name: Some(self.name),
            description: Some(self.description),
            scopes: Some(self.scopes),
            default_scopes: Some(default_scopes),
            redirect_uris: Some(self.redirect_uris),
            failure_uri: Some(self.failure_uri),
            site_url: Some(self.site_url),
            logo_url: Some(self.logo_url),
            ..Patch::default()
        }
    }
}

impl Failure for OwnerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Scope => ErrorCode::InvalidScope,
            Self::NotOfOrganization => ErrorCode::InvalidRequest,
            Self::Administered | Self::DisabledByAdministrator | Self::TooMany | Self::TooManyToday => {
                ErrorCode::FailedPrecondition
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotOfOrganization => "NOT_OF_ORGANIZATION",
            Self::Scope => "SCOPE_NOT_FOR_OWNERS",
            Self::Administered => "ADMINISTERED",
            Self::DisabledByAdministrator => "DISABLED_BY_ADMINISTRATOR",
            Self::TooMany => "TOO_MANY_APPLICATIONS",
            Self::TooManyToday => "TOO_MANY_APPLICATIONS_TODAY",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NotOfOrganization => "Choose an enabled organization that you are a member of.",
            Self::Scope => "Owners may not give this scope. Ask an administrator.",
            Self::Administered => "Administrators manage this application. Ask one of them.",
            Self::DisabledByAdministrator => "An administrator disabled this application. Ask one of them.",
            Self::TooMany => "You have as many applications as one person may. Delete one first.",
            Self::TooManyToday => {
                "You have made as many applications within a day as one person may. Try again tomorrow."
            }
        }
    }
}

impl Authority<'_> {
    /// Who owns what is made on this word alone.
    pub(super) fn is_owner(self) -> bool {
        matches!(self, Self::Owner(_))
    }

    /// Whether the client is theirs, and they may do this with it. Within the transaction that does it.
    pub(super) async fn may(
        self,
        cx: &Context,
        tx: &Transaction,
        client: &Client,
        doing: Doing,
    ) -> Result<(), AdminError> {
        let Self::Owner(live) = self else { return Ok(()) };
        if client.owner != Some(live.user.id) {
            return Err(AdminError::ClientNotFound);
        }
        is_here(cx, tx, live).await?;
        if is_administered(client) {
            return Err(OwnerError::Administered.into());
        }
        let disabled_by_administrator = !client.enabled && !client.owner_disabled;
        if disabled_by_administrator && matches!(doing, Doing::Enabling | Doing::Deleting) {
            return Err(OwnerError::DisabledByAdministrator.into());
        }
        match client.organization {
            Some(organization) if !matches!(doing, Doing::Taking | Doing::Deleting) => {
                acts_in(tx, organization, live.user.id).await
            }
            _ => Ok(()),
        }
    }

    /// Whether they may make this client.
    pub(super) async fn may_make(self, cx: &Context, tx: &Transaction, client: &Client) -> Result<(), AdminError> {
        let Self::Owner(live) = self else { return Ok(()) };
        let user = live.user.id;
        is_here(cx, tx, live).await?;
        acts_in(tx, client.organization.ok_or(OwnerError::NotOfOrganization)?, user).await?;
        let theirs = ClientFilter { owner: Some(user), ..ClientFilter::default() };
        if tx.clients().count(&theirs).await? >= cx.policy.applications_per_owner {
            return Err(OwnerError::TooMany.into());
        }
        // The audit keeps what was deleted since, for a day at least.
        let made = AuditFilter {
            since: Some(cx.clock.now().minus(DAY)),
            actor: Some(user.to_string()),
            action: Some(Action::ClientCreate.as_str().to_owned()),
            ..AuditFilter::default()
        };
        if tx.audited().count(&made).await? >= cx.policy.applications_per_day {
            return Err(OwnerError::TooManyToday.into());
        }
        self.may_give(cx, &ScopeSet::empty(), &client.scopes)
    }

    /// Whether they may give these scopes to a client that has those.
    pub(super) fn may_give(self, cx: &Context, has: &ScopeSet, gets: &ScopeSet) -> Result<(), AdminError> {
        let allowed = cx.policy.owner_scopes.union(has);
        let fine = !self.is_owner() || (gets.is_subset(&allowed) && !gets.iter().any(Scope::is_reserved));
        if fine { Ok(()) } else { Err(OwnerError::Scope.into()) }
    }
}

/// Registers an application of a user's own, under an identifier that the server chooses.
///
/// # Errors
/// `Owner`, `Draft`, `Taken`; `UserNotFound` where the session has ended meanwhile.
pub async fn create(cx: &Context, by: &Live, draft: OwnDraft) -> Result<Created, AdminError> {
    let OwnDraft { organization, kind, enabled, rest } = draft;
    // It gets what it asks for, and asks for what it needs (RFC 6749 section 3.3).
    let rest = Patch {
        grants: Some(kind.grants()),
        organization: Some(Some(organization)),
        owner: Some(Some(by.user.id)),
        ..rest.into_patch(ScopeSet::empty())
    };
    if rest.name.as_ref().is_none_or(String::is_empty) {
        return Err(DraftError::Name.into());
    }
    let draft = Draft { id: None, kind: kind.client_type(), enabled, rest };
    create_as(cx, Authority::Owner(by), draft, None).await
}

/// One of a user's own applications.
///
/// # Errors
/// `ClientNotFound`, also where it is somebody else's.
pub async fn find(cx: &Context, user: UserId, id: &ClientId) -> Result<Client, AdminError> {
    let client = cx.store.clients().find(id).await?.filter(|client| client.owner == Some(user));
    client.ok_or(AdminError::ClientNotFound)
}

/// A page of a user's own applications by id.
///
/// # Errors
/// `Store`.
pub async fn list(
    cx: &Context,
    user: UserId,
    filter: ClientFilter,
    after: Option<&ClientId>,
    limit: u64,
) -> Result<Vec<Client>, AdminError> {
    let theirs = ClientFilter { owner: Some(user), ..filter };
    Ok(cx.store.clients().list(&theirs, after, limit).await?)
}

/// The organizations in which a user may make applications: their own, or all where one of theirs is global; enabled ones alone.
///
/// # Errors
/// `Store`.
pub async fn organizations(cx: &Context, user: UserId) -> Result<Vec<Organization>, AdminError> {
    let organizations = cx.store.organizations();
    let member = if organizations.in_a_global_one(user).await? { None } else { Some(user) };
    let filter = OrganizationFilter { enabled: Some(true), member, ..OrganizationFilter::default() };
    let mut found = organizations.list(&filter, None, CHOICES).await?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Changes one of a user's own applications at the version they saw.
///
/// # Errors
/// `ClientNotFound`, `Owner`, `Draft`, `Taken`; `Conflict` where it was changed meanwhile; `UserNotFound` where the session has ended
/// meanwhile; `Unconfirmed`.
pub async fn update(
    cx: &Context,
    by: &Live,
    id: &ClientId,
    version: i64,
    patch: OwnPatch,
) -> Result<Changed, AdminError> {
    let before = find(cx, by.user.id, id).await?;
    let default_scopes =
        before.default_scopes.iter().filter(|scope| patch.scopes.contains(scope.as_str())).cloned().collect();
    // What was read is what is changed: the version says so.
    update_as(cx, Authority::Owner(by), id, Some(version), patch.into_patch(default_scopes)).await
}

/// Enables or disables one of a user's own applications. They enable what they disabled themself, and nothing that an administrator
/// did.
///
/// # Errors
/// `ClientNotFound`, `Owner`, `Conflict`, `UserNotFound`, `Unconfirmed`.
pub async fn set_enabled(cx: &Context, by: &Live, id: &ClientId, enabled: bool) -> Result<Changed, AdminError> {
    set_enabled_as(cx, Authority::Owner(by), id, enabled).await
}

/// Deletes one of a user's own applications, unless an administrator has disabled it; its tokens are inactive for good.
///
/// # Errors
/// `ClientNotFound`, `Owner`, `UserNotFound`, `Unconfirmed`.
pub async fn delete(cx: &Context, by: &Live, id: &ClientId) -> Result<Revision, AdminError> {
    delete_as(cx, Authority::Owner(by), id).await
}

/// Gives one of a user's own applications a new secret, as [`rotate_secret`](super::rotate_secret) does. `newest` is the newest
/// secret that they saw: a form that is sent twice makes one. Whoever has lost that one makes another, and the one in use goes on.
///
/// # Errors
/// `ClientNotFound`, `Owner`, `PublicClient`, `UserNotFound`; `Conflict` where there is a newer one.
pub async fn rotate_secret(
    cx: &Context,
    by: &Live,
    id: &ClientId,
    newest: Option<Uuid>,
    at_once: bool,
) -> Result<Rotated, AdminError> {
    let overlap = if at_once { Duration::ZERO } else { DEFAULT_OVERLAP };
    let renewal = Renewal { overlap, expires: None, seen: Some(newest) };
    rotate_as(cx, Authority::Owner(by), id, renewal).await
}

/// Whether a client is administrators' alone, whoever owns it: its credential administers, introspects or follows the log.
#[must_use]
pub fn is_administered(client: &Client) -> bool {
    // A client with resources introspects by its secret alone, without a scope.
    !client.resources.is_empty() || client.scopes.iter().chain(&client.implicit_scopes).any(Scope::is_reserved)
}

/// A session is looked at before the transaction, which may wait its turn: one that has ended since does nothing any more.
async fn is_here(cx: &Context, tx: &Transaction, live: &Live) -> Result<(), AdminError> {
    if sessions::stands_in(cx, tx, live).await? { Ok(()) } else { Err(AdminError::UserNotFound) }
}

async fn acts_in(tx: &Transaction, organization: OrganizationId, user: UserId) -> Result<(), AdminError> {
    let organizations = tx.organizations();
    let enabled = organizations.find(organization).await?.is_some_and(|found| found.enabled);
    let belongs = organizations.is_member(organization, user).await? || organizations.in_a_global_one(user).await?;
    if enabled && belongs { Ok(()) } else { Err(OwnerError::NotOfOrganization.into()) }
}
