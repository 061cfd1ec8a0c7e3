//! `tessera key export-jwks`.

use clap::Args;
use serde::Serialize;
use tessera_api::admin::v1 as wire;

use super::all;
use crate::app::App;
use crate::connect::Access;
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};

/// What `/oauth2/jwks` publishes, for whoever cannot fetch it: every key whose tokens are accepted, and the one that signs next.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key export-jwks > jwks.json
  tessera key export-jwks -o name")]
pub(super) struct ExportJwks {}

/// A JWK set (RFC 7517 section 5).
#[derive(Debug, Serialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

impl ExportJwks {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let mut published = all(&admin).await?;
        published.retain(|key| key.state() != wire::KeyState::Retired);
        published.sort_by(|a, b| a.key_id.cmp(&b.key_id));
        let keys = published.iter().map(|key| serde_json::from_str(&key.public_jwk)).collect::<Result<_, _>>();
        let keys = keys.map_err(|error| Problem::internal("MALFORMED_KEY", format!("a key is not JSON: {error}")))?;
        app.show(&JwkSet { keys })
    }
}

impl View for JwkSet {
    /// JSON in any case: nobody reads it but programs.
    fn table(&self) -> Table {
        Table::Text(serde_json::to_string(self).unwrap_or_default())
    }

    fn names(&self) -> Vec<String> {
        self.keys.iter().filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect()
    }
}
