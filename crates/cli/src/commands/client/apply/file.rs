//! The file of `tessera client apply`: read whole, and checked whole, with the line of each mistake.

use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::scope_service_client::ScopeServiceClient;
use tessera_types::{
    Audience, ClaimsProfile, ClientId, ClientType, GrantType, PresentedSecret, RedirectUri, Scope, WebUrl,
};
use toml::Spanned;

use super::super::names;
use super::super::shape::profile_to_wire;
use crate::args::AUTO;
use crate::commands::Pages;
use crate::connect::Administrator;
use crate::credential;
use crate::problem::{Exit, Problem};
use crate::seconds;

/// The largest file.
const LARGEST: u64 = 8 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    client: Vec<Spanned<Entry>>,
}

type Text = Spanned<String>;

/// A client as the file says it. What it does not say is empty, or the server's default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    client_id: Text,
    name: Option<Text>,
    description: Option<Text>,
    r#type: Option<Text>,
    enabled: Option<bool>,
    #[serde(default)]
    grants: Vec<Text>,
    #[serde(default)]
    scopes: Vec<Text>,
    #[serde(default)]
    default_scopes: Vec<Text>,
    #[serde(default)]
    implicit_scopes: Vec<Text>,
    audiences: Option<Vec<Text>>,
    #[serde(default)]
    resources: Vec<Text>,
    #[serde(default)]
    redirect_uris: Vec<Text>,
    lifetime: Option<Text>,
    claims_profile: Option<Text>,
    organization: Option<Text>,
    owner: Option<Text>,
    site_url: Option<Text>,
    logo_url: Option<Text>,
    failure_uri: Option<Text>,
    secret_file: Option<Text>,
}

/// A client that is well-formed; its organization and owner are names still.
pub struct Wanted {
    checked: Checked,
    scopes: Vec<(usize, String)>,
    organization: Option<(usize, String)>,
    owner: Option<(usize, String)>,
}

impl Wanted {
    /// Whether the server makes a secret for it, where it is new.
    pub(super) fn needs_a_secret(&self) -> bool {
        self.checked.client.r#type() == wire::ClientType::Confidential && self.checked.secret.is_none()
    }
}

/// A client as it shall be.
pub struct Checked {
    /// The line it begins at.
    pub line: usize,
    /// The client.
    pub client: wire::Client,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether the file names any audience; otherwise they stay as they are.
    pub audiences: bool,
    /// The secret to import, where it is new.
    pub secret: Option<PresentedSecret>,
}

/// What is wrong with the file, line by line.
pub struct Mistakes<'a> {
    path: &'a Path,
    text: &'a str,
    found: Vec<(usize, String)>,
}

impl<'a> Mistakes<'a> {
    pub(super) const fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, found: Vec::new() }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.get(..offset).unwrap_or(self.text).matches('\n').count() + 1
    }

    pub(super) fn add(&mut self, line: usize, what: impl Into<String>) {
        self.found.push((line, what.into()));
    }

    fn read<T: FromStr>(&mut self, text: &Text) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match text.get_ref().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(self.line(text.span().start), format!("`{}`: {error}", text.get_ref()));
                None
            }
        }
    }

    fn words<T: FromStr + ToString>(&mut self, texts: &[Text]) -> Vec<String>
    where
        T::Err: std::fmt::Display,
    {
        let mut words: Vec<String> = Vec::with_capacity(texts.len());
        for word in texts.iter().filter_map(|text| self.read::<T>(text)).map(|word| word.to_string()) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words
    }

    fn word<T: FromStr + ToString>(&mut self, text: Option<&Text>) -> String
    where
        T::Err: std::fmt::Display,
    {
        text.filter(|text| !text.get_ref().is_empty())
            .and_then(|text| self.read::<T>(text))
            .map(|word| word.to_string())
            .unwrap_or_default()
    }

    /// A usage error with every mistake, where there is one.
    pub(super) fn settle(mut self) -> Result<(), Problem> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort();
        let path = self.path.display();
        let lines: Vec<String> = self.found.iter().map(|(line, what)| format!("{path}:{line}: {what}")).collect();
        Err(Problem::usage("INVALID_FILE", lines.join("\n")).hint("nothing was changed"))
    }
}

