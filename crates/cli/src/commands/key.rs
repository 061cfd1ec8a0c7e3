//! `tessera key …`: signing keys, and the key-encryption keys that they rest under.

mod change;
mod jwks;
mod rewrap;
mod view;

use clap::{Args, Subcommand};
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::key_service_client::KeyServiceClient;
use tonic::transport::Channel;

use self::change::{Promote, Retire, Rotate};
use self::jwks::ExportJwks;
use self::rewrap::Rewrap;
use self::view::KeyView;
pub(super) use self::view::state_word;
use crate::app::App;
use crate::commands::Pages;
use crate::connect::{Access, Administrator};
use crate::problem::{Exit, Problem};

/// Shows, exchanges and puts away the signing keys.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key list
  tessera key rotate")]
pub struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the keys, never their private parts.
    List(List),
    /// Publish a new key, which then signs by itself.
    Rotate(Rotate),
    /// Let a published key sign, in the place of the one that does.
    Promote(Promote),
    /// Put a key away: its tokens are inactive everywhere.
    Retire(Retire),
    /// Print the published keys as a JWK set (RFC 7517).
    ExportJwks(ExportJwks),
    /// Seal everything under the first key-encryption key, so that it alone is needed.
    Rewrap(Rewrap),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key list
  tessera key list -o json | jq '.[] | select(.state == \"active\")'")]
struct List {}

impl Key {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::List(verb) => verb.run(app).await,
            Verb::Rotate(verb) => verb.run(app).await,
            Verb::Promote(verb) => verb.run(app).await,
            Verb::Retire(verb) => verb.run(app).await,
            Verb::ExportJwks(verb) => verb.run(app).await,
            Verb::Rewrap(verb) => verb.run(app).await,
        }
    }
}

impl List {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let views: Vec<KeyView> = all(&admin).await?.into_iter().map(KeyView::from).collect();
        if views.is_empty() {
            app.say("No keys.");
        }
        app.show(&views)
    }
}

fn service(admin: &Administrator) -> KeyServiceClient<Channel> {
    KeyServiceClient::new(admin.channel())
}

/// Every key there is.
pub(super) async fn all(admin: &Administrator) -> Result<Vec<wire::Key>, Problem> {
    let mut service = service(admin);
    let mut pages = Pages::new(None);
    let mut keys = Vec::new();
    loop {
        let (page_size, page_token) = pages.ask();
        let message = wire::ListKeysRequest { page_size, page_token };
        let page = service.list_keys(admin.request(message)).await?.into_inner();
        let received = page.keys.len();
        keys.extend(page.keys);
        if !pages.go_on(received, page.next_page_token) {
            return Ok(keys);
        }
    }
}
