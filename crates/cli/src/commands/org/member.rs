//! `tessera org member …`: who belongs to an organization.

use clap::{Args, Subcommand};
use serde::Serialize;
use tessera_api::admin::v1 as wire;

use super::service;
use crate::app::App;
use crate::commands::client::names;
use crate::commands::{Done, Pages};
use crate::connect::Access;
use crate::output::{ListedView, Table, View};
use crate::problem::{Exit, Problem};

/// Adds, removes and lists members.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org member add Acme ada
  tessera org member list Acme")]
pub struct Member {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a user a member.
    Add(Pair),
    /// End a membership; clients that the user owns stay theirs.
    Remove(Pair),
    /// List an organization's members by user id.
    List(List),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org member add Acme ada
  tessera org member remove Acme ada@example.test")]
struct Pair {
    /// The organization's name or id.
    #[arg(value_name = "ORG")]
    organization: String,

    /// The user's id, username or e-mail address.
    #[arg(value_name = "WHO")]
    who: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera org member list Acme
  tessera org member list Acme -o name")]
struct List {
    /// The organization's name or id.
    #[arg(value_name = "ORG")]
    organization: String,
}

/// A member.
#[derive(Debug, Serialize)]
struct MemberView {
    user_id: String,
}

impl View for MemberView {
    fn table(&self) -> Table {
        Table::Record(vec![("user id", self.user_id.clone())])
    }

    fn names(&self) -> Vec<String> {
        vec![self.user_id.clone()]
    }
}

impl ListedView for MemberView {
    const HEAD: &'static [&'static str] = &["USER ID"];

    fn row(&self) -> Vec<String> {
        vec![self.user_id.clone()]
    }
}

impl Member {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Add(pair) => pair.add(app).await,
            Verb::Remove(pair) => pair.remove(app).await,
            Verb::List(verb) => verb.run(app).await,
        }
    }
}

impl Pair {
    async fn add(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let organization_id = names::organization_id(&admin, &self.organization).await?;
        let user_id = names::user_id(&admin, &self.who).await?;
        let message = wire::AddOrganizationMemberRequest { organization_id, user_id };
        service(&admin).add_organization_member(admin.request(message)).await?;
        app.show(&Done::did("a member", self.who, None))
    }

    async fn remove(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let organization_id = names::organization_id(&admin, &self.organization).await?;
        let user_id = names::user_id(&admin, &self.who).await?;
        let message = wire::RemoveOrganizationMemberRequest { organization_id, user_id };
        service(&admin).remove_organization_member(admin.request(message)).await?;
        app.show(&Done::did("no member", self.who, None))
    }
}

impl List {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let organization_id = names::organization_id(&admin, &self.organization).await?;
        let mut pages = Pages::new(None);
        let mut views: Vec<MemberView> = Vec::new();
        loop {
            let (page_size, page_token) = pages.ask();
            let organization_id = organization_id.clone();
            let message = wire::ListOrganizationMembersRequest { organization_id, page_size, page_token };
            let page = service(&admin).list_organization_members(admin.request(message)).await?.into_inner();
            let received = page.user_ids.len();
            views.extend(page.user_ids.into_iter().map(|user_id| MemberView { user_id }));
            if !pages.go_on(received, page.next_page_token) {
                break;
            }
        }
        if views.is_empty() {
            app.say("No members.");
        }
        app.show(&views)
    }
}
