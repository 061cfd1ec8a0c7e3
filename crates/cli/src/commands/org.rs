//! `tessera org …`: organizations and their members.

pub mod member;
pub mod view;

use clap::{Args, Subcommand};
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::organization_service_client::OrganizationServiceClient;
use tonic::transport::Channel;

use self::view::{Changed, OrgView};
use crate::app::App;
use crate::commands::client::names;
use crate::commands::{Done, Pages};
use crate::confirm::Consent;
use crate::connect::{Access, Administrator};
use crate::problem::{Exit, Problem};

/// Registers, changes and removes organizations.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org create Acme
  tessera org member add Acme ada")]
pub struct Org {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register an organization.
    Create(Create),
    /// Show an organization.
    Get(Get),
    /// List organizations.
    List(List),
    /// Change an organization.
    Update(Update),
    /// Remove an organization; its clients are disabled, and their tokens inactive for good.
    Delete(Delete),
    /// Let an organization's clients be used again.
    Enable(Enable),
    /// Refuse an organization's clients and make their tokens inactive.
    Disable(Disable),
    /// An organization's members: add, remove, list.
    Member(member::Member),
}

/// An organization, as people name one.
#[derive(Args, Debug)]
struct Which {
    /// The organization's name or id.
    #[arg(value_name = "ORG")]
    which: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org create Acme
  tessera org create Group --global -o json")]
struct Create {
    /// Its name; unique.
    #[arg(value_name = "NAME")]
    name: String,

    /// Its members may own clients in the other organizations, too.
    #[arg(long)]
    global: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org get Acme
  tessera org get Acme -o json | jq -r .organization_id")]
struct Get {
    #[command(flatten)]
    which: Which,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org list
  tessera org list --member ada -o name")]
struct List {
    /// Only organizations whose name contains this; the case of ASCII letters does not matter.
    #[arg(long, value_name = "TEXT")]
    name_contains: Option<String>,

    /// Only organizations that this user is a member of.
    #[arg(long, value_name = "WHO")]
    member: Option<String>,

    /// Only organizations whose clients may be used.
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,

    /// Only organizations whose clients are refused.
    #[arg(long)]
    disabled: bool,

    /// How many at most [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org update Acme --name 'Acme Ltd'
  tessera org update Acme --global true")]
struct Update {
    #[command(flatten)]
    which: Which,

    /// Its name.
    #[arg(long, required_unless_present = "global")]
    name: Option<String>,

    /// Whether its members may own clients in the other organizations, too.
    #[arg(long, value_name = "BOOL")]
    global: Option<bool>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org delete Acme --dry-run
  tessera org delete Acme --yes")]
struct Delete {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org enable Acme
  tessera org enable Acme -o json")]
struct Enable {
    #[command(flatten)]
    which: Which,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org disable Acme
  tessera org disable Acme --yes -o json")]
struct Disable {
    #[command(flatten)]
    which: Which,

    #[command(flatten)]
    consent: Consent,
}

impl Org {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Create(verb) => verb.run(app).await,
            Verb::Get(verb) => verb.run(app).await,
            Verb::List(verb) => verb.run(app).await,
            Verb::Update(verb) => verb.run(app).await,
            Verb::Delete(verb) => verb.run(app).await,
            Verb::Enable(verb) => verb.run(app).await,
            Verb::Disable(verb) => verb.run(app).await,
            Verb::Member(verb) => verb.run(app).await,
        }
    }
}

fn service(admin: &Administrator) -> OrganizationServiceClient<Channel> {
    OrganizationServiceClient::new(admin.channel())
}

async fn fetch(admin: &Administrator, which: &str) -> Result<wire::Organization, Problem> {
    let message = wire::GetOrganizationRequest { organization: which.to_owned() };
    present(service(admin).get_organization(admin.request(message)).await?.into_inner().organization)
}

fn present(organization: Option<wire::Organization>) -> Result<wire::Organization, Problem> {
    organization.ok_or_else(|| Problem::internal("EMPTY_ANSWER", "the server answered without an organization"))
}

impl Create {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let organization = wire::Organization { name: self.name, global: self.global, ..wire::Organization::default() };
        let message = wire::CreateOrganizationRequest { organization: Some(organization) };
        let answer = service(&admin).create_organization(admin.request(message)).await?.into_inner();
        app.show(&OrgView::from(present(answer.organization)?))
    }
}

impl Get {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let organization = fetch(&admin, &self.which.which).await?;
        app.show(&OrgView::from(organization))
    }
}

impl List {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let member_id = match &self.member {
            Some(who) => names::user_id(&admin, who).await?,
            None => String::new(),
        };
        let mut pages = Pages::new(self.limit.and_then(|n| usize::try_from(n).ok()));
        let mut views: Vec<OrgView> = Vec::new();
        loop {
            let (page_size, page_token) = pages.ask();
            let message = wire::ListOrganizationsRequest {
                page_size,
                page_token,
                name_contains: self.name_contains.clone().unwrap_or_default(),
                enabled: (self.enabled || self.disabled).then_some(self.enabled),
                member_id: member_id.clone(),
            };
            let page = service(&admin).list_organizations(admin.request(message)).await?.into_inner();
            let received = page.organizations.len();
            views.extend(page.organizations.into_iter().map(OrgView::from));
            if !pages.go_on(received, page.next_page_token) {
                break;
            }
        }
        if views.is_empty() {
            app.say("No organizations.");
        }
        app.show(&views)
    }
}

impl Update {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let mut organization = fetch(&admin, &self.which.which).await?;
        let mut paths = Vec::new();
        if let Some(name) = self.name {
            organization.name = name;
            paths.push("name".to_owned());
        }
        if let Some(global) = self.global {
            organization.global = global;
            paths.push("global".to_owned());
        }
        let update_mask = Some(prost_types::FieldMask { paths });
        let message = wire::UpdateOrganizationRequest { organization: Some(organization), update_mask };
        let answer = service(&admin).update_organization(admin.request(message)).await?.into_inner();
        app.show(&OrgView::from(present(answer.organization)?))
    }
}

impl Delete {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let found = fetch(&admin, &self.which.which).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("deleted", found.name));
        }
        let question = format!(
            "Delete the organization `{}`? Its clients are disabled, and their tokens become inactive for good.",
            found.name
        );
        self.consent.ask(&question, app.console)?;
        let message = wire::DeleteOrganizationRequest { organization_id: found.organization_id };
        let answer = service(&admin).delete_organization(admin.request(message)).await?.into_inner();
        app.show(&Done::did("deleted", found.name, Some(answer.revision)))
    }
}

impl Enable {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let organization_id = names::organization_id(&admin, &self.which.which).await?;
        let message = wire::EnableOrganizationRequest { organization_id };
        let answer = service(&admin).enable_organization(admin.request(message)).await?.into_inner();
        app.say("Enabled. Tokens from before it was disabled stay inactive.");
        app.show(&Changed::new(present(answer.organization)?, answer.revision))
    }
}

impl Disable {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let found = fetch(&admin, &self.which.which).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("disabled", found.name));
        }
        let question =
            format!("Disable the organization `{}`? Its clients' tokens become inactive and stay so.", found.name);
        self.consent.ask(&question, app.console)?;
        let message = wire::DisableOrganizationRequest { organization_id: found.organization_id };
        let answer = service(&admin).disable_organization(admin.request(message)).await?.into_inner();
        app.show(&Changed::new(present(answer.organization)?, answer.revision))
    }
}
