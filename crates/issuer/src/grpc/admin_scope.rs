//! `tessera.admin.v1.ScopeService`.

use std::collections::BTreeMap;

use tessera_api::admin::v1::scope_service_server::ScopeService;
use tessera_api::admin::v1::{self as api};
use tessera_store::ScopeRecord;
use tessera_types::Scope;
use tessera_types::scope::reserved;
use tonic::{Request, Response, Status};

use super::page::Page;
use super::{access, wire};
use crate::context::Context;
use crate::operations::scopes;

/// The service.
pub(crate) struct ScopeAdministration(pub Context);

const READ: &[&str] = &[reserved::ADMIN_READ, reserved::ADMIN];
const WRITE: &[&str] = &[reserved::ADMIN];

/// The longest description, in characters.
const DESCRIPTION_MAX: usize = 1000;

#[tonic::async_trait]
impl ScopeService for ScopeAdministration {
    async fn create_scope(
        &self,
        request: Request<api::CreateScopeRequest>,
    ) -> Result<Response<api::CreateScopeResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let wanted = request.into_inner().scope.unwrap_or_default();
        let name = name(&wanted.name)?;
        let descriptions = descriptions(wanted.descriptions)?;
        let record = scopes::create(&cx, name, descriptions).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::CreateScopeResponse { scope: Some(scope(record)) }))
    }

    async fn get_scope(
        &self,
        request: Request<api::GetScopeRequest>,
    ) -> Result<Response<api::GetScopeResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let name = name(&request.into_inner().name)?;
        let record = scopes::find(&cx, &name).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::GetScopeResponse { scope: Some(scope(record)) }))
    }

    async fn list_scopes(
        &self,
        request: Request<api::ListScopesRequest>,
    ) -> Result<Response<api::ListScopesResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let request = request.into_inner();
        let page = Page::read(request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(name).transpose()?;
        let records = scopes::list(&cx, after.as_ref(), page.size + 1).await.map_err(|e| access::refused(&e))?;
        let (records, next_page_token) = page.cut(records, |record| record.name.as_str());
        let scopes = records.into_iter().map(scope).collect();
        Ok(Response::new(api::ListScopesResponse { scopes, next_page_token }))
    }

    async fn update_scope(
        &self,
        request: Request<api::UpdateScopeRequest>,
    ) -> Result<Response<api::UpdateScopeResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let paths = request.update_mask.unwrap_or_default().paths;
        if paths.is_empty() || paths.iter().any(|path| path != "descriptions") {
            return Err(wire::invalid("update_mask", "The update mask names descriptions, and nothing else."));
        }
        let wanted = request.scope.unwrap_or_default();
        let name = name(&wanted.name)?;
        let descriptions = descriptions(wanted.descriptions)?;
        let record = scopes::update(&cx, &name, descriptions).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::UpdateScopeResponse { scope: Some(scope(record)) }))
    }

    async fn delete_scope(
        &self,
        request: Request<api::DeleteScopeRequest>,
    ) -> Result<Response<api::DeleteScopeResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let name = name(&request.into_inner().name)?;
        scopes::delete(&cx, &name).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::DeleteScopeResponse {}))
    }
}

fn name(text: &str) -> Result<Scope, Status> {
    text.parse().map_err(|_| {
        wire::invalid("name", "A scope has 1 to 255 printable ASCII characters without space, quote and backslash.")
    })
}

fn descriptions<M: IntoIterator<Item = (String, String)>>(map: M) -> Result<BTreeMap<String, String>, Status> {
    let map: BTreeMap<String, String> = map.into_iter().collect();
    let language =
        |tag: &String| matches!(tag.len(), 2..=8) && tag.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    let bounded = |text: &String| text.chars().count() <= DESCRIPTION_MAX && !text.chars().any(char::is_control);
    if map.len() <= 32 && map.keys().all(language) && map.values().all(bounded) {
        Ok(map)
    } else {
        Err(wire::invalid(
            "descriptions",
            "Descriptions are at most 32 texts of at most 1000 characters, by language tag such as en.",
        ))
    }
}

fn scope(record: ScopeRecord) -> api::Scope {
    api::Scope {
        name: record.name.to_string(),
        descriptions: record.descriptions.into_iter().collect(),
        reserved: record.reserved,
        create_time: Some(wire::timestamp(record.created)),
    }
}
