//! The account page.

use askama::Template;
use axum::response::{IntoResponse, Response};
use tessera_types::Timestamp;

use super::browser;
use super::client::{Place, initial};
use super::consent::ScopeView;
use super::frame::{Frame, paths};
use super::respond::{Page, respond};
use super::texts::Texts;
use super::when;

/// The account page: which apps have access, and where the person is signed in.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub struct AccountView {
    /// What is round the page. Its `here` is [`paths::ACCOUNT`].
    pub frame: Frame,
    /// The name the person signs in with.
    pub username: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The connected apps.
    pub apps: Vec<AppView>,
    /// The sessions, the present one among them.
    pub sessions: Vec<SessionView>,
    /// Against forged posts: bound to the session.
    pub csrf: String,
    /// What was just done.
    pub notice: Option<Notice>,
}

/// An app that the person has given access.
#[derive(Clone, Debug)]
pub struct AppView {
    /// The client's identifier.
    pub client_id: String,
    /// Its name.
    pub name: String,
    /// The redirect URI that its place is taken from.
    pub redirect: Option<String>,
    /// What it may do.
    pub scopes: Vec<ScopeView>,
    /// Since when.
    pub since: Timestamp,
}

/// A session.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// The name by which a form speaks of it: never the cookie's value.
    pub id: String,
    /// It is the one the page is asked for in.
    pub current: bool,
    /// When the person signed in.
    pub started: Timestamp,
    /// When it was last seen.
    pub last_used: Timestamp,
    /// What the browser called itself. Shown are names from a list alone.
    pub user_agent: String,
    /// From where.
    pub address: Option<String>,
}

/// What was just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An app's access was removed.
    AppRemoved,
    /// An app's access was removed, and not every service has confirmed it.
    AppRemovalUnconfirmed,
    /// A session was ended.
    SessionEnded,
    /// Every other session was ended.
    OtherSessionsEnded,
}

impl AccountView {
    fn others(&self) -> bool {
        self.sessions.iter().any(|session| !session.current)
    }

    fn initial(&self) -> String {
        initial(&self.username)
    }
}

impl AppView {
    fn place(&self) -> Option<Place> {
        self.redirect.as_deref().map(Place::of)
    }

    fn initial(&self) -> String {
        initial(&self.name)
    }

    fn connected(&self, texts: &Texts) -> String {
        when::day(texts, self.since)
    }
}

impl SessionView {
    fn name(&self, texts: &Texts) -> String {
        match browser::names(&self.user_agent) {
            (Some(browser), Some(system)) => format!("{browser} {} {system}", texts.account.on),
            (Some(name), None) | (None, Some(name)) => name.to_owned(),
            (None, None) => texts.account.unknown_browser.to_owned(),
        }
    }

    fn started(&self, texts: &Texts) -> String {
        when::minute(texts, self.started)
    }

    fn last_used(&self, texts: &Texts) -> String {
        when::minute(texts, self.last_used)
    }
}

impl Notice {
    fn text(self, texts: &Texts) -> &'static str {
        match self {
            Self::AppRemoved => texts.account.app_removed,
            Self::AppRemovalUnconfirmed => texts.account.app_removal_unconfirmed,
            Self::SessionEnded => texts.account.session_ended,
            Self::OtherSessionsEnded => texts.account.other_sessions_ended,
        }
    }
}

impl Page for AccountView {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl IntoResponse for AccountView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}
