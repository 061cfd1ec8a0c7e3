//! `tessera audit …`: who changed, revoked or signed in, or failed to.

mod filter;
mod tail;
mod view;

use clap::{Args, Subcommand};
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::audit_service_client::AuditServiceClient;
use tonic::transport::Channel;

use self::filter::Filter;
use self::view::RecordView;
use crate::app::App;
use crate::commands::Pages;
use crate::connect::{Access, Administrator};
use crate::problem::{Exit, Problem};

/// Shows who changed, revoked or signed in, or failed to.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera audit list --action client.disable --since 12h
  tessera audit tail -f --outcome refused")]
pub struct Audit {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List records, the newest first.
    List(List),
    /// Show the newest records, and follow what comes; with `-o json` each is one line.
    Tail(tail::Tail),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera audit list --target orders --since 2026-11-26T02:00:00Z
  tessera audit list --action user.login --outcome refused --since 1h -o json")]
struct List {
    #[command(flatten)]
    filter: Filter,

    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Audit {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::List(verb) => verb.run(app).await,
            Verb::Tail(verb) => verb.run(app).await,
        }
    }
}

/// The service, over the administrator's connection.
fn service(admin: &Administrator) -> AuditServiceClient<Channel> {
    AuditServiceClient::new(admin.channel())
}

impl List {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let wanted = self.filter.request(app.clock.now());
        let admin = app.administrator(Access::Read).await?;
        let mut pages = Pages::new(usize::try_from(self.limit).ok());
        let mut views: Vec<RecordView> = Vec::new();
        loop {
            let (page_size, page_token) = pages.ask();
            let message = wire::ListAuditRecordsRequest { page_size, page_token, ..wanted.clone() };
            let page = service(&admin).list_audit_records(admin.request(message)).await?.into_inner();
            let received = page.records.len();
            views.extend(page.records.into_iter().map(RecordView::from));
            if !pages.go_on(received, page.next_page_token) {
                break;
            }
        }
        if views.is_empty() {
            app.say("No records.");
        }
        app.show(&views)
    }
}
