//! What the form of an application says, and what is wrong with it.

use std::str::FromStr;

use tessera_kit::http::Form;
use tessera_types::{Failure as _, OrganizationId, RedirectUri, Scope, ScopeSet, WebUrl};

use super::super::pages::{ApplicationForm, FormProblem};
use crate::operations::clients::owned::{OwnDraft, OwnKind, OwnPatch};
use crate::operations::clients::{AdminError, DraftError, OwnerError};

/// The form, as it was typed.
pub(super) struct Typed {
    pub(super) form: ApplicationForm,
    pub(super) organization: Option<OrganizationId>,
    pub(super) scopes: Vec<String>,
}

impl Typed {
    /// The form of an application that nobody has said anything of.
    pub(super) fn blank() -> Self {
        let form = ApplicationForm { kind: "service".to_owned(), enabled: true, ..ApplicationForm::default() };
        Self { form, organization: None, scopes: Vec::new() }
    }

    /// What was sent.
    pub(super) fn read(form: &Form) -> Self {
        let text = |name| form.value(name).unwrap_or_default().to_owned();
        Self {
            form: ApplicationForm {
                name: text("name").trim().to_owned(),
                // Browsers send line breaks as CRLF (the HTML standard, form submission).
                description: text("description").replace("\r\n", "\n"),
                kind: text("kind"),
                enabled: form.value("enabled").is_some(),
                redirect_uris: text("redirect_uris").replace("\r\n", "\n"),
                failure_uri: text("failure_uri").trim().to_owned(),
                site_url: text("site_url").trim().to_owned(),
                logo_url: text("logo_url").trim().to_owned(),
            },
            organization: form.value("organization").and_then(|id| id.parse().ok()),
            scopes: form.values("scope").map(str::to_owned).collect(),
        }
    }

    /// The application to make.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn draft(&self) -> Result<OwnDraft, Vec<FormProblem>> {
        let kind = match self.form.kind.as_str() {
            "service" => Some(OwnKind::Service),
            "web" => Some(OwnKind::Web),
            "native" => Some(OwnKind::Native),
            _ => None,
        };
        let mut problems = Vec::new();
        let rest = self.patch().map_err(|found| problems.extend(found)).ok();
        let fixed = [(self.organization.is_none(), FormProblem::Organization), (kind.is_none(), FormProblem::Kind)];
        problems.extend(fixed.into_iter().filter(|(wrong, _)| *wrong).map(|(_, problem)| problem));
        match (rest, kind, self.organization) {
            (Some(rest), Some(kind), Some(organization)) => {
                Ok(OwnDraft { organization, kind, enabled: self.form.enabled, rest })
            }
            _ => Err(problems),
        }
    }

    /// What can be changed later, too.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn patch(&self) -> Result<OwnPatch, Vec<FormProblem>> {
        let form = &self.form;
        let lines = form.redirect_uris.lines().map(str::trim).filter(|line| !line.is_empty());
        let redirect_uris: Option<Vec<RedirectUri>> = lines.map(|line| line.parse().ok()).collect();
        let scopes: Option<Vec<Scope>> = self.scopes.iter().map(|scope| scope.parse().ok()).collect();
        let failure_uri = optional::<RedirectUri>(&form.failure_uri);
        let (site_url, logo_url) = (optional::<WebUrl>(&form.site_url), optional::<WebUrl>(&form.logo_url));
        let problems: Vec<FormProblem> = [
            (form.name.is_empty(), FormProblem::Name),
            (scopes.is_none(), FormProblem::Scope),
            (redirect_uris.is_none(), FormProblem::RedirectUri),
            (failure_uri.is_err(), FormProblem::FailureUri),
            (site_url.is_err(), FormProblem::SiteUrl),
            (logo_url.is_err(), FormProblem::LogoUrl),
        ]
        .into_iter()
        .filter_map(|(wrong, problem)| wrong.then_some(problem))
        .collect();
        match (scopes, redirect_uris, failure_uri, site_url, logo_url) {
            (Some(scopes), Some(redirect_uris), Ok(failure_uri), Ok(site_url), Ok(logo_url)) if problems.is_empty() => {
                Ok(OwnPatch {
                    name: form.name.clone(),
                    description: form.description.clone(),
                    scopes: ScopeSet::from_iter(scopes),
                    redirect_uris,
                    failure_uri,
                    site_url,
                    logo_url,
                })
            }
            _ => Err(problems),
        }
    }
}

/// An empty field says nothing; one that is no such thing is wrong.
fn optional<T: FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// What a person can put right about a refusal; none where it is not about what they said.
pub(super) fn problem(error: &AdminError) -> Option<FormProblem> {
    Some(match error {
        AdminError::Draft(DraftError::Name) => FormProblem::Name,
        AdminError::Draft(DraftError::Description) => FormProblem::Description,
        AdminError::Draft(DraftError::UnknownScope | DraftError::ReservedScope)
        | AdminError::Owner(OwnerError::Scope) => FormProblem::Scope,
        AdminError::Draft(DraftError::NoRedirectUri) => FormProblem::NoRedirectUri,
        AdminError::Draft(DraftError::TooMany) => FormProblem::RedirectUri,
        AdminError::Draft(DraftError::UnknownOrganization | DraftError::OwnerNotOfOrganization)
        | AdminError::Owner(OwnerError::NotOfOrganization) => FormProblem::Organization,
        AdminError::Owner(OwnerError::TooMany) => FormProblem::TooMany,
        AdminError::Owner(OwnerError::TooManyToday) => FormProblem::TooManyToday,
        AdminError::Owner(OwnerError::Administered) => FormProblem::Administered,
        AdminError::Owner(OwnerError::DisabledByAdministrator) => FormProblem::DisabledByAdministrator,
        AdminError::Conflict => FormProblem::Conflict,
        AdminError::Store(_) if error.reason() == "NAME_TAKEN" => FormProblem::NameTaken,
        _ => return None,
    })
}
