//! `tessera.admin.v1.KeyService`.

use tessera_api::admin::v1::key_service_server::KeyService;
use tessera_api::admin::v1::{
    self as api, ListKeysRequest, ListKeysResponse, PromoteKeyRequest, PromoteKeyResponse, RetireKeyRequest,
    RetireKeyResponse, RewrapKeysRequest, RewrapKeysResponse, RotateKeyRequest, RotateKeyResponse,
};
use tessera_keys::KekId;
use tessera_store::SigningKeyRecord;
use tessera_types::scope::reserved;
use tessera_types::{KeyId, KeyState};
use tonic::{Request, Response, Status};

use super::page::Page;
use super::{access, wire};
use crate::context::Context;
use crate::operations::keys::{self, Schedule};

/// The service.
pub(crate) struct KeyAdministration(pub Context);

#[tonic::async_trait]
impl KeyService for KeyAdministration {
    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let cx = access::allow(&self.0, &request, &[reserved::ADMIN_READ, reserved::ADMIN]).await?;
        let request = request.into_inner();
        let page = Page::read(request.page_size, &request.page_token)?;
        let all = keys::list(&cx).await.map_err(|error| access::refused(&error))?;
        // A handful: cut here rather than in the database.
        let rest = match &page.after {
            Some(after) => all.into_iter().skip_while(|k| k.key.as_str() != after).skip(1).collect(),
            None => all,
        };
        let (records, next_page_token) = page.cut(rest, |record| record.key.as_str());
        let schedule = &self.0.policy.keys.schedule;
        let keys = records.into_iter().map(|record| key(schedule, record)).collect();
        Ok(Response::new(ListKeysResponse { keys, next_page_token }))
    }

    async fn rotate_key(&self, request: Request<RotateKeyRequest>) -> Result<Response<RotateKeyResponse>, Status> {
        let cx = access::allow(&self.0, &request, &[reserved::ADMIN]).await?;
        let now = request.into_inner().promote_now;
        let changed = keys::rotate(&cx, now).await.map_err(|error| access::refused(&error))?;
        let (key, revision) = self.told(changed);
        Ok(Response::new(RotateKeyResponse { key, revision }))
    }

    async fn promote_key(&self, request: Request<PromoteKeyRequest>) -> Result<Response<PromoteKeyResponse>, Status> {
        let cx = access::allow(&self.0, &request, &[reserved::ADMIN]).await?;
        let message = request.into_inner();
        let named = if message.key_id.is_empty() { None } else { Some(key_id(&message.key_id)?) };
        let changed = keys::promote(&cx, named.as_ref(), message.now).await;
        let (key, revision) = self.told(changed.map_err(|error| access::refused(&error))?);
        Ok(Response::new(PromoteKeyResponse { key, revision }))
    }

    async fn retire_key(&self, request: Request<RetireKeyRequest>) -> Result<Response<RetireKeyResponse>, Status> {
        let cx = access::allow(&self.0, &request, &[reserved::ADMIN]).await?;
        let named = key_id(&request.into_inner().key_id)?;
        let changed = keys::retire(&cx, &named).await.map_err(|error| access::refused(&error))?;
        let (key, revision) = self.told(changed);
        Ok(Response::new(RetireKeyResponse { key, revision }))
    }

    async fn rewrap_keys(&self, request: Request<RewrapKeysRequest>) -> Result<Response<RewrapKeysResponse>, Status> {
        let cx = access::allow(&self.0, &request, &[reserved::ADMIN]).await?;
        let done = keys::rewrap(&cx).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(RewrapKeysResponse {
            rewrapped: done.rewrapped,
            total: done.total,
            kek_id: done.kek.to_string(),
        }))
    }
}

impl KeyAdministration {
    fn told(&self, changed: keys::Changed) -> (Option<api::Key>, String) {
        (Some(key(&self.0.policy.keys.schedule, changed.key)), changed.revision.to_string())
    }
}

fn key_id(text: &str) -> Result<KeyId, Status> {
    text.parse()
        .map_err(|_| wire::invalid("key_id", "A key id has 1 to 255 bytes. List the keys to see which there are."))
}

fn key(schedule: &Schedule, record: SigningKeyRecord) -> api::Key {
    let state = match record.state {
        KeyState::Next => api::KeyState::Next,
        KeyState::Active => api::KeyState::Active,
        KeyState::Retiring => api::KeyState::Retiring,
        KeyState::Retired => api::KeyState::Retired,
    };
    api::Key {
        state_time: Schedule::since(&record).map(wire::timestamp),
        change_time: schedule.changes(&record).map(wire::timestamp),
        kek_id: KekId::of(&record.sealed_private).map(|kek| kek.to_string()).unwrap_or_default(),
        key_id: record.key.to_string(),
        algorithm: record.algorithm.to_string(),
        state: state.into(),
        public_jwk: record.public_jwk,
        create_time: Some(wire::timestamp(record.created)),
    }
}
