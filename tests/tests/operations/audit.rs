//! The audit: what is recorded, how it is found, and what becomes of it when something fails.

mod following;
mod lists;
mod logins;
mod together;
mod walk;

use anyhow::Result;
use tessera_api::admin::v1::audit_service_client::AuditServiceClient;
use tessera_api::admin::v1::{AuditOrder, AuditRecord, ListAuditRecordsRequest};
use tessera_tests::{World, as_bearer, channel, eventually};
use tonic::transport::Channel;

/// Reads the audit as an administrator.
struct Auditor {
    service: AuditServiceClient<Channel>,
    token: String,
}

impl Auditor {
    async fn of(world: &World) -> Result<Self> {
        let token = world.admin_token().await?;
        Ok(Self { service: AuditServiceClient::new(channel(world.pair.ports.issuer_grpc).await?), token })
    }

    async fn list(&mut self, request: ListAuditRecordsRequest) -> Result<Vec<AuditRecord>> {
        Ok(self.service.list_audit_records(as_bearer(&self.token, request)?).await?.into_inner().records)
    }

    /// What was recorded after a record, the oldest first.
    async fn after(&mut self, after_id: u64) -> Result<Vec<AuditRecord>> {
        let order = AuditOrder::OldestFirst.into();
        self.list(ListAuditRecordsRequest { after_id, order, page_size: 1000, ..Default::default() }).await
    }

    /// The number of the newest record.
    async fn end(&mut self) -> Result<u64> {
        let newest = self.list(ListAuditRecordsRequest { page_size: 1, ..Default::default() }).await?;
        Ok(newest.first().map_or(0, |record| record.record_id))
    }

    /// What was recorded of an action after a record, once there is as much as this.
    async fn told(&mut self, after_id: u64, action: &str, enough: usize) -> Result<Vec<AuditRecord>> {
        eventually(action, async || {
            let mut found = self.after(after_id).await?;
            found.retain(|record| record.action == action);
            Ok((found.len() >= enough).then_some(found))
        })
        .await
    }
}

fn id(party: Option<&tessera_api::admin::v1::AuditParty>) -> &str {
    party.map_or("", |party| &party.id)
}
