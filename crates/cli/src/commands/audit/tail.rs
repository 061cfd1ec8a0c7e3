//! `tessera audit tail`: the newest records, and those that come.

use std::time::Duration;

use clap::Args;
use tessera_api::admin::v1 as wire;
use tessera_kit::serve;
use tonic::Code;

use super::filter::Filter;
use super::service;
use super::view::RecordView;
use crate::app::App;
use crate::connect::{Access, Administrator};
use crate::output::Format;
use crate::problem::{Exit, Problem};

/// How often is asked for what came.
const EVERY: Duration = Duration::from_secs(1);

/// What is recorded of a restore.
const RESTORED: &str = "database.restored";

/// How many are asked for at once.
const PAGE: i32 = 500;

/// Shows the newest records, the oldest of them first.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera audit tail -n 50
  tessera audit tail -f --action client -o json | jq .actor")]
pub(super) struct Tail {
    #[command(flatten)]
    filter: Filter,

    /// Go on with what comes, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,

    /// How many of those there are already.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1000))]
    lines: u32,
}

impl Tail {
    pub(super) async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        let wanted = self.filter.request(app.clock.now());
        let admin = app.administrator(Access::Read).await?;
        // Where the end is comes first: what is recorded meanwhile is shown twice by nobody, and missed by nobody.
        let end = newest(&admin, wire::ListAuditRecordsRequest::default(), 1).await?;
        let after_id = end.first().map_or(0, |record| record.record_id);
        if self.lines > 0 {
            let lines = i32::try_from(self.lines).unwrap_or(PAGE);
            let mut records = newest(&admin, wanted.clone(), lines).await?;
            records.retain(|record| record.record_id <= after_id);
            for record in records.into_iter().rev() {
                line(app, record)?;
            }
        }
        if !self.follow {
            return Ok(Exit::Ok);
        }
        tokio::select! {
            stopped = serve::terminated() => {
                stopped.map(|()| Exit::Ok).map_err(|error| Problem::internal("SIGNALS", error.to_string()))
            }
            ended = follow(app, admin, wire::ListAuditRecordsRequest { after_id, ..wanted }) => ended,
        }
    }
}

async fn newest(
    admin: &Administrator,
    wanted: wire::ListAuditRecordsRequest,
    page_size: i32,
) -> Result<Vec<wire::AuditRecord>, Problem> {
    let message = wire::ListAuditRecordsRequest { page_size, ..wanted };
    Ok(service(admin).list_audit_records(admin.request(message)).await?.into_inner().records)
}

/// The newest record of a restore, with its time: what tells one restore from another.
async fn last_restore(admin: &Administrator) -> Result<Option<(u64, Option<prost_types::Timestamp>)>, Problem> {
    let wanted = wire::ListAuditRecordsRequest { action: RESTORED.to_owned(), ..Default::default() };
    let found = newest(admin, wanted, 1).await?.pop();
    Ok(found.map(|record| (record.record_id, record.time)))
}

/// Shows what comes. An issuer that is away is waited for: what it records is shown when it is back. A database that was restored counts
/// on from where its backup ended: what comes from there on has numbers that were seen before, and is shown.
async fn follow(
    app: &mut App<'_>,
    mut admin: Administrator,
    mut wanted: wire::ListAuditRecordsRequest,
) -> Result<Exit, Problem> {
    wanted.order = wire::AuditOrder::OldestFirst.into();
    wanted.page_size = PAGE;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut restored = last_restore(&admin).await?;
    // The issuer was out of sight for a while.
    let (mut away, mut lost_sight) = (false, false);
    loop {
        ticks.tick().await;
        if lost_sight && let Ok(last) = last_restore(&admin).await {
            if let Some((id, _)) = last.filter(|_| last != restored)
                && id <= wanted.after_id
            {
                app.say("The database was restored: what came after the backup is gone from it, and its numbers are given again.");
                wanted.after_id = id.saturating_sub(1);
            }
            (restored, lost_sight) = (last, false);
        }
        let answer = service(&admin).list_audit_records(admin.request(wanted.clone())).await;
        match answer {
            // Not before it is known where its numbers begin.
            Ok(_) if lost_sight => away = false,
            Ok(page) => {
                away = false;
                let page = page.into_inner();
                if !page.next_page_token.is_empty() {
                    ticks.reset_immediately();
                }
                for record in page.records {
                    wanted.after_id = record.record_id;
                    line(app, record)?;
                }
            }
            // The token lives for minutes, and whoever follows for days.
            Err(status) if status.code() == Code::Unauthenticated => {
                lost_sight = true;
                match app.administrator(Access::Read).await {
                    Ok(again) => admin = again,
                    Err(problem) if problem.exit == Exit::Unavailable => {}
                    Err(problem) => return Err(problem),
                }
            }
            Err(status) if is_away(status.code()) => {
                if !away {
                    app.say("The issuer is away; waiting for it.");
                }
                (away, lost_sight) = (true, true);
            }
            Err(status) => return Err(status.into()),
        }
    }
}

/// Whether the issuer is gone for now. One that is killed in the midst of a call leaves an error that has no code of its own.
const fn is_away(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown)
}

/// One record, one line, or one document.
fn line(app: &mut App<'_>, record: wire::AuditRecord) -> Result<(), Problem> {
    let view = RecordView::from(record);
    let text = match app.format() {
        Format::Table => view.line(),
        Format::Json => serde_json::to_string(&view)
            .map(|json| json + "\n")
            .map_err(|error| Problem::internal("OUTPUT", format!("cannot write: {error}")))?,
        Format::Yaml => "---\n".to_owned() + &crate::output::render(&view, Format::Yaml)?,
        Format::Name => crate::output::render(&view, Format::Name)?,
    };
    app.console.out(&text)
}