/// Reads a file.
///
/// # Errors
/// Usage, with every mistake and its line.
pub fn read(path: &Path) -> Result<Vec<Wanted>, Problem> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Problem::usage("UNREADABLE_FILE", format!("cannot read {}: {why}", path.display()))
    };
    if std::fs::metadata(path).map_err(|error| unreadable(&error))?.len() > LARGEST {
        return Err(unreadable(&"it is larger than 8 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    let mut mistakes = Mistakes::new(path, &text);
    let document: Document = match toml::from_str(&text) {
        Ok(document) => document,
        Err(error) => {
            let line = mistakes.line(error.span().map_or(0, |span| span.start));
            mistakes.add(line, error.message().to_owned());
            mistakes.settle()?;
            return Ok(Vec::new());
        }
    };
    let mut seen = HashSet::new();
    let mut wanted = Vec::with_capacity(document.client.len());
    for entry in document.client {
        let line = mistakes.line(entry.span().start);
        let entry = entry.into_inner();
        if !seen.insert(entry.client_id.get_ref().clone()) {
            mistakes.add(line, format!("the client `{}` stands twice", entry.client_id.get_ref()));
        }
        wanted.push(wish(&mut mistakes, line, &entry));
    }
    mistakes.settle()?;
    Ok(wanted)
}

/// What an entry says, as far as it is well-formed.
fn wish(mistakes: &mut Mistakes<'_>, line: usize, entry: &Entry) -> Wanted {
    let client_id = mistakes.word::<ClientId>(Some(&entry.client_id));
    let plain = |text: &Option<Text>| text.as_ref().map(|text| text.get_ref().clone()).unwrap_or_default();
    let kind = entry.r#type.as_ref().and_then(|text| mistakes.read::<ClientType>(text));
    let kind = kind.unwrap_or(ClientType::Confidential);
    let name = plain(&entry.name);
    let client = wire::Client {
        name: if name.is_empty() { client_id.clone() } else { name },
        client_id,
        description: plain(&entry.description),
        r#type: match kind {
            ClientType::Confidential => wire::ClientType::Confidential,
            ClientType::Public => wire::ClientType::Public,
        }
        .into(),
        grant_types: mistakes.words::<GrantType>(&entry.grants),
        scopes: mistakes.words::<Scope>(&entry.scopes),
        default_scopes: mistakes.words::<Scope>(&entry.default_scopes),
        implicit_scopes: mistakes.words::<Scope>(&entry.implicit_scopes),
        audiences: mistakes.words::<Audience>(entry.audiences.as_deref().unwrap_or_default()),
        resources: mistakes.words::<Audience>(&entry.resources),
        redirect_uris: mistakes.words::<RedirectUri>(&entry.redirect_uris),
        access_token_lifetime: lifetime(mistakes, entry.lifetime.as_ref()),
        claims_profile: profile(mistakes, entry.claims_profile.as_ref()).into(),
        site_url: mistakes.word::<WebUrl>(entry.site_url.as_ref()),
        logo_url: mistakes.word::<WebUrl>(entry.logo_url.as_ref()),
        failure_uri: mistakes.word::<RedirectUri>(entry.failure_uri.as_ref()),
        ..wire::Client::default()
    };
    make_sense(mistakes, line, &client, entry);
    let placed = |mistakes: &Mistakes<'_>, text: &Text| (mistakes.line(text.span().start), text.get_ref().clone());
    let named = |mistakes: &Mistakes<'_>, text: Option<&Text>| {
        text.filter(|text| !text.get_ref().is_empty()).map(|text| placed(mistakes, text))
    };
    let (organization, owner) = (named(mistakes, entry.organization.as_ref()), named(mistakes, entry.owner.as_ref()));
    let scopes = entry.scopes.iter().chain(&entry.implicit_scopes).map(|text| placed(mistakes, text)).collect();
    let secret = secret(mistakes, entry.secret_file.as_ref(), kind);
    // Empty is the server's default, which only the server knows: as good as unsaid for a client that is there.
    let audiences = entry.audiences.as_ref().is_some_and(|named| !named.is_empty());
    let enabled = entry.enabled.unwrap_or(true);
    Wanted { checked: Checked { line, client, enabled, audiences, secret }, scopes, organization, owner }
}

fn lifetime(mistakes: &mut Mistakes<'_>, text: Option<&Text>) -> Option<prost_types::Duration> {
    let text = text?;
    match seconds::parse(text.get_ref()) {
        Ok(span) => Some(seconds::to_wire(span)),
        Err(error) => {
            mistakes.add(mistakes.line(text.span().start), error);
            None
        }
    }
}

