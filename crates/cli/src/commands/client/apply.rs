//! `tessera client apply`: makes the clients what a file says they are. Said twice, it changes nothing the second time.
//!
//! The whole file is checked, with every name in it, before anything is changed. Deletions come first, then changes, then new clients,
//! so that a name that is given up can be taken; also where two exchange theirs. It ends well only once every introspector has confirmed
//! what was changed: by this run, or by one before it that could not say so.

pub mod file;
mod order;
pub mod plan;
pub mod view;

use std::collections::HashMap;
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
        let mut etags = HashMap::new();
        for (number, step) in plan.steps.iter().enumerate() {
            if let Err(problem) = carry_out(&admin, step, &mut etags, &mut views).await {
                // What was made is shown all the same: generated secrets are shown this once.
                app.show(&views)?;
                let message = format!("{} of {} done, then: {}", number, plan.steps.len(), problem.message);
                return Err(Problem { message, ..problem });
            }
        }
        // A run before this one may have changed all there is, unconfirmed: to find nothing left to do confirms nothing.
        if !plan.confirms()
            && let Err(problem) = confirmed(&admin).await
        {
            app.show(&views)?;
            let message = format!("the clients are what the file says, but: {}", problem.message);
            return Err(Problem { message, ..problem });
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

/// Waits until every introspector has confirmed whatever was changed so far.
async fn confirmed(admin: &Administrator) -> Result<(), Problem> {
    let message = wire::ListClientsRequest { page_size: 1, confirmed: true, ..wire::ListClientsRequest::default() };
    service(admin).list_clients(admin.request(message)).await?;
    Ok(())
}

/// Does a step, and says so where there is something to show, even if it fails after that.
async fn carry_out(
    admin: &Administrator,
    step: &Step,
    etags: &mut HashMap<String, String>,
    views: &mut Vec<StepView>,
) -> Result<(), Problem> {
    match step {
        Step::Delete(client) => {
            let message = wire::DeleteClientRequest { client_id: client.client_id.clone() };
            service(admin).delete_client(admin.request(message)).await?;
        }
        Step::Update { after, fields, enable, .. } => {
            if !fields.is_empty() {
                // Of one that stepped aside, as that left it.
                let etag = etags.remove(&after.client_id).unwrap_or_else(|| after.etag.clone());
                let names = fields.iter().map(|field| field.name);
                update(admin, wire::Client { etag, ..(**after).clone() }, names).await?;
            }
            if let Some(enable) = enable {
                set_enabled(admin, &after.client_id, *enable).await?;
            }
        }
        Step::Aside { before, name } => {
            let renamed = wire::Client { name: name.clone(), ..(**before).clone() };
            let after = update(admin, renamed, ["name"]).await?;
            etags.insert(after.client_id, after.etag);
        }
        Step::Create(checked) => return create(admin, checked, step, views).await,
    }
    views.push(step.view());
    Ok(())
}

/// Changes the fields of a client that have these names.
async fn update(
    admin: &Administrator,
    client: wire::Client,
    fields: impl IntoIterator<Item = &'static str>,
) -> Result<wire::Client, Problem> {
    let paths = fields.into_iter().map(str::to_owned).collect();
    let message =
        wire::UpdateClientRequest { client: Some(client), update_mask: Some(prost_types::FieldMask { paths }) };
    Ok(service(admin).update_client(admin.request(message)).await?.into_inner().client.unwrap_or_default())
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
