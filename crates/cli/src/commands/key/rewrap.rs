//! `tessera key rewrap`.

use clap::Args;
use serde::Serialize;
use tessera_api::admin::v1 as wire;

use super::service;
use crate::app::App;
use crate::connect::Access;
use crate::output::{Table, View};
use crate::problem::{Exit, Problem};

/// Every issuer must have the first key-encryption key before: each needs it at its next start. To repeat it does nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key rewrap
  tessera key rewrap -o json")]
pub(super) struct Rewrap {}

/// What was sealed anew.
#[derive(Debug, Serialize)]
struct Outcome {
    rewrapped: i32,
    total: i32,
    kek_id: String,
}

impl Rewrap {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let answer = service(&admin).rewrap_keys(admin.request(wire::RewrapKeysRequest {})).await?.into_inner();
        app.say("Nothing needs the files in [secrets] old_kek_files any more; backups from before still do.");
        app.show(&Outcome { rewrapped: answer.rewrapped, total: answer.total, kek_id: answer.kek_id })
    }
}

impl View for Outcome {
    fn table(&self) -> Table {
        let Self { rewrapped, total, kek_id } = self;
        Table::Text(format!("{rewrapped} of {total} sealed anew; all of it is under the key-encryption key {kek_id}"))
    }

    fn names(&self) -> Vec<String> {
        vec![self.kek_id.clone()]
    }
}
