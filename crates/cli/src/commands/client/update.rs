//! `tessera client update`: changes what the flags name, and asks before taking something away.

use clap::{Args, ValueEnum};
use tessera_api::admin::v1 as wire;
use tessera_types::{ClientId, Scope};

use super::application::Application;
use super::shape::Shape;
use super::view::Changed;
use super::{fetch, present, service};
use crate::app::App;
use crate::commands::Done;
use crate::confirm::Consent;
use crate::connect::Access;
use crate::problem::{Exit, Problem};

/// Changes a client.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client update billing --add-scope orders:write
  tessera client update billing --lifetime 5m --clear description")]
pub struct Update {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,

    /// The name people see.
    #[arg(long)]
    name: Option<String>,

    /// What the client is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Each list replaces the one there is.
    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    application: Application,

    /// A scope to give it besides those it has.
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ', conflicts_with = "scope")]
    add_scope: Vec<Scope>,

    /// A scope to take from it; also from its default scopes.
    #[arg(long, num_args = 1.., value_name = "SCOPE", value_delimiter = ' ', conflicts_with = "scope")]
    remove_scope: Vec<Scope>,

    /// A field to empty.
    #[arg(long, num_args = 1.., value_name = "FIELD")]
    clear: Vec<Field>,

    #[command(flatten)]
    consent: Consent,
}

/// A field that may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Field {
    Description,
    Grants,
    Scopes,
    DefaultScopes,
    Audiences,
    Resources,
    RedirectUris,
    Lifetime,
    Organization,
    Owner,
    SiteUrl,
    LogoUrl,
    FailureUri,
    ImplicitScopes,
}

impl Update {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        if !self.changes_anything() {
            return Err(Problem::usage("NOTHING_TO_CHANGE", "no flag says what to change")
                .hint("see tessera client update --help"));
        }
        let admin = app.administrator(Access::Write).await?;
        let before = fetch(&admin, &self.client_id).await?;
        let mut after = before.clone();
        let mut touched = self.apply(&mut after);
        touched.extend(self.application.apply(&admin, &mut after).await?);
        touched.sort_unstable();
        touched.dedup();
        let lost = taken_away(&before, &after);
        if self.consent.dry_run {
            app.say(&format!("Would change: {}.", touched.join(", ")));
            return app.show(&Done::would("updated", before.client_id));
        }
        if !lost.is_empty() {
            let question = format!(
                "This takes {} from the client `{}`; its older tokens become inactive. Go on?",
                lost.join(", "),
                before.client_id
            );
            self.consent.ask(&question, app.console)?;
        }
        let paths = touched.into_iter().map(str::to_owned).collect();
        let message =
            wire::UpdateClientRequest { client: Some(after), update_mask: Some(prost_types::FieldMask { paths }) };
        let answer = service(&admin).update_client(admin.request(message)).await?.into_inner();
        app.show(&Changed::without_secret(present(answer.client)?, answer.revision))
    }

    fn changes_anything(&self) -> bool {
        let mut scratch = wire::Client::default();
        !self.shape.apply(&mut scratch).is_empty()
            || self.application.is_given()
            || self.name.is_some()
            || self.description.is_some()
            || !self.add_scope.is_empty()
            || !self.remove_scope.is_empty()
            || !self.clear.is_empty()
    }

    /// Writes the change into a client and returns the fields it touched.
    fn apply(&self, client: &mut wire::Client) -> Vec<&'static str> {
        let mut touched = self.shape.apply(client);
        if let Some(name) = &self.name {
            client.name.clone_from(name);
            touched.push("name");
        }
        if let Some(description) = &self.description {
            client.description.clone_from(description);
            touched.push("description");
        }
        touched.extend(self.apply_scopes(client));
        touched.extend(self.clear.iter().map(|field| empty(client, *field)));
        touched
    }

    fn apply_scopes(&self, client: &mut wire::Client) -> Vec<&'static str> {
        for scope in &self.add_scope {
            if !client.scopes.iter().any(|s| s == scope.as_str()) {
                client.scopes.push(scope.to_string());
            }
        }
        let removed = |scope: &String| self.remove_scope.iter().any(|r| r.as_str() == scope);
        client.scopes.retain(|scope| !removed(scope));
        let defaults = client.default_scopes.len();
        client.default_scopes.retain(|scope| !removed(scope));
        let mut touched = Vec::new();
        if !self.add_scope.is_empty() || !self.remove_scope.is_empty() {
            touched.push("scopes");
        }
        if client.default_scopes.len() != defaults {
            touched.push("default_scopes");
        }
        touched
    }
}

fn empty(client: &mut wire::Client, field: Field) -> &'static str {
    let text = match field {
        Field::Description => Some((&mut client.description, "description")),
        Field::Organization => Some((&mut client.organization_id, "organization_id")),
        Field::Owner => Some((&mut client.owner_id, "owner_id")),
        Field::SiteUrl => Some((&mut client.site_url, "site_url")),
        Field::LogoUrl => Some((&mut client.logo_url, "logo_url")),
        Field::FailureUri => Some((&mut client.failure_uri, "failure_uri")),
        _ => None,
    };
    if let Some((text, name)) = text {
        text.clear();
        return name;
    }
    let (list, name) = match field {
        Field::ImplicitScopes => (&mut client.implicit_scopes, "implicit_scopes"),
        Field::Lifetime => {
            client.access_token_lifetime = None;
            return "access_token_lifetime";
        }
        Field::Grants => (&mut client.grant_types, "grant_types"),
        Field::Scopes => (&mut client.scopes, "scopes"),
        Field::DefaultScopes => (&mut client.default_scopes, "default_scopes"),
        Field::Audiences => (&mut client.audiences, "audiences"),
        Field::Resources => (&mut client.resources, "resources"),
        _ => (&mut client.redirect_uris, "redirect_uris"),
    };
    list.clear();
    name
}

/// The scopes, grants and audiences that a client loses by a change, and whom it belonged to: what makes its older tokens inactive.
pub(super) fn taken_away(before: &wire::Client, after: &wire::Client) -> Vec<String> {
    let pairs = [
        (&before.scopes, &after.scopes),
        (&before.grant_types, &after.grant_types),
        (&before.audiences, &after.audiences),
    ];
    let mut lost: Vec<String> = Vec::new();
    for (had, has) in pairs {
        lost.extend(had.iter().filter(|item| !has.contains(item)).map(|item| format!("`{item}`")));
    }
    for (had, has, what) in [
        (&before.organization_id, &after.organization_id, "the organization"),
        (&before.owner_id, &after.owner_id, "the owner"),
    ] {
        if had != has && !had.is_empty() {
            lost.push(format!("{what} `{had}`"));
        }
    }
    lost
}
