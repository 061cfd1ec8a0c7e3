//! `tessera client secret …`: a client may have two live secrets, so that rotation needs no outage.

use std::time::Duration;

use clap::{Args, Subcommand};
use tessera_api::admin::v1 as wire;
use tessera_types::{ClientId, PresentedSecret, Timestamp};

use super::service;
use super::view::{NewSecret, SecretView};
use crate::app::App;
use crate::commands::Done;
use crate::confirm::Consent;
use crate::connect::{Access, Administrator};
use crate::output::Format;
use crate::problem::{Exit, Problem};
use crate::seconds;

/// Rotates, lists and deletes a client's secrets.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client secret rotate billing -o json
  tessera client secret list billing")]
pub struct Secret {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a further secret, shown this once, and give the one in use an end.
    Rotate(Rotate),
    /// List what is known of the secrets, never their values.
    List(List),
    /// End a secret at once.
    Delete(Delete),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client secret rotate billing
  tessera client secret rotate billing --overlap 0 --yes -o json \\
    | jq -r .client_secret")]
struct Rotate {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,

    /// How long the secret in use, the one used last, goes on working [default: 24h]. Any other ends at once.
    #[arg(long, value_name = "SPAN", value_parser = seconds::parse)]
    overlap: Option<Duration>,

    /// When the new secret stops working, from now [default: never].
    #[arg(long, value_name = "SPAN", value_parser = seconds::parse)]
    expires_in: Option<Duration>,

    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client secret list billing
  tessera client secret list billing -o name")]
struct List {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client secret delete billing \\
    0198c1f2-6d1c-7c57-b1c9-7a52a8a3b0de --dry-run
  tessera client secret delete billing \\
    0198c1f2-6d1c-7c57-b1c9-7a52a8a3b0de --yes")]
struct Delete {
    /// The client's id.
    #[arg(value_name = "ID")]
    client_id: ClientId,

    /// The secret's id, as `list` shows it.
    #[arg(value_name = "SECRET_ID")]
    secret_id: String,

    #[command(flatten)]
    consent: Consent,
}

impl Secret {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        match self.verb {
            Verb::Rotate(verb) => verb.run(app).await,
            Verb::List(verb) => verb.run(app).await,
            Verb::Delete(verb) => verb.run(app).await,
        }
    }
}

impl Rotate {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        if app.format() == Format::Name {
            return Err(Problem::usage("SECRET_WOULD_BE_LOST", "`-o name` does not show the generated secret")
                .hint("use -o json"));
        }
        let admin = app.administrator(Access::Write).await?;
        if self.consent.dry_run {
            let client = super::fetch(&admin, &self.client_id).await?;
            return app.show(&Done::would("given a further secret", client.client_id));
        }
        if self.overlap == Some(Duration::ZERO) {
            let question = format!("The secrets that `{}` uses now stop working at once. Go on?", self.client_id);
            self.consent.ask(&question, app.console)?;
        } else if let Some((ends, stays)) = two_live(&admin, &self.client_id, app.clock.now()).await? {
            let question = format!(
                "`{}` has two live secrets, and no more than two may live: {ends} stops working at once, and {stays}, which is the one in use as far as is known, goes on for the overlap. Go on?",
                self.client_id
            );
            self.consent.ask(&question, app.console)?;
        }
        let expire_time =
            self.expires_in.map(|span| prost_types::Timestamp { seconds: app.clock.now().plus(span).0, nanos: 0 });
        let message = wire::RotateClientSecretRequest {
            client_id: self.client_id.to_string(),
            overlap: self.overlap.map(seconds::to_wire),
            expire_time,
        };
        let answer = service(&admin).rotate_client_secret(admin.request(message)).await?.into_inner();
        let view = NewSecret {
            client_id: self.client_id.to_string(),
            client_secret: PresentedSecret::new(answer.client_secret),
            secret: SecretView::from(answer.secret.unwrap_or_default()),
            revision: answer.revision,
            confirmed: answer.confirmed,
        };
        if !view.confirmed {
            app.say("Not every introspector has confirmed it yet: one may accept an ended secret a little longer.");
        }
        app.say("The secret is shown this once; keep it now.");
        app.show(&view)
    }
}

/// Of a client's live secrets, where there are two: which one a further one would end, and which would go on. The one that was used last
/// goes on, and where none was, the older.
async fn two_live(
    admin: &Administrator,
    client: &ClientId,
    now: Timestamp,
) -> Result<Option<(String, String)>, Problem> {
    let lives = |secret: &wire::ClientSecret| secret.expire_time.as_ref().is_none_or(|at| now.0 < at.seconds);
    let mut live = secrets(admin, client).await?.into_iter().filter(lives);
    let (Some(newer), Some(older)) = (live.next(), live.next()) else { return Ok(None) };
    let used = |secret: &wire::ClientSecret| secret.last_used_time.as_ref().map(|at| at.seconds);
    let newer_stays = used(&newer).is_some() && used(&newer) >= used(&older);
    let (ends, stays) = if newer_stays { (older, newer) } else { (newer, older) };
    Ok(Some((ends.secret_id, stays.secret_id)))
}

/// What is known of a client's secrets, the newest first.
async fn secrets(admin: &Administrator, client: &ClientId) -> Result<Vec<wire::ClientSecret>, Problem> {
    let message = wire::ListClientSecretsRequest { client_id: client.to_string() };
    Ok(service(admin).list_client_secrets(admin.request(message)).await?.into_inner().secrets)
}

impl List {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Read).await?;
        let views: Vec<SecretView> =
            secrets(&admin, &self.client_id).await?.into_iter().map(SecretView::from).collect();
        if views.is_empty() {
            app.say("No secrets.");
        }
        app.show(&views)
    }
}

impl Delete {
    async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let admin = app.administrator(Access::Write).await?;
        let client_id = self.client_id.to_string();
        let message = wire::ListClientSecretsRequest { client_id: client_id.clone() };
        let known = service(&admin).list_client_secrets(admin.request(message)).await?.into_inner().secrets;
        if !known.iter().any(|s| s.secret_id == self.secret_id) {
            let missing = format!("the client `{client_id}` has no secret `{}`", self.secret_id);
            return Err(
                Problem::not_found("NO_SUCH_SECRET", missing).hint(format!("tessera client secret list {client_id}"))
            );
        }
        if self.consent.dry_run {
            return app.show(&Done::would("deleted", self.secret_id));
        }
        let last =
            if known.len() == 1 { " It is the only one: the client cannot authenticate without it." } else { "" };
        let question = format!("Delete the secret `{}` of `{client_id}`?{last}", self.secret_id);
        self.consent.ask(&question, app.console)?;
        let message = wire::DeleteClientSecretRequest { client_id, secret_id: self.secret_id.clone() };
        let answer = service(&admin).delete_client_secret(admin.request(message)).await?.into_inner();
        app.show(&Done::did("deleted", self.secret_id, Some(answer.revision)))
    }
}
