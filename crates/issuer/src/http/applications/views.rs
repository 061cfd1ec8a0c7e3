//! The views of applications, filled in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;

use tessera_store::{Client, Organization, StoreError};
use tessera_types::{ClientId, ClientType, GrantType, OrganizationId, ScopeSet, UserId};

use super::super::consent;
use super::super::flow::Page;
use super::super::pages::{
    ApplicationForm, ApplicationView, ChoiceView, ExistingView, FilterView, FormProblem, OwnedView, ScopeChoiceView,
    paths,
};
use super::super::visitor::Purpose;
use super::forms::Typed;
use crate::context::Context;
use crate::operations::clients::owned;
use crate::operations::clients::{AdminError, list_secrets};
use crate::operations::sessions::Live;

/// The path of a page about an application, below the issuer's.
pub(super) fn path(page: &str, id: &ClientId) -> String {
    format!("{page}?client_id={}", encode(id.as_str()))
}

/// Where the list goes on after an application.
pub(super) fn next(filter: &FilterView, organization: Option<OrganizationId>, after: &ClientId) -> String {
    let status = match filter.enabled {
        Some(true) => "enabled",
        Some(false) => "disabled",
        None => "",
    };
    let organization = organization.map(|id| id.to_string()).unwrap_or_default();
    let (name, after) = (encode(&filter.name), encode(after.as_str()));
    format!("{}?name={name}&organization={organization}&status={status}&after={after}", paths::APPLICATIONS)
}

/// Organizations to choose from.
pub(super) fn choices(organizations: &[Organization], chosen: Option<OrganizationId>) -> Vec<ChoiceView> {
    let view = |organization: &Organization| ChoiceView {
        value: organization.id.to_string(),
        label: organization.name.clone(),
        chosen: chosen == Some(organization.id),
    };
    organizations.iter().map(view).collect()
}

/// What the list shows of applications.
pub(super) async fn rows(cx: &Context, clients: Vec<Client>) -> Result<Vec<OwnedView>, StoreError> {
    let mut names: HashMap<OrganizationId, Option<String>> = HashMap::new();
    for id in clients.iter().filter_map(|client| client.organization) {
        if let Entry::Vacant(unknown) = names.entry(id) {
            unknown.insert(cx.store.organizations().find(id).await?.map(|organization| organization.name));
        }
    }
    let row = |client: Client| OwnedView {
        path: path(paths::APPLICATION, &client.id),
        client_id: client.id.to_string(),
        name: client.name,
        organization: client.organization.and_then(|id| names.get(&id).cloned().flatten()),
        enabled: client.enabled,
        last_used: client.last_used,
    };
    Ok(clients.into_iter().map(row).collect())
}

/// The page of an application to be made.
pub(super) async fn new(
    page: &Page,
    live: &Live,
    typed: &Typed,
    problems: Vec<FormProblem>,
) -> Result<ApplicationView, AdminError> {
    let organizations = owned::organizations(&page.cx, live.user.id).await?;
    Ok(ApplicationView {
        frame: page.frame(None, paths::NEW_APPLICATION),
        csrf: page.visitor.csrf(&page.cx, Purpose::Account),
        form: typed.form.clone(),
        organizations: choices(&organizations, typed.organization),
        scopes: scopes(page, &ScopeSet::empty(), |scope| typed.scopes.iter().any(|chosen| chosen == scope)).await?,
        problems,
        existing: None,
        notice: None,
    })
}

/// The page of an application that is there: with what was typed, or else with what it is.
pub(super) async fn one(
    page: &Page,
    user: UserId,
    id: &ClientId,
    typed: Option<&Typed>,
) -> Result<ApplicationView, AdminError> {
    let cx = &page.cx;
    let client = owned::find(cx, user, id).await?;
    let newest = list_secrets(cx, id).await?.first().map(|secret| secret.id.to_string()).unwrap_or_default();
    let organization = match client.organization {
        Some(id) => cx.store.organizations().find(id).await?.map(|organization| organization.name),
        None => None,
    };
    let chosen = |scope: &str| match typed {
        Some(typed) => typed.scopes.iter().any(|chosen| chosen == scope),
        None => client.scopes.contains(scope),
    };
    Ok(ApplicationView {
        frame: page.frame(None, &path(paths::APPLICATION, id)),
        csrf: page.visitor.csrf(cx, Purpose::Account),
        form: typed.map_or_else(|| form(&client), |typed| typed.form.clone()),
        organizations: Vec::new(),
        scopes: scopes(page, &client.scopes, chosen).await?,
        problems: Vec::new(),
        existing: Some(existing(client, organization, newest)),
        notice: None,
    })
}

fn existing(client: Client, organization: Option<String>, secret: String) -> ExistingView {
    ExistingView {
        delete: path(paths::DELETE_APPLICATION, &client.id),
        administered: owned::is_administered(&client),
        signs_in: client.grants.contains(&GrantType::AuthorizationCode),
        confidential: client.kind == ClientType::Confidential,
        may_enable: client.owner_disabled,
        grants: client.grants.iter().map(ToString::to_string).collect(),
        client_id: client.id.to_string(),
        name: client.name,
        version: client.version,
        organization,
        secret,
        enabled: client.enabled,
        created: client.created,
        last_used: client.last_used,
    }
}

fn form(client: &Client) -> ApplicationForm {
    let text = |uri: Option<String>| uri.unwrap_or_default();
    let uris: Vec<&str> = client.redirect_uris.iter().map(tessera_types::RedirectUri::as_str).collect();
    ApplicationForm {
        name: client.name.clone(),
        description: client.description.clone(),
        redirect_uris: uris.join("\n"),
        failure_uri: text(client.failure_uri.as_ref().map(ToString::to_string)),
        site_url: text(client.site_url.as_ref().map(ToString::to_string)),
        logo_url: text(client.logo_url.as_ref().map(ToString::to_string)),
        ..ApplicationForm::default()
    }
}

/// The scopes that an owner may give, and those that the application has.
async fn scopes(
    page: &Page,
    has: &ScopeSet,
    chosen: impl Fn(&str) -> bool,
) -> Result<Vec<ScopeChoiceView>, StoreError> {
    let offered = page.cx.policy.owner_scopes.union(has);
    // The operator may list what nobody has registered: that cannot be given.
    let missing = page.cx.store.scopes().unregistered(&offered).await?;
    let offered: ScopeSet = offered.iter().filter(|scope| !missing.contains(scope.as_str())).cloned().collect();
    let language = page.frame(None, paths::APPLICATIONS).language();
    let described = consent::describe(&page.cx, &offered, language).await?;
    let choice = |scope: super::super::pages::ScopeView| ScopeChoiceView { chosen: chosen(&scope.name), scope };
    Ok(described.into_iter().map(choice).collect())
}

/// Percent-encodes everything that is not unreserved (RFC 3986 section 2.3).
fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            // Writing to a text does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}
