//! The pages on which an owner manages their own applications.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tessera_types::{PresentedSecret, Timestamp};

use super::consent::ScopeView;
use super::frame::{Frame, paths};
use super::respond::{Page, respond};
use super::texts::Texts;
use super::when;

/// A person's own applications.
#[derive(Debug, Template)]
#[template(path = "applications.html")]
pub struct ApplicationsView {
    /// What is round the page.
    pub frame: Frame,
    /// Those that the filter takes.
    pub applications: Vec<OwnedView>,
    /// What is looked for.
    pub filter: FilterView,
    /// The organizations to choose from.
    pub organizations: Vec<ChoiceView>,
    /// Where the rest of them is, below the issuer's path.
    pub next: Option<String>,
    /// Whether they may make one.
    pub may_make: bool,
    /// What was just done.
    pub notice: Option<AppNotice>,
}

/// An application in the list.
#[derive(Clone, Debug)]
pub struct OwnedView {
    /// Where its page is, below the issuer's path.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub client_id: String,
    /// Its organization's name, where it has one.
    pub organization: Option<String>,
    /// Whether it may be used.
    pub enabled: bool,
    /// When it was used last.
    pub last_used: Option<Timestamp>,
}

/// What is looked for in the list.
#[derive(Clone, Debug, Default)]
pub struct FilterView {
    /// Part of the name.
    pub name: String,
    /// The enabled ones, or the others.
    pub enabled: Option<bool>,
}

/// One of several to choose from.
#[derive(Clone, Debug)]
pub struct ChoiceView {
    /// What the form says.
    pub value: String,
    /// What people read.
    pub label: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// The page of an application, or of one to be made.
#[derive(Debug, Template)]
#[template(path = "application.html")]
pub struct ApplicationView {
    /// What is round the page.
    pub frame: Frame,
    /// Against forged posts: bound to the session.
    pub csrf: String,
    /// What the form says, or said.
    pub form: ApplicationForm,
    /// The organizations to choose from, for a new one.
    pub organizations: Vec<ChoiceView>,
    /// The scopes to choose from.
    pub scopes: Vec<ScopeChoiceView>,
    /// What is wrong with the form.
    pub problems: Vec<FormProblem>,
    /// The application, where there is one yet.
    pub existing: Option<ExistingView>,
    /// What was just done.
    pub notice: Option<AppNotice>,
}

/// What the form of an application says, as it was typed.
#[derive(Clone, Debug, Default)]
pub struct ApplicationForm {
    /// The name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// For a new one: `service`, `web` or `native`.
    pub kind: String,
    /// For a new one: whether it may be used at once.
    pub enabled: bool,
    /// A redirect URI on each line.
    pub redirect_uris: String,
    /// Where errors are sent.
    pub failure_uri: String,
    /// Its site.
    pub site_url: String,
    /// Its logo.
    pub logo_url: String,
}

/// A scope to choose.
#[derive(Clone, Debug)]
pub struct ScopeChoiceView {
    /// The scope in plain words.
    pub scope: ScopeView,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// What the page says of an application that is there.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a part of the page that is there or not")]
pub struct ExistingView {
    /// Its name, as registered.
    pub name: String,
    /// Its identifier.
    pub client_id: String,
    /// Where it is deleted, below the issuer's path.
    pub delete: String,
    /// Its version: the form changes no other.
    pub version: i64,
    /// Its organization's name, where it has one.
    pub organization: Option<String>,
    /// Its grants.
    pub grants: Vec<String>,
    /// Whether people sign in with it.
    pub signs_in: bool,
    /// Whether it keeps a secret.
    pub confidential: bool,
    /// The newest secret's name, never its value.
    pub secret: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether it was its owner who disabled it.
    pub may_enable: bool,
    /// Whether administrators alone manage it.
    pub administered: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was used last.
    pub last_used: Option<Timestamp>,
}

/// A secret, this once.
#[derive(Template)]
#[template(path = "application_secret.html")]
pub struct SecretView {
    /// What is round the page: [`Frame::of_once`], since nobody can ask for it again.
    pub frame: Frame,
    /// The application's name.
    pub name: String,
    /// Its identifier.
    pub client_id: String,
    /// Where its page is, below the issuer's path.
    pub path: String,
    /// The secret; none where a public one was made.
    pub secret: Option<PresentedSecret>,
    /// Whether the application is new.
    pub new: bool,
    /// For a new secret: until when the one before goes on; none where those before have ended.
    pub before_until: Option<Timestamp>,
    /// Whether everybody has confirmed the change.
    pub confirmed: bool,
}

/// Whether an application shall really be deleted.
#[derive(Debug, Template)]
#[template(path = "application_delete.html")]
pub struct DeleteView {
    /// What is round the page.
    pub frame: Frame,
    /// Against forged posts: bound to the session.
    pub csrf: String,
    /// The application's name.
    pub name: String,
    /// Its identifier.
    pub client_id: String,
    /// Where its page is, below the issuer's path.
    pub path: String,
}

/// What was just done with an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppNotice {
    /// It was changed.
    Changed,
    /// It was enabled.
    Enabled,
    /// It was disabled.
    Disabled,
    /// It was deleted.
    Deleted,
    /// It was changed, and not every service has confirmed it.
    Unconfirmed,
}

/// What is wrong with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormProblem {
    /// The name is empty or too long.
    Name,
    /// The name is taken.
    NameTaken,
    /// The description is too long.
    Description,
    /// No organization of theirs.
    Organization,
    /// No kind.
    Kind,
    /// A scope that they may not give, or that is gone.
    Scope,
    /// A redirect URI that is none.
    RedirectUri,
    /// People sign in, and there is nowhere to send them.
    NoRedirectUri,
    /// The address for errors is none.
    FailureUri,
    /// The site is no web address.
    SiteUrl,
    /// The logo is no web address.
    LogoUrl,
    /// It was changed meanwhile.
    Conflict,
    /// It was given a new secret meanwhile.
    Renewed,
    /// They have as many as they may.
    TooMany,
    /// They have made as many within a day as they may.
    TooManyToday,
    /// Administrators alone may do this.
    Administered,
    /// An administrator disabled it.
    DisabledByAdministrator,
}

