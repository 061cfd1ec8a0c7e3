//! `tessera scope …`: registered scopes (RFC 6749 section 3.3).

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::scope_service_client::ScopeServiceClient;
use tessera_types::Scope as Name;
use tonic::transport::Channel;

use crate::app::App;
use crate::commands::{Done, Pages};
use crate::confirm::Consent;
use crate::connect::{Access, Administrator};
use crate::output::{ListedView, Table, View, moment};
use crate::problem::{Exit, Problem};

/// Registers, changes and removes scopes.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera scope create orders:read --description 'See orders'
  tessera scope list")]
pub struct Scope {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register a scope.
    Create(Create),
    /// Show a scope.
    Get(Get),
    /// List scopes.
    List(List),
    /// Change what a scope is said to allow.
    Update(Update),
    /// Remove a scope that no client has.
    Delete(Delete),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera scope create orders:read --description 'See orders'
  tessera scope create orders:write --description 'en=Change orders' \\
    --description 'fr=Modifier les commandes'")]
struct Create {
    /// The scope's name.
    #[arg(value_name = "SCOPE")]
    name: Name,

    /// What it allows, in plain words: TEXT in English, or LANG=TEXT.
    #[arg(long, value_name = "[LANG=]TEXT", value_parser = description)]
    description: Vec<(String, String)>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera scope get orders:read
  tessera scope get orders:read -o json")]
struct Get {
    /// The scope's name.
    #[arg(value_name = "SCOPE")]
    name: Name,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera scope list
  tessera scope list -o name")]
struct List {}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera scope update orders:read --description 'See all orders'
  tessera scope update orders:read \\
    --description 'fr=Voir les commandes' -o json")]
struct Update {
    /// The scope's name.
    #[arg(value_name = "SCOPE")]
    name: Name,

    /// What it allows, in plain words: TEXT in English, or LANG=TEXT. An empty text removes a language; languages not named
    /// stay as they are.
    #[arg(long, value_name = "[LANG=]TEXT", value_parser = description, required = true)]
    description: Vec<(String, String)>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera scope delete orders:read --dry-run
  tessera scope delete orders:read --yes")]
struct Delete {
    /// The scope's name.
    #[arg(value_name = "SCOPE")]
    name: Name,

