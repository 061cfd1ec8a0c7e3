//! `/account`: what a person has allowed whom, and where they are signed in.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use tessera_kit::http::Form;
use tessera_store::{Session, StoreError};
use tessera_types::{ClientId, Failure, ScopeSet};
use uuid::Uuid;

use super::consent;
use super::flow::Page;
use super::pages::{AccountView, AppView, Language, Notice, Problem, ScopeView, SessionView, paths};
use super::visitor::{self, Purpose};
use crate::context::Context;
use crate::operations::consents::{self, ConnectedApp, ConsentError};
use crate::operations::sessions::{self, Live};
use crate::report;

/// What a notice is called in the page's address.
const NOTICES: [(&str, Notice); 4] = [
    ("app-removed", Notice::AppRemoved),
    ("app-removal-unconfirmed", Notice::AppRemovalUnconfirmed),
    ("session-ended", Notice::SessionEnded),
    ("other-sessions-ended", Notice::OtherSessionsEnded),
];

/// Shows the page.
pub(super) async fn show(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, mut form) = Page::asked(&cx, &request);
    let notice = form.take("notice");
    let notice =
        notice.and_then(|name| NOTICES.into_iter().find(|(known, _)| *known == name)).map(|(_, notice)| notice);
    match page.visitor.session(&cx).await {
        Ok(Some(live)) => match view(&page, &live, notice).await {
            Ok(view) => view.into_response(),
            Err(error) => page.failed(&*error),
        },
        Ok(None) => visitor::send_to(&page.url(paths::LOGIN, None), None),
        Err(error) => page.failed(&error),
    }
}

/// Withdraws what the person allowed a client.
pub(super) async fn remove_app(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, mut form) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    let Some(client) = form.take("client_id").and_then(|id| id.parse::<ClientId>().ok()) else {
        return page.problem(Problem::Malformed);
    };
    match consents::withdraw(&page.cx, live.user.id, &client).await {
        Ok(_) => back(&page, Notice::AppRemoved),
        Err(error @ ConsentError::Unconfirmed(_)) => {
            report::internal(&error);
            back(&page, Notice::AppRemovalUnconfirmed)
        }
        Err(error) => page.failed(&error),
    }
}

/// Ends one of the person's sessions.
pub(super) async fn end_session(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, mut form) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    let Some(id) = form.take("session").and_then(|id| id.parse::<Uuid>().ok()) else {
        return page.problem(Problem::Malformed);
    };
    match sessions::end_one(&page.cx, &live.user, id).await {
        Ok(_) => back(&page, Notice::SessionEnded),
        Err(error) => page.failed(&error),
    }
}

/// Ends every session of the person's but this one.
pub(super) async fn end_other_sessions(State(cx): State<Context>, request: Request<Body>) -> Response {
    let (page, live, _) = match signed(&cx, request).await {
        Ok(signed) => signed,
        Err(response) => return response,
    };
    match sessions::end_others(&page.cx, &live).await {
        Ok(_) => back(&page, Notice::OtherSessionsEnded),
        Err(error) => page.failed(&error),
    }
}

/// A form of the account page, of somebody who is signed in.
async fn signed(cx: &Context, request: Request<Body>) -> Result<(Page, Live, Form), Response> {
    let (page, form) = Page::posted(cx, request).await?;
    if !page.visitor.gave(cx, Purpose::Account, form.value("csrf")) {
        return Err(page.problem(Problem::StaleForm));
    }
    match page.visitor.session(cx).await {
        Ok(Some(live)) => Ok((page, live, form)),
        Ok(None) => Err(visitor::send_to(&page.url(paths::LOGIN, None), None)),
        Err(error) => Err(page.failed(&error)),
    }
}

fn back(page: &Page, notice: Notice) -> Response {
    let name = NOTICES.iter().find(|(_, known)| *known == notice).map_or("", |(name, _)| name);
    let account = page.url(paths::ACCOUNT, None);
    let separator = if account.contains('?') { '&' } else { '?' };
    visitor::send_to(&format!("{account}{separator}notice={name}"), None)
}

async fn view(page: &Page, live: &Live, notice: Option<Notice>) -> Result<AccountView, Box<dyn Failure>> {
    let cx = &page.cx;
    let boxed = |error| -> Box<dyn Failure> { Box::new(error) };
    let frame = page.frame(None, paths::ACCOUNT);
    let connected = consents::list(cx, live.user.id).await.map_err(boxed)?;
    let apps = apps(cx, connected, frame.language()).await.map_err(boxed)?;
    let mut sessions = sessions::list(cx, &live.user).await.map_err(|error| -> Box<dyn Failure> { Box::new(error) })?;
    // The one that the person looks for first; the sort keeps the order of the others.
    sessions.sort_by_key(|session| session.id != live.session.id);
    Ok(AccountView {
        frame,
        username: live.user.username.to_string(),
        email: live.user.email.as_ref().map(ToString::to_string),
        apps,
        sessions: sessions.into_iter().map(|session| row(session, live)).collect(),
        csrf: page.visitor.csrf(cx, Purpose::Account),
        notice,
    })
}

/// What the page shows of the apps. The scopes of all of them are looked up together.
async fn apps(cx: &Context, connected: Vec<ConnectedApp>, language: Language) -> Result<Vec<AppView>, StoreError> {
    let scopes: ScopeSet = connected.iter().flat_map(|app| &app.consent.scopes).cloned().collect();
    let described = consent::describe(cx, &scopes, language).await?;
    let described: HashMap<&str, &ScopeView> = described.iter().map(|view| (view.name.as_str(), view)).collect();
    let view = |ConnectedApp { consent, client }: ConnectedApp| AppView {
        client_id: client.id.to_string(),
        name: client.name,
        redirect: client.redirect_uris.first().map(ToString::to_string),
        scopes: consent.scopes.iter().filter_map(|scope| described.get(scope.as_str()).copied().cloned()).collect(),
        since: consent.created,
    };
    Ok(connected.into_iter().map(view).collect())
}

fn row(session: Session, live: &Live) -> SessionView {
    SessionView {
        current: session.id == live.session.id,
        id: session.id.to_string(),
        started: session.created,
        last_used: session.seen,
        user_agent: session.agent,
        address: Some(session.address).filter(|address| !address.is_empty()),
    }
}
