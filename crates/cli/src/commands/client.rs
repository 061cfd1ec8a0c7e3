//! `tessera client …`: registered clients (RFC 6749 section 2).

pub mod application;
pub mod apply;
pub(super) mod names;
pub mod secret;
pub mod shape;
pub mod update;
pub mod view;

use std::time::Duration;

use clap::{Args, Subcommand};
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::client_service_client::ClientServiceClient;
use tessera_types::{ClientId, PresentedSecret};
use tonic::transport::Channel;

use self::application::Application;
use self::shape::Shape;
use self::view::{Changed, ClientView};
use crate::app::App;
use crate::commands::{Done, Pages};
use crate::confirm::Consent;
use crate::connect::{Access, Administrator};
use crate::credential::SecretArgs;
use crate::output::Format;
use crate::problem::{Exit, Problem};

/// Registers, changes and removes clients.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client create --name billing --grant client_credentials \\
    --scope orders:read orders:write
  tessera client list --name-contains bill")]
pub struct Client {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register a client; its generated secret is shown this once.
    Create(Box<Create>),
    /// Show a client.
    Get(Get),
    /// List clients.
    List(List),
    /// Change a client.
    Update(Box<update::Update>),
    /// Remove a client; its tokens become inactive for good.
    Delete(Delete),
    /// Let a client be used again.
    Enable(Enable),
    /// Refuse a client and make its tokens inactive.
    Disable(Disable),
    /// Make every token issued to a client so far inactive.
    RevokeTokens(RevokeTokens),
    /// Make the clients what a file says they are.
    Apply(apply::Apply),
    /// A client's secrets: rotate, list, delete.
    Secret(secret::Secret),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client create --name billing --grant client_credentials \\
    --scope orders:read -o json
  tessera client create --name spa --public --grant authorization_code \\
    --redirect-uri http://127.0.0.1/callback")]
struct Create {
    /// The name people see; unique.
    #[arg(long)]
    name: String,

    /// The identifier [default: chosen by the server].
    #[arg(long, value_name = "ID")]
    client_id: Option<ClientId>,

    /// What the client is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    application: Application,

    /// It cannot keep a secret: an application on a person's device.
    #[arg(long, conflicts_with_all = ["secret_stdin", "secret_file"])]
    public: bool,

    /// A secret to import instead of a generated one.
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client get demo-service
  tessera client get demo-service -o json | jq .scopes")]
struct Get {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client list
  tessera client list --disabled -o name")]
struct List {
    /// Only clients whose name contains this; the case of ASCII letters does not matter, that of others does.
    #[arg(long, value_name = "TEXT")]
    name_contains: Option<String>,

    /// Only clients of this organization, by name or id.
    #[arg(long, value_name = "ORG")]
    organization: Option<String>,

    /// Only clients of this user, by id, username or e-mail address.
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,

    /// Only clients that may be used.
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,

    /// Only clients that are refused.
    #[arg(long)]
    disabled: bool,

    /// How many at most [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client delete billing --dry-run
  tessera client delete billing --yes")]
struct Delete {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client enable billing
  tessera client enable billing -o json")]
struct Enable {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client disable billing
  tessera client disable billing --yes -o json")]
struct Disable {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client revoke-tokens billing
  tessera client revoke-tokens billing --yes -o json | jq -r .revision")]
struct RevokeTokens {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,

