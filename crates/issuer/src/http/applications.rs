//! `/account/applications`: a person manages the applications they own.
//!
//! A session and the token of its forms let them; a token of theirs does not, whatever its scopes: administration over gRPC stays
//! closed to people (security.md, item 44).

mod forms;
mod views;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use tessera_kit::http::Form;
use tessera_store::ClientFilter;
use tessera_types::{ClientId, ErrorCode, Failure as _};
use uuid::Uuid;

use self::forms::Typed;
use super::flow::Page;
use super::pages::{AppNotice, ApplicationsView, DeleteView, FilterView, FormProblem, Problem, SecretView, paths};
use super::visitor::{self, Purpose};
use crate::context::Context;
use crate::operations::clients::owned;
use crate::operations::clients::{AdminError, Changed};
use crate::operations::sessions::Live;
use crate::report;

/// How many applications a page shows.
const PAGE: u64 = 50;

/// What a notice is called in the page's address.
const NOTICES: [(&str, AppNotice); 5] = [
    ("changed", AppNotice::Changed),
    ("enabled", AppNotice::Enabled),
    ("disabled", AppNotice::Disabled),
    ("deleted", AppNotice::Deleted),
    ("unconfirmed", AppNotice::Unconfirmed),
];

/// Shows the list.
pub(super) async fn list(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, mut form, live) = match asked(&cx, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    match listed(&page, &live, &mut form).await {
        Ok(view) => view.into_response(),
        Err(error) => page.failed(&error),
    }
}

async fn listed(page: &Page, live: &Live, form: &mut Form) -> Result<ApplicationsView, AdminError> {
    let cx = &page.cx;
    let wanted = FilterView {
        name: form.take("name").unwrap_or_default(),
        enabled: match form.value("status") {
            Some("enabled") => Some(true),
            Some("disabled") => Some(false),
            _ => None,
        },
    };
    let organization = form.value("organization").and_then(|id| id.parse().ok());
    let filter = ClientFilter {
        name_contains: Some(wanted.name.replace('\0', "")).filter(|part| !part.is_empty()),
        enabled: wanted.enabled,
        organization,
        owner: None,
    };
    let after = form.value("after").and_then(|id| id.parse::<ClientId>().ok());
    let mut found = owned::list(cx, live.user.id, filter, after.as_ref(), PAGE + 1).await?;
    let more = found.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    found.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let organizations = owned::organizations(cx, live.user.id).await?;
    let next = found.last().filter(|_| more).map(|last| views::next(&wanted, organization, &last.id));
    Ok(ApplicationsView {
        frame: page.frame(None, paths::APPLICATIONS),
        applications: views::rows(cx, found).await?,
        may_make: !organizations.is_empty() && cx.policy.applications_per_owner.min(cx.policy.applications_per_day) > 0,
        organizations: views::choices(&organizations, organization),
        filter: wanted,
        next,
        notice: notice(form),
    })
}

/// Shows the form of a new application.
pub(super) async fn begin(State(cx): State<Context>, request: Request<Body>) -> Response {
    match asked(&cx, request).await {
        Ok((page, _, live)) => show_new(&page, &live, &Typed::blank(), Vec::new()).await,
        Err(response) => response,
    }
}

/// Makes an application.
pub(super) async fn create(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, form) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    let typed = Typed::read(&form);
    let draft = match typed.draft() {
        Ok(draft) => draft,
        Err(problems) => return show_new(&page, &live, &typed, problems).await,
    };
    match owned::create(&page.cx, &live, draft).await {
        Ok(created) => SecretView {
            frame: page.frame_of_once(),
            name: created.client.name,
            path: views::path(paths::APPLICATION, &created.client.id),
            client_id: created.client.id.to_string(),
            secret: created.secret,
            new: true,
            before_until: None,
            confirmed: true,
        }
        .into_response(),
        Err(error) => match forms::problem(&error) {
            Some(problem) => show_new(&page, &live, &typed, vec![problem]).await,
            None => failed(&page, &error),
        },
    }
}

