//! `tessera client apply`: makes the clients what a file says they are. Said twice, it changes nothing the second time.
//!
//! The whole file is checked, with every name in it, before anything is changed. Deletions come first, then changes, then new clients,
//! so that a name that is given up can be taken.

pub mod file;
pub mod plan;
pub mod view;

use std::path::PathBuf;

use clap::Args;
use tessera_api::admin::v1 as wire;
use tessera_types::PresentedSecret;

use self::file::{Checked, Wanted};
use self::plan::{Plan, Step};
use self::view::StepView;
use super::service;
use crate::app::App;
use crate::commands::Pages;
use crate::confirm::Consent;
use crate::connect::{Access, Administrator};
use crate::output::Format;
use crate::problem::{Exit, Problem};

/// Makes the clients what a file says they are.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera client apply -f clients.toml --dry-run
  tessera client apply -f clients.toml --prune --yes -o json")]
pub struct Apply {
    /// The file: TOML with a [[client]] for each (docs/applications.md).
    #[arg(long, short = 'f', value_name = "PATH")]
    file: PathBuf,

    /// Delete the clients that the file does not name, but for those with reserved scopes: administrators and introspectors.
    #[arg(long)]
    prune: bool,

    #[command(flatten)]
    consent: Consent,
}

impl Apply {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let wanted = file::read(&self.file)?;
        if app.format() == Format::Name && !self.consent.dry_run && wanted.iter().any(Wanted::needs_a_secret) {
            return Err(Problem::usage("SECRET_WOULD_BE_LOST", "`-o name` does not show generated secrets")
                .hint("use -o json, or name a secret_file for each confidential client"));
        }
        let access = if self.consent.dry_run { Access::Read } else { Access::Write };
        let admin = app.administrator(access).await?;
        let checked = file::resolve(&admin, &self.file, wanted).await?;
        let plan = Plan::new(&self.file, checked, existing(&admin).await?, self.prune)?;
        if self.consent.dry_run {
            app.say(&format!("Would make {}.", plan.summary()));
            return app.show(&plan.views());
        }
        if let Some(question) = plan.question() {
            self.consent.ask(&question, app.console)?;
        }
        let mut views = Vec::with_capacity(plan.steps.len());
        for (number, step) in plan.steps.iter().enumerate() {
            if let Err(problem) = carry_out(&admin, step, &mut views).await {
                // What was made is shown all the same: generated secrets are shown this once.
                app.show(&views)?;
                let message = format!("{} of {} done, then: {}", number, plan.steps.len(), problem.message);
                return Err(Problem { message, ..problem });
            }
        }
        app.say(&format!("Made {}.", plan.summary()));
        app.show(&views)
    }
}

/// Every client there is.
async fn existing(admin: &Administrator) -> Result<Vec<wire::Client>, Problem> {
    let mut pages = Pages::new(None);
    let mut clients = Vec::new();
    loop {
        let (page_size, page_token) = pages.ask();
        let message = wire::ListClientsRequest { page_size, page_token, ..wire::ListClientsRequest::default() };
        let page = service(admin).list_clients(admin.request(message)).await?.into_inner();
        let received = page.clients.len();
        clients.extend(page.clients);
        if !pages.go_on(received, page.next_page_token) {
            return Ok(clients);
        }
    }
}

/// Does a step, and says so where there is something to show, even if it fails after that.
async fn carry_out(admin: &Administrator, step: &Step, views: &mut Vec<StepView>) -> Result<(), Problem> {
    match step {
        Step::Delete(client) => {
            let message = wire::DeleteClientRequest { client_id: client.client_id.clone() };
            service(admin).delete_client(admin.request(message)).await?;
        }
        Step::Update { after, fields, enable, .. } => {
            if !fields.is_empty() {
                let paths = fields.iter().map(|field| field.name.to_owned()).collect();
                let update_mask = Some(prost_types::FieldMask { paths });
                let message = wire::UpdateClientRequest { client: Some((**after).clone()), update_mask };
                service(admin).update_client(admin.request(message)).await?;
            }
            if let Some(enable) = enable {
                set_enabled(admin, &after.client_id, *enable).await?;
            }
        }
        Step::Create(checked) => return create(admin, checked, step, views).await,
    }
    views.push(step.view());
    Ok(())
}

/// One that shall be disabled is so from its first moment. A secret that was made is shown whatever happens then: nobody can ask for
/// it again.
async fn create(
    admin: &Administrator,
    checked: &Checked,
    step: &Step,
    views: &mut Vec<StepView>,
) -> Result<(), Problem> {
    let client_secret = checked.secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default();
    let message =
        wire::CreateClientRequest { client: Some(checked.client.clone()), client_secret, disabled: !checked.enabled };
    let answer = service(admin).create_client(admin.request(message)).await?.into_inner();
    views.push(StepView { client_secret: PresentedSecret::new(answer.client_secret), ..step.view() });
    Ok(())
}

async fn set_enabled(admin: &Administrator, client_id: &str, enabled: bool) -> Result<(), Problem> {
    let client_id = client_id.to_owned();
    if enabled {
        service(admin).enable_client(admin.request(wire::EnableClientRequest { client_id })).await?;
    } else {
        service(admin).disable_client(admin.request(wire::DisableClientRequest { client_id })).await?;
    }
    Ok(())
}