fn profile(mistakes: &mut Mistakes<'_>, text: Option<&Text>) -> wire::ClaimsProfile {
    let named = text.filter(|text| text.get_ref() != AUTO);
    profile_to_wire(named.and_then(|text| mistakes.read::<ClaimsProfile>(text)))
}

/// A path is taken from the folder that the file is in.
fn secret(mistakes: &mut Mistakes<'_>, file: Option<&Text>, kind: ClientType) -> Option<PresentedSecret> {
    let file = file?;
    let line = mistakes.line(file.span().start);
    if kind == ClientType::Public {
        mistakes.add(line, "a public client has no secret");
        return None;
    }
    let path = mistakes.path.parent().unwrap_or_else(|| Path::new("")).join(file.get_ref());
    match credential::from_file(&path) {
        Ok(secret) => Some(secret),
        Err(problem) => {
            mistakes.add(line, problem.message);
            None
        }
    }
}

/// The server's rules that need nothing but the file.
fn make_sense(mistakes: &mut Mistakes<'_>, line: usize, client: &wire::Client, entry: &Entry) {
    let has = |grant: GrantType| client.grant_types.iter().any(|own| own == grant.as_str());
    let organized = entry.organization.as_ref().is_some_and(|text| !text.get_ref().is_empty());
    let owned = entry.owner.as_ref().is_some_and(|text| !text.get_ref().is_empty());
    let public = client.r#type() == wire::ClientType::Public;
    let rules = [
        (client.grant_types.is_empty() && client.resources.is_empty(), "a client needs a grant, or a resource"),
        (client.grant_types.is_empty() && organized, "a client of an organization needs a grant"),
        (public && has(GrantType::ClientCredentials), "a public client cannot use client_credentials"),
        (
            has(GrantType::AuthorizationCode) && client.redirect_uris.is_empty(),
            "a client with authorization_code needs a redirect URI",
        ),
        (
            organized && !owned && has(GrantType::ClientCredentials),
            "in an organization a client with client_credentials needs an owner",
        ),
        (
            client.default_scopes.iter().any(|scope| !client.scopes.contains(scope)),
            "the default scopes must be among the scopes",
        ),
    ];
    for (broken, what) in rules {
        if broken {
            mistakes.add(line, format!("`{}`: {what}", client.client_id));
        }
    }
}

/// Looks up what the file names: organizations, owners and scopes.
///
/// # Errors
/// Usage, with every name that is nobody's and its line.
pub async fn resolve(admin: &Administrator, path: &Path, wanted: Vec<Wanted>) -> Result<Vec<Checked>, Problem> {
    let registered = registered_scopes(admin).await?;
    let mut mistakes = Mistakes::new(path, "");
    let mut checked = Vec::with_capacity(wanted.len());
    for Wanted { checked: mut one, scopes, organization, owner } in wanted {
        for (line, scope) in scopes.into_iter().filter(|(_, scope)| !registered.contains(scope)) {
            mistakes.add(line, format!("the scope `{scope}` is not registered"));
        }
        if let Some((line, name)) = organization {
            let found = names::known_organization_id(admin, &name).await;
            let missing = || format!("there is no organization `{name}`");
            one.client.organization_id = found_or(&mut mistakes, line, found, missing)?;
        }
        if let Some((line, name)) = owner {
            let found = names::known_user_id(admin, &name).await;
            let missing = || format!("there is no user `{name}`");
            one.client.owner_id = found_or(&mut mistakes, line, found, missing)?;
        }
        checked.push(one);
    }
    mistakes.settle()?;
    Ok(checked)
}

/// What was found; that it was not is a mistake in the file, anything else a failure.
fn found_or(
    mistakes: &mut Mistakes<'_>,
    line: usize,
    found: Result<String, Problem>,
    missing: impl FnOnce() -> String,
) -> Result<String, Problem> {
    match found {
        Err(problem) if problem.exit == Exit::NotFound => {
            mistakes.add(line, missing());
            Ok(String::new())
        }
        other => other,
    }
}

async fn registered_scopes(admin: &Administrator) -> Result<HashSet<String>, Problem> {
    let mut pages = Pages::new(None);
    let mut names = HashSet::new();
    loop {
        let (page_size, page_token) = pages.ask();
        let message = wire::ListScopesRequest { page_size, page_token };
        let answer = ScopeServiceClient::new(admin.channel()).list_scopes(admin.request(message)).await?.into_inner();
        let received = answer.scopes.len();
        names.extend(answer.scopes.into_iter().map(|scope| scope.name));
        if !pages.go_on(received, answer.next_page_token) {
            return Ok(names);
        }
    }
}