/// Shows an application.
pub(super) async fn show(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, form, live) = match asked(&cx, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Some(id) = client_id(&form) else { return page.problem(Problem::NotFound) };
    show_one(&page, &live, &id, None, Vec::new(), notice(&form)).await
}

/// Changes an application.
pub(super) async fn change(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, form) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    let version = form.value("version").and_then(|version| version.parse().ok());
    let (Some(id), Some(version)) = (client_id(&form), version) else { return page.problem(Problem::Malformed) };
    let typed = Typed::read(&form);
    let patch = match typed.patch() {
        Ok(patch) => patch,
        Err(problems) => return show_one(&page, &live, &id, Some(&typed), problems, None).await,
    };
    match owned::update(&page.cx, &live, &id, version, patch).await {
        // What somebody else wrote is shown, and not written over.
        Err(AdminError::Conflict) => show_one(&page, &live, &id, None, vec![FormProblem::Conflict], None).await,
        Err(error) if forms::problem(&error).is_some() => {
            show_one(&page, &live, &id, Some(&typed), forms::problem(&error).into_iter().collect(), None).await
        }
        outcome => back(&page, &id, outcome.map(|_: Changed| ()), AppNotice::Changed),
    }
}

/// Enables or disables an application.
pub(super) async fn switch(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, form) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    let enabled = match form.value("enabled") {
        Some("yes") => true,
        Some("no") => false,
        _ => return page.problem(Problem::Malformed),
    };
    let Some(id) = client_id(&form) else { return page.problem(Problem::Malformed) };
    match owned::set_enabled(&page.cx, &live, &id, enabled).await {
        Err(error) if forms::problem(&error).is_some() => {
            show_one(&page, &live, &id, None, forms::problem(&error).into_iter().collect(), None).await
        }
        outcome => {
            let notice = if enabled { AppNotice::Enabled } else { AppNotice::Disabled };
            back(&page, &id, outcome.map(|_: Changed| ()), notice)
        }
    }
}

/// Gives an application a new secret, and shows it this once.
pub(super) async fn renew(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, form) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    let Some(id) = client_id(&form) else { return page.problem(Problem::Malformed) };
    let newest = form.value("secret").and_then(|id| id.parse::<Uuid>().ok());
    let at_once = form.value("at_once").is_some();
    let renewed = async {
        let name = owned::find(&cx, live.user.id, &id).await?.name;
        let rotated = owned::rotate_secret(&page.cx, &live, &id, newest, at_once).await?;
        Ok::<_, AdminError>((name, rotated))
    };
    match renewed.await {
        Ok((name, rotated)) => SecretView {
            frame: page.frame_of_once(),
            name,
            path: views::path(paths::APPLICATION, &id),
            client_id: id.to_string(),
            secret: Some(rotated.secret),
            new: false,
            before_until: rotated.before_until,
            confirmed: rotated.confirmed,
        }
        .into_response(),
        Err(AdminError::Conflict) => show_one(&page, &live, &id, None, vec![FormProblem::Renewed], None).await,
        Err(error) => match forms::problem(&error) {
            Some(problem) => show_one(&page, &live, &id, None, vec![problem], None).await,
            None => failed(&page, &error),
        },
    }
}

/// Asks whether an application shall be deleted.
pub(super) async fn ask_delete(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, form, live) = match asked(&cx, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Some(id) = client_id(&form) else { return page.problem(Problem::NotFound) };
    match owned::find(&cx, live.user.id, &id).await {
        Ok(client) => DeleteView {
            frame: page.frame(None, &views::path(paths::DELETE_APPLICATION, &id)),
            csrf: page.visitor.csrf(&cx, Purpose::Account),
            name: client.name,
            client_id: id.to_string(),
            path: views::path(paths::APPLICATION, &id),
        }
        .into_response(),
        Err(error) => failed(&page, &error),
    }
}

