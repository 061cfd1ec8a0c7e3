//! `tessera key …`: signing keys.

use clap::{Args, Subcommand};
use serde::Serialize;
use tessera_api::admin::v1 as wire;
use tessera_api::admin::v1::key_service_client::KeyServiceClient;

use crate::app::App;
use crate::commands::Pages;
use crate::connect::{Access, Administrator};
use crate::output::{ListedView, Table, View, moment};
use crate::problem::{Exit, Problem};

/// Shows the signing keys.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key list
  tessera key list -o json | jq '.[] | select(.state == \"active\")'")]
pub struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the keys, never their private parts.
    List(List),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key list
  tessera key list -o name")]
struct List {}

/// A signing key.
#[derive(Debug, Serialize)]
pub struct KeyView {
    key_id: String,
    algorithm: String,
    state: &'static str,
    create_time: Option<String>,
    /// The public key (RFC 7517), as an object where it is one.
    public_jwk: serde_json::Value,
}

impl From<wire::Key> for KeyView {
    fn from(key: wire::Key) -> Self {
        Self {
            state: state_word(key.state()),
            create_time: moment(key.create_time.as_ref()),
            public_jwk: serde_json::from_str(&key.public_jwk).unwrap_or(serde_json::Value::String(key.public_jwk)),
            key_id: key.key_id,
            algorithm: key.algorithm,
        }
    }
}

pub(super) const fn state_word(state: wire::KeyState) -> &'static str {
    match state {
        wire::KeyState::Next => "next",
        wire::KeyState::Active => "active",
        wire::KeyState::Retiring => "retiring",
        wire::KeyState::Retired => "retired",
        wire::KeyState::Unspecified => "unknown",
    }
}

impl View for KeyView {
    fn table(&self) -> Table {
        Table::List(Self::HEAD.to_vec(), vec![self.row()])
    }

    fn names(&self) -> Vec<String> {
        vec![self.key_id.clone()]
    }
}

impl ListedView for KeyView {
    const HEAD: &'static [&'static str] = &["KEY ID", "ALGORITHM", "STATE", "CREATED"];

    fn row(&self) -> Vec<String> {
        let created = self.create_time.clone().unwrap_or_default();
        vec![self.key_id.clone(), self.algorithm.clone(), self.state.into(), created]
    }
}

impl Key {
    /// Runs the verb.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let Verb::List(List {}) = self.verb;
        let admin = app.administrator(Access::Read).await?;
        let views: Vec<KeyView> = all(&admin).await?.into_iter().map(KeyView::from).collect();
        if views.is_empty() {
            app.say("No keys.");
        }
        app.show(&views)
    }
}

/// Every key there is.
pub(super) async fn all(admin: &Administrator) -> Result<Vec<wire::Key>, Problem> {
    let mut service = KeyServiceClient::new(admin.channel());
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
