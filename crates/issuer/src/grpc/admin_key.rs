//! `tessera.admin.v1.KeyService`.

use tessera_api::admin::v1::key_service_server::KeyService;
use tessera_api::admin::v1::{self as api, ListKeysRequest, ListKeysResponse};
use tessera_store::SigningKeyRecord;
use tessera_types::KeyState;
use tessera_types::scope::reserved;
use tonic::{Request, Response, Status};

use super::page::Page;
use super::{access, wire};
use crate::context::Context;
use crate::operations::keys;

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
        Ok(Response::new(ListKeysResponse { keys: records.into_iter().map(key).collect(), next_page_token }))
    }
}

fn key(record: SigningKeyRecord) -> api::Key {
    let state = match record.state {
        KeyState::Next => api::KeyState::Next,
        KeyState::Active => api::KeyState::Active,
        KeyState::Retiring => api::KeyState::Retiring,
        KeyState::Retired => api::KeyState::Retired,
    };
    api::Key {
        key_id: record.key.to_string(),
        algorithm: record.algorithm.to_string(),
        state: state.into(),
        public_jwk: record.public_jwk,
        create_time: Some(wire::timestamp(record.created)),
    }
}