/// Deletes an application.
pub(super) async fn delete(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, form) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    let Some(id) = client_id(&form) else { return page.problem(Problem::Malformed) };
    match owned::delete(&page.cx, &live, &id).await {
        Ok(_) => to_list(&page, AppNotice::Deleted),
        Err(error @ AdminError::Unconfirmed(_)) => {
            report::internal(&error);
            to_list(&page, AppNotice::Unconfirmed)
        }
        Err(error) => match forms::problem(&error) {
            Some(problem) => show_one(&page, &live, &id, None, vec![problem], None).await,
            None => failed(&page, &error),
        },
    }
}

async fn show_new(page: &Page, live: &Live, typed: &Typed, problems: Vec<FormProblem>) -> Response {
    match views::new(page, live, typed, problems).await {
        Ok(view) => view.into_response(),
        Err(error) => failed(page, &error),
    }
}

async fn show_one(
    page: &Page,
    live: &Live,
    id: &ClientId,
    typed: Option<&Typed>,
    problems: Vec<FormProblem>,
    notice: Option<AppNotice>,
) -> Response {
    match views::one(page, live.user.id, id, typed).await {
        Ok(mut view) => {
            (view.problems, view.notice) = (problems, notice);
            view.into_response()
        }
        Err(error) => failed(page, &error),
    }
}

/// A page of somebody who is signed in.
async fn asked(cx: &Context, request: Request<Body>) -> Result<(Page, Form, Live), Response> {
    let (page, form) = Page::asked(cx, &request);
    match page.visitor.session(cx).await {
        Ok(Some(live)) => Ok((page, form, live)),
        Ok(None) => Err(visitor::send_to(&page.url(paths::LOGIN, None), None)),
        Err(error) => Err(page.failed(&error)),
    }
}

/// A form of somebody who is signed in.
async fn signed(cx: &Context, request: Request<Body>) -> Result<(Page, Live, Form), Response> {
    let (page, form) = Page::posted_with(cx, request, &["scope"]).await?;
    if !page.visitor.gave(cx, Purpose::Account, form.value("csrf")) {
        return Err(page.problem(Problem::StaleForm));
    }
    match page.visitor.session(cx).await {
        Ok(Some(live)) => Ok((page, live, form)),
        Ok(None) => Err(visitor::send_to(&page.url(paths::LOGIN, None), None)),
        Err(error) => Err(page.failed(&error)),
    }
}

fn client_id(form: &Form) -> Option<ClientId> {
    form.value("client_id").and_then(|id| id.parse().ok())
}

fn notice(form: &Form) -> Option<AppNotice> {
    let name = form.value("notice")?;
    NOTICES.into_iter().find(|(known, _)| *known == name).map(|(_, notice)| notice)
}

/// Where a change leads: back to the application.
fn back(page: &Page, id: &ClientId, outcome: Result<(), AdminError>, notice: AppNotice) -> Response {
    let notice = match outcome {
        Ok(()) => notice,
        Err(error @ AdminError::Unconfirmed(_)) => {
            report::internal(&error);
            AppNotice::Unconfirmed
        }
        Err(error) => return failed(page, &error),
    };
    to(page, &views::path(paths::APPLICATION, id), notice)
}

fn to_list(page: &Page, notice: AppNotice) -> Response {
    to(page, paths::APPLICATIONS, notice)
}

fn to(page: &Page, path: &str, notice: AppNotice) -> Response {
    let name = NOTICES.iter().find(|(_, known)| *known == notice).map_or("", |(name, _)| name);
    let separator = if path.contains('?') { '&' } else { '?' };
    visitor::send_to(&page.url(&format!("{path}{separator}notice={name}"), None), None)
}

/// An application of somebody else's is not there. Whose session has ended meanwhile signs in again.
fn failed(page: &Page, error: &AdminError) -> Response {
    match error {
        AdminError::UserNotFound => visitor::send_to(&page.url(paths::LOGIN, None), None),
        error if error.code() == ErrorCode::Conflict => page.problem(Problem::StaleForm),
        error => page.failed(error),
    }
}
