//! `tessera user …`: people who sign in.

pub mod create;
pub mod password;
pub mod update;
pub mod view;

use clap::{Args, Subcommand};
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::user_service_client::UserServiceClient;
use tonic::transport::Channel;

use self::view::{Changed, UserView};
use crate::app::App;
use crate::commands::{Done, Pages};
use crate::confirm::Consent;
use crate::connect::{Access, Administrator};
use crate::problem::{Exit, Problem};

/// Registers, changes and removes users.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user create --username ada --email ada@example.test
  tessera user list --contains ada")]
pub struct User {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Register a user, with a password or the hash of one from another system.
    Create(create::Create),
    /// Show a user.
    Get(Get),
    /// List users.
    List(List),
    /// Change what a user is called.
    Update(update::Update),
    /// Remove a user; their tokens become inactive for good.
    Delete(Delete),
    /// Let a user sign in again.
    Enable(Enable),
    /// Refuse a user, end their sessions and make their tokens inactive.
    Disable(Disable),
    /// Change a user's password, end their sessions and make their tokens inactive.
    Password(password::Password),
    /// End a user's sessions and make every token issued for them so far inactive.
    Revoke(Revoke),
}

/// A user, as people name one.
#[derive(Args, Debug)]
struct Who {
    /// The user's id, username or e-mail address.
    #[arg(value_name = "WHO")]
    who: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user get ada
  tessera user get ada@example.test -o json | jq -r .user_id")]
struct Get {
    #[command(flatten)]
    who: Who,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user list
  tessera user list --contains example.test --disabled -o name")]
struct List {
    /// Only users whose username, name or e-mail address contains this; the case of ASCII letters does not matter.
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,

    /// Only users who may sign in.
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,

    /// Only users who are refused.
    #[arg(long)]
    disabled: bool,

    /// How many at most [default: all].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user delete ada --dry-run
  tessera user delete ada --yes")]
struct Delete {
    #[command(flatten)]
    who: Who,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user enable ada
  tessera user enable ada@example.test -o json")]
struct Enable {
    #[command(flatten)]
    who: Who,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user disable ada
  tessera user disable ada --yes -o json")]
struct Disable {
    #[command(flatten)]
    who: Who,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera user revoke ada
  tessera user revoke ada --yes -o json | jq -r .revision")]
struct Revoke {
    #[command(flatten)]
    who: Who,

    #[command(flatten)]
    consent: Consent,
}

impl User {
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
            Verb::Password(verb) => verb.run(app).await,
            Verb::Revoke(verb) => verb.run(app).await,
        }
    }
}

/// The service, over the administrator's connection.
fn service(admin: &Administrator) -> UserServiceClient<Channel> {
    UserServiceClient::new(admin.channel())
}

/// The user who is meant. Changes name their user by the identifier, which stays theirs whatever they are called meanwhile.
async fn fetch(admin: &Administrator, who: &str) -> Result<wire::User, Problem> {
    let message = wire::GetUserRequest { user: who.to_owned() };
    present(service(admin).get_user(admin.request(message)).await?.into_inner().user)
}

fn present(user: Option<wire::User>) -> Result<wire::User, Problem> {
    user.ok_or_else(|| Problem::internal("EMPTY_ANSWER", "the server answered without a user"))
}

impl Get {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let user = fetch(&admin, &self.who.who).await?;
        app.show(&UserView::from(user))
    }
}

impl List {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let mut pages = Pages::new(self.limit.and_then(|n| usize::try_from(n).ok()));
        let mut views: Vec<UserView> = Vec::new();
        loop {
            let (page_size, page_token) = pages.ask();
            let message = wire::ListUsersRequest {
                page_size,
                page_token,
                contains: self.contains.clone().unwrap_or_default(),
                enabled: (self.enabled || self.disabled).then_some(self.enabled),
            };
            let page = service(&admin).list_users(admin.request(message)).await?.into_inner();
            let received = page.users.len();
            views.extend(page.users.into_iter().map(UserView::from));
            if !pages.go_on(received, page.next_page_token) {
                break;
            }
        }
        if views.is_empty() {
            app.say("No users.");
        }
        app.show(&views)
    }
}

impl Delete {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let user = fetch(&admin, &self.who.who).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("deleted", user.username));
        }
        let question =
            format!("Delete the user `{}` ({})? Their tokens become inactive for good.", user.username, user.user_id);
        self.consent.ask(&question, app.console)?;
        let message = wire::DeleteUserRequest { user_id: user.user_id };
        let answer = service(&admin).delete_user(admin.request(message)).await?.into_inner();
        app.show(&Done::did("deleted", user.username, Some(answer.revision)))
    }
}

impl Enable {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let user_id = fetch(&admin, &self.who.who).await?.user_id;
        let message = wire::EnableUserRequest { user_id };
        let answer = service(&admin).enable_user(admin.request(message)).await?.into_inner();
        app.say("Enabled. Tokens and sessions from before stay dead.");
        app.show(&UserView::from(present(answer.user)?))
    }
}

impl Disable {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let user = fetch(&admin, &self.who.who).await?;
        if self.consent.dry_run {
            return app.show(&Done::would("disabled", user.username));
        }
        let question = format!(
            "Disable the user `{}` ({})? Their sessions end, and their tokens become inactive and stay so.",
            user.username, user.user_id
        );
        self.consent.ask(&question, app.console)?;
        let message = wire::DisableUserRequest { user_id: user.user_id };
        let answer = service(&admin).disable_user(admin.request(message)).await?.into_inner();
        app.show(&Changed { user: present(answer.user)?.into(), revision: answer.revision })
    }
}

impl Revoke {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        revoke_all(app, &self.who.who, self.consent).await
    }
}

/// Makes every token of a user inactive; also `token revoke --user`.
pub(super) async fn revoke_all(app: &mut App<'_>, who: &str, consent: Consent) -> Result<Exit, Problem> {
    let admin = app.administrator(Access::Write).await?;
    let user = fetch(&admin, who).await?;
    if consent.dry_run {
        return app.show(&Done::would("revoked (every token)", user.username));
    }
    let question =
        format!("End the sessions of the user `{}` ({}) and make their tokens inactive?", user.username, user.user_id);
    consent.ask(&question, app.console)?;
    let message = wire::RevokeUserTokensRequest { user_id: user.user_id };
    let answer = service(&admin).revoke_user_tokens(admin.request(message)).await?.into_inner();
    app.show(&Done::did("revoked (every token)", user.username, Some(answer.revision)))
}
