//! `tessera.admin.v1.AuditService`.

use tessera_api::admin::v1::audit_service_server::AuditService;
use tessera_api::admin::v1::{self as api};
use tessera_store::{AuditFilter, AuditRecord, Outcome, Party};
use tessera_types::Timestamp;
use tessera_types::scope::reserved;
use tonic::{Request, Response, Status};

use super::page::Page;
use super::{access, wire};
use crate::audit::list::{self, Order};
use crate::context::Context;

/// The service.
pub(crate) struct AuditReading(pub Context);

#[tonic::async_trait]
impl AuditService for AuditReading {
    async fn list_audit_records(
        &self,
        request: Request<api::ListAuditRecordsRequest>,
    ) -> Result<Response<api::ListAuditRecordsResponse>, Status> {
        let cx = access::allow(&self.0, &request, &[reserved::ADMIN_READ, reserved::ADMIN]).await?;
        let request = request.into_inner();
        let page = Page::read(request.page_size, &request.page_token)?;
        let begun = page.after.as_deref().map(str::parse).transpose().map_err(|_| Page::refused())?;
        let order = match api::AuditOrder::try_from(request.order) {
            Ok(api::AuditOrder::Unspecified | api::AuditOrder::NewestFirst) => Order::NewestFirst { before: begun },
            Ok(api::AuditOrder::OldestFirst) => Order::OldestFirst { after: begun },
            Err(_) => return Err(wire::invalid("order", "The order is not one this server knows.")),
        };
        let filter = filter(request)?;
        let found = list::list(&cx, &filter, order, page.size + 1).await.map_err(|error| access::refused(&error))?;
        let found = found.into_iter().map(|record| (record.id.to_string(), wired(record))).collect();
        let (found, next_page_token) = page.cut(found, |(id, _): &(String, _)| id);
        let records = found.into_iter().map(|(_, record)| record).collect();
        Ok(Response::new(api::ListAuditRecordsResponse { records, next_page_token }))
    }
}

fn filter(request: api::ListAuditRecordsRequest) -> Result<AuditFilter, Status> {
    let given = |text: String, field| match text {
        text if text.is_empty() => Ok(None),
        // None is recorded so; and no database takes a NUL.
        text if text.len() > 1024 || text.contains('\0') => {
            Err(wire::invalid(field, "At most 1024 bytes, without NUL characters."))
        }
        text => Ok(Some(text)),
    };
    let outcome = match api::AuditOutcome::try_from(request.outcome) {
        Ok(api::AuditOutcome::Unspecified) => None,
        Ok(api::AuditOutcome::Ok) => Some(Outcome::Ok),
        Ok(api::AuditOutcome::Refused) => Some(Outcome::Refused),
        Err(_) => return Err(wire::invalid("outcome", "The outcome is not one this server knows.")),
    };
    // A moment within a second begins with the next: records count seconds.
    let moment = |at: prost_types::Timestamp| Timestamp(at.seconds.saturating_add(i64::from(at.nanos > 0)));
    Ok(AuditFilter {
        after: request.after_id,
        since: request.start_time.map(moment),
        until: request.end_time.map(moment),
        actor: given(request.actor_id, "actor_id")?,
        action: given(request.action, "action")?,
        target: given(request.target_id, "target_id")?,
        outcome,
    })
}

fn wired(record: AuditRecord) -> api::AuditRecord {
    let party = |party: Party| api::AuditParty { kind: party.kind, id: party.id };
    let outcome = match record.outcome {
        Outcome::Ok => api::AuditOutcome::Ok,
        Outcome::Refused => api::AuditOutcome::Refused,
    };
    api::AuditRecord {
        record_id: record.id,
        time: Some(wire::timestamp(record.time)),
        actor: Some(party(record.actor)),
        action: record.action,
        target: record.target.map(party),
        outcome: outcome.into(),
        reason: record.reason.unwrap_or_default(),
        address: record.address.unwrap_or_default(),
        request_id: record.request_id.unwrap_or_default(),
        revision: record.revision.map(|revision| revision.to_string()).unwrap_or_default(),
        count: record.count,
        details: record.details.into_iter().collect(),
    }
}