impl FormProblem {
    /// The field that it is about, by its id on the page; none where it is the whole.
    fn field(self) -> Option<&'static str> {
        match self {
            Self::Name | Self::NameTaken => Some("name"),
            Self::Description => Some("description"),
            Self::Organization => Some("organization"),
            Self::Kind => Some("kind"),
            Self::Scope => Some("scopes"),
            Self::RedirectUri | Self::NoRedirectUri => Some("redirect_uris"),
            Self::FailureUri => Some("failure_uri"),
            Self::SiteUrl => Some("site_url"),
            Self::LogoUrl => Some("logo_url"),
            Self::Conflict
            | Self::Renewed
            | Self::TooMany
            | Self::TooManyToday
            | Self::Administered
            | Self::DisabledByAdministrator => None,
        }
    }

    fn text(self, texts: &Texts) -> &'static str {
        let texts = &texts.applications;
        match self {
            Self::Name => texts.bad_name,
            Self::NameTaken => texts.bad_name_taken,
            Self::Description => texts.bad_description,
            Self::Organization => texts.bad_organization,
            Self::Kind => texts.bad_kind,
            Self::Scope => texts.bad_scope,
            Self::RedirectUri => texts.bad_redirect_uri,
            Self::NoRedirectUri => texts.no_redirect_uri,
            Self::FailureUri => texts.bad_failure_uri,
            Self::SiteUrl | Self::LogoUrl => texts.bad_url,
            Self::Conflict => texts.conflict,
            Self::Renewed => texts.renewed_meanwhile,
            Self::TooMany => texts.too_many,
            Self::TooManyToday => texts.too_many_today,
            Self::Administered => texts.administered,
            Self::DisabledByAdministrator => texts.disabled_by_administrator,
        }
    }
}

impl AppNotice {
    fn text(self, texts: &Texts) -> &'static str {
        let texts = &texts.applications;
        match self {
            Self::Changed => texts.changed,
            Self::Enabled => texts.was_enabled,
            Self::Disabled => texts.was_disabled,
            Self::Deleted => texts.deleted,
            Self::Unconfirmed => texts.unconfirmed,
        }
    }
}

impl ApplicationsView {
    /// Whether something is looked for.
    fn narrowed(&self) -> bool {
        !self.filter.name.is_empty()
            || self.filter.enabled.is_some()
            || self.organizations.iter().any(|choice| choice.chosen)
    }
}

impl OwnedView {
    fn last_used(&self, texts: &Texts) -> String {
        self.last_used.map_or_else(|| texts.applications.never.to_owned(), |at| when::minute(texts, at))
    }
}

impl ApplicationView {
    /// What is wrong with a field, by its id.
    fn wrong(&self, field: &str) -> Option<FormProblem> {
        self.problems.iter().copied().find(|problem| problem.field() == Some(field))
    }

    fn action(&self) -> &'static str {
        if self.existing.is_some() { paths::CHANGE_APPLICATION } else { paths::NEW_APPLICATION }
    }

    /// Whether anything can be changed.
    fn open(&self) -> bool {
        self.existing.as_ref().is_none_or(|existing| !existing.administered)
    }

    /// Whether a redirect URI means something here.
    fn redirects(&self) -> bool {
        self.existing.as_ref().is_none_or(|existing| existing.signs_in)
    }
}

impl ExistingView {
    fn created(&self, texts: &Texts) -> String {
        when::day(texts, self.created)
    }

    fn last_used(&self, texts: &Texts) -> String {
        self.last_used.map_or_else(|| texts.applications.never.to_owned(), |at| when::minute(texts, at))
    }
}

impl SecretView {
    fn until(&self, texts: &Texts) -> String {
        self.before_until.map(|at| when::minute(texts, at)).unwrap_or_default()
    }
}

impl Page for ApplicationsView {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Page for ApplicationView {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn status(&self) -> StatusCode {
        match self.problems.first() {
            None => StatusCode::OK,
            Some(FormProblem::Conflict | FormProblem::Renewed) => StatusCode::CONFLICT,
            Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl Page for SecretView {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Page for DeleteView {
    fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl IntoResponse for ApplicationsView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}

impl IntoResponse for ApplicationView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}

impl IntoResponse for SecretView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}

impl IntoResponse for DeleteView {
    fn into_response(self) -> Response {
        respond(&self)
    }
}
