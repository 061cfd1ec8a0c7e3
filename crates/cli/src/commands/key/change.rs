//! `tessera key rotate`, `promote` and `retire`.

use clap::Args;
use tessera_api::admin::v1 as wire;

use super::view::{KeyView, state_word};
use super::{all, service};
use crate::app::App;
use crate::commands::Done;
use crate::confirm::Consent;
use crate::connect::{Access, Administrator};
use crate::problem::{Exit, Problem};

/// What is asked before a key signs that others may not know.
const RISK: &str = "Resource servers that keep the key set may not know the key, and refuse its tokens until they fetch the keys again.";

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key rotate
  tessera key rotate --now --yes")]
pub(super) struct Rotate {
    /// Let the new key, or the one that waits already, sign as soon as every introspector knows it: for an emergency. Resource servers
    /// that keep the key set may refuse its tokens until they fetch the keys again.
    #[arg(long)]
    now: bool,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key promote
  tessera key promote 3vqN2cpB1dGmRzV1nO8yQm0uUjWQy1bJm1b3a6mWw6E --now --yes")]
pub(super) struct Promote {
    /// The key's id [default: the key in the state next].
    #[arg(value_name = "KEY_ID", allow_hyphen_values = true)]
    key_id: Option<String>,

    /// Do not wait until the key has been published for `[keys] publish_for`. Resource servers that keep the key set may refuse its tokens
    /// until they fetch the keys again.
    #[arg(long)]
    now: bool,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera key retire 3vqN2cpB1dGmRzV1nO8yQm0uUjWQy1bJm1b3a6mWw6E --dry-run
  tessera key retire 3vqN2cpB1dGmRzV1nO8yQm0uUjWQy1bJm1b3a6mWw6E --yes")]
pub(super) struct Retire {
    /// The key's id, as `list` shows it.
    #[arg(value_name = "KEY_ID", allow_hyphen_values = true)]
    key_id: String,

    #[command(flatten)]
    consent: Consent,
}

impl Rotate {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        if self.consent.dry_run {
            let waiting = all(&admin).await?.into_iter().find(|key| key.state() == wire::KeyState::Next);
            return match (waiting, self.now) {
                (Some(key), true) => app.show(&Done::would("promoted", key.key_id)),
                (Some(key), false) => Err(next_exists(&key.key_id)),
                (None, _) => app.show(&Done::would("published", "a new key".to_owned())),
            };
        }
        if self.now {
            self.consent.ask(&format!("{RISK} Go on?"), app.console)?;
        }
        let message = wire::RotateKeyRequest { promote_now: self.now };
        let answer = service(&admin).rotate_key(admin.request(message)).await?.into_inner();
        let view = KeyView::changed(answer.key, answer.revision);
        match view.change_time() {
            Some(at) if !self.now => app.say(&format!("Published. It signs by itself from {at} on.")),
            _ => app.say("It signs. The key before it is retiring: its tokens stay good until it is retired."),
        }
        app.show(&view)
    }
}

impl Promote {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        if self.consent.dry_run {
            let keys = all(&admin).await?;
            let key = match &self.key_id {
                Some(id) => found(keys, id)?,
                None => keys.into_iter().find(|key| key.state() == wire::KeyState::Next).ok_or_else(|| {
                    Problem::conflict("NO_NEXT_KEY", "no key waits to sign").hint("tessera key rotate")
                })?,
            };
            return app.show(&Done::would("promoted", key.key_id));
        }
        if self.now {
            self.consent.ask(&format!("{RISK} Go on?"), app.console)?;
        }
        let message = wire::PromoteKeyRequest { key_id: self.key_id.unwrap_or_default(), now: self.now };
        let answer = service(&admin).promote_key(admin.request(message)).await?.into_inner();
        app.show(&KeyView::changed(answer.key, answer.revision))
    }
}

impl Retire {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let key = self.key(&admin).await?;
        if key.state() == wire::KeyState::Active {
            return Err(Problem::conflict("KEY_ACTIVE", "this key signs, and something has to")
                .hint("tessera key rotate --now, then retire this one; with keys from files, put another pair there, and promote it --now"));
        }
        if self.consent.dry_run {
            return app.show(&Done::would("retired", key.key_id));
        }
        let question = format!(
            "The key is {}. Every token it has signed is inactive from now on, and it never comes back. Go on?",
            state_word(key.state())
        );
        self.consent.ask(&question, app.console)?;
        let message = wire::RetireKeyRequest { key_id: key.key_id };
        let answer = service(&admin).retire_key(admin.request(message)).await?.into_inner();
        app.show(&KeyView::changed(answer.key, answer.revision))
    }

    async fn key(&self, admin: &Administrator) -> Result<wire::Key, Problem> {
        found(all(admin).await?, &self.key_id)
    }
}

fn found(keys: Vec<wire::Key>, id: &str) -> Result<wire::Key, Problem> {
    keys.into_iter()
        .find(|key| key.key_id == id)
        .ok_or_else(|| Problem::not_found("KEY_NOT_FOUND", format!("there is no key `{id}`")).hint("tessera key list"))
}

fn next_exists(key: &str) -> Problem {
    Problem::conflict("NEXT_KEY_EXISTS", format!("the key `{key}` waits to sign already"))
        .hint(format!("tessera key promote, or tessera key retire {key} to have another made"))
}