    #[command(flatten)]
    consent: Consent,
}

impl Client {
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
            Verb::RevokeTokens(verb) => verb.run(app).await,
            Verb::Apply(verb) => verb.run(app).await,
            Verb::Secret(verb) => verb.run(app).await,
        }
    }
}

/// The service, over the administrator's connection.
fn service(admin: &Administrator) -> ClientServiceClient<Channel> {
    ClientServiceClient::new(admin.channel())
}

async fn fetch(admin: &Administrator, client_id: &ClientId) -> Result<wire::Client, Problem> {
    let message = wire::GetClientRequest { client_id: client_id.to_string() };
    present(service(admin).get_client(admin.request(message)).await?.into_inner().client)
}

fn present(client: Option<wire::Client>) -> Result<wire::Client, Problem> {
    client.ok_or_else(|| Problem::internal("EMPTY_ANSWER", "the server answered without a client"))
}

impl Create {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let imported = self.secret.read(app.console)?;
        if app.format() == Format::Name && !self.public && imported.is_none() {
            return Err(Problem::usage("SECRET_WOULD_BE_LOST", "`-o name` does not show the generated secret")
                .hint("use -o json, or import a secret with --secret-stdin or --secret-file"));
        }
        let kind = if self.public { wire::ClientType::Public } else { wire::ClientType::Confidential };
        let mut client = wire::Client {
            client_id: self.client_id.map(|id| id.to_string()).unwrap_or_default(),
            name: self.name,
            description: self.description.unwrap_or_default(),
            r#type: kind.into(),
            ..wire::Client::default()
        };
        self.shape.apply(&mut client);
        let client_secret = imported.as_ref().map(|s| s.expose().to_owned()).unwrap_or_default();
        let admin = app.administrator(Access::Write).await?;
        self.application.apply(&admin, &mut client).await?;
        let message = wire::CreateClientRequest { client: Some(client), client_secret, disabled: false };
        let answer = service(&admin).create_client(admin.request(message)).await?.into_inner();
        let view = Changed {
            client: ClientView::from(present(answer.client)?),
            client_secret: PresentedSecret::new(answer.client_secret),
            revision: answer.revision,
        };
        if view.client_secret.is_some() {
            app.say("The secret is shown this once; keep it now.");
        }
        app.show(&view)
    }
}

impl Get {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let client = fetch(&admin, &self.client_id).await?;
        app.show(&ClientView::from(client))
    }
}

impl List {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let organization_id = match &self.organization {
            Some(which) => names::organization_id(&admin, which).await?,
            None => String::new(),
        };
        let owner_id = match &self.owner {
            Some(who) => names::user_id(&admin, who).await?,
            None => String::new(),
        };
        let mut pages = Pages::new(self.limit.and_then(|n| usize::try_from(n).ok()));
        let mut views: Vec<ClientView> = Vec::new();
        loop {
            let (page_size, page_token) = pages.ask();
            let message = wire::ListClientsRequest {
                page_size,
                page_token,
                name_contains: self.name_contains.clone().unwrap_or_default(),
                enabled: (self.enabled || self.disabled).then_some(self.enabled),
                organization_id: organization_id.clone(),
                owner_id: owner_id.clone(),
                confirmed: false,
            };
            let page = service(&admin).list_clients(admin.request(message)).await?.into_inner();
            let received = page.clients.len();
            views.extend(page.clients.into_iter().map(ClientView::from));
            if !pages.go_on(received, page.next_page_token) {
                break;
            }
        }
        if views.is_empty() {
            app.say("No clients.");
        }
        app.show(&views)
    }
}

impl Delete {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let client = fetch(&admin, &self.client_id).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("deleted", client.client_id));
        }
        let question =
            format!("Delete the client `{}` ({})? Its tokens become inactive for good.", client.client_id, client.name);
        self.consent.ask(&question, app.console)?;
        let message = wire::DeleteClientRequest { client_id: client.client_id.clone() };
        let answer = service(&admin).delete_client(admin.request(message)).await?.into_inner();
        app.show(&Done::did("deleted", client.client_id, Some(answer.revision)))
    }
}

impl Enable {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let message = wire::EnableClientRequest { client_id: self.client_id.to_string() };
        let answer = service(&admin).enable_client(admin.request(message)).await?.into_inner();
        app.say("Enabled. Tokens from before it was disabled stay inactive.");
        app.show(&Changed::without_secret(present(answer.client)?, answer.revision))
    }
}

impl Disable {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let client = fetch(&admin, &self.client_id).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("disabled", client.client_id));
        }
        let question = format!(
            "Disable the client `{}` ({})? Its tokens become inactive and stay so.",
            client.client_id, client.name
        );
        self.consent.ask(&question, app.console)?;
        let message = wire::DisableClientRequest { client_id: client.client_id };
        let answer = service(&admin).disable_client(admin.request(message)).await?.into_inner();
        app.show(&Changed::without_secret(present(answer.client)?, answer.revision))
    }
}

impl RevokeTokens {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        revoke_all(app, &self.client_id, self.consent).await
    }
}

/// Makes every token of a client inactive; also `token revoke --client`.
pub(super) async fn revoke_all(app: &mut App<'_>, client_id: &ClientId, consent: Consent) -> Result<Exit, Problem> {
    let admin = app.administrator(Access::Write).await?;
    let client = fetch(&admin, client_id).await?;
    if consent.dry_run {
        return app.show(&Done::would("revoked (every token)", client.client_id));
    }
    let question = format!("Make every token of the client `{}` ({}) inactive?", client.client_id, client.name);
    consent.ask(&question, app.console)?;
    let message = wire::RevokeClientTokensRequest { client_id: client.client_id.clone() };
    let answer = service(&admin).revoke_client_tokens(admin.request(message)).await?.into_inner();
    app.show(&Done::did("revoked (every token)", client.client_id, Some(answer.revision)))
}

/// A lifetime on the wire, in whole seconds.
fn seconds_of(span: Option<&prost_types::Duration>) -> Option<i64> {
    span.map(|s| s.seconds)
}

/// A span on the wire.
fn span(duration: Duration) -> prost_types::Duration {
    crate::seconds::to_wire(duration)
}