    #[command(flatten)]
    consent: Consent,
}

/// Reads `TEXT` or `LANG=TEXT`; a language is two or three small letters, and perhaps more after `-` (BCP 47).
#[allow(clippy::unnecessary_wraps, reason = "the form clap wants of a parser")]
fn description(text: &str) -> Result<(String, String), String> {
    let is_language = |tag: &str| {
        let (primary, rest) = tag.split_once('-').unwrap_or((tag, "x"));
        (2..=3).contains(&primary.len())
            && primary.bytes().all(|b| b.is_ascii_lowercase())
            && !rest.is_empty()
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    Ok(match text.split_once('=') {
        Some((tag, words)) if is_language(tag) => (tag.to_owned(), words.to_owned()),
        _ => ("en".to_owned(), text.to_owned()),
    })
}

/// A scope.
#[derive(Debug, Serialize)]
struct ScopeView {
    name: String,
    descriptions: BTreeMap<String, String>,
    reserved: bool,
    create_time: Option<String>,
}

impl From<wire::Scope> for ScopeView {
    fn from(scope: wire::Scope) -> Self {
        Self {
            create_time: moment(scope.create_time.as_ref()),
            name: scope.name,
            descriptions: scope.descriptions.into_iter().collect(),
            reserved: scope.reserved,
        }
    }
}

impl View for ScopeView {
    fn table(&self) -> Table {
        let mut sides = vec![("name", self.name.clone())];
        sides.extend(self.descriptions.iter().map(|(tag, words)| ("description", format!("{words} ({tag})"))));
        sides.push(("reserved", if self.reserved { "yes" } else { "no" }.into()));
        sides.push(("created", self.create_time.clone().unwrap_or_default()));
        Table::Record(sides)
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

impl ListedView for ScopeView {
    const HEAD: &'static [&'static str] = &["SCOPE", "RESERVED", "DESCRIPTION"];

    fn row(&self) -> Vec<String> {
        let words = self.descriptions.get("en").or_else(|| self.descriptions.values().next()).cloned();
        vec![self.name.clone(), if self.reserved { "yes" } else { "no" }.into(), words.unwrap_or_default()]
    }
}

impl Scope {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Create(verb) => verb.run(app).await,
            Verb::Get(verb) => verb.run(app).await,
            Verb::List(List {}) => list(app).await,
            Verb::Update(verb) => verb.run(app).await,
            Verb::Delete(verb) => verb.run(app).await,
        }
    }
}

fn service(admin: &Administrator) -> ScopeServiceClient<Channel> {
    ScopeServiceClient::new(admin.channel())
}

async fn fetch(admin: &Administrator, name: &Name) -> Result<wire::Scope, Problem> {
    let message = wire::GetScopeRequest { name: name.to_string() };
    present(service(admin).get_scope(admin.request(message)).await?.into_inner().scope)
}

fn present(scope: Option<wire::Scope>) -> Result<wire::Scope, Problem> {
    scope.ok_or_else(|| Problem::internal("EMPTY_ANSWER", "the server answered without a scope"))
}

impl Create {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let scope = wire::Scope {
            name: self.name.to_string(),
            descriptions: self.description.into_iter().collect(),
            ..wire::Scope::default()
        };
        let message = wire::CreateScopeRequest { scope: Some(scope) };
        let answer = service(&admin).create_scope(admin.request(message)).await?.into_inner();
        app.show(&ScopeView::from(present(answer.scope)?))
    }
}

impl Get {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let scope = fetch(&admin, &self.name).await?;
        app.show(&ScopeView::from(scope))
    }
}

async fn list(app: &mut App<'_>) -> Result<Exit, Problem> {
    let admin = app.administrator(Access::Read).await?;
    let mut pages = Pages::new(None);
    let mut views: Vec<ScopeView> = Vec::new();
    loop {
        let (page_size, page_token) = pages.ask();
        let message = wire::ListScopesRequest { page_size, page_token };
        let page = service(&admin).list_scopes(admin.request(message)).await?.into_inner();
        let received = page.scopes.len();
        views.extend(page.scopes.into_iter().map(ScopeView::from));
        if !pages.go_on(received, page.next_page_token) {
            break;
        }
    }
    if views.is_empty() {
        app.say("No scopes.");
    }
    app.show(&views)
}

impl Update {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let mut scope = fetch(&admin, &self.name).await?;
        scope.descriptions.extend(self.description);
        scope.descriptions.retain(|_, words| !words.is_empty());
        let update_mask = Some(prost_types::FieldMask { paths: vec!["descriptions".to_owned()] });
        let message = wire::UpdateScopeRequest { scope: Some(scope), update_mask };
        let answer = service(&admin).update_scope(admin.request(message)).await?.into_inner();
        app.show(&ScopeView::from(present(answer.scope)?))
    }
}

impl Delete {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let scope = fetch(&admin, &self.name).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("deleted", scope.name));
        }
        self.consent.ask(&format!("Delete the scope `{}`?", scope.name), app.console)?;
        let message = wire::DeleteScopeRequest { name: scope.name.clone() };
        service(&admin).delete_scope(admin.request(message)).await?;
        app.show(&Done::did("deleted", scope.name, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_may_name_its_language() {
        let read = |text| description(text).expect("never fails");
        assert_eq!(read("See orders"), ("en".into(), "See orders".into()));
        assert_eq!(read("fr=Voir"), ("fr".into(), "Voir".into()));
        assert_eq!(read("pt-BR=Ver"), ("pt-BR".into(), "Ver".into()));
        assert_eq!(read("a = b"), ("en".into(), "a = b".into()));
        assert_eq!(read("fr="), ("fr".into(), String::new()));
    }
}
