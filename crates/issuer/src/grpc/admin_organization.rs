//! `tessera.admin.v1.OrganizationService`.

use tessera_api::admin::v1::organization_service_server::OrganizationService;
use tessera_api::admin::v1::{self as api};
use tessera_store::{Organization, OrganizationFilter};
use tessera_types::scope::reserved;
use tessera_types::{OrganizationId, UserId};
use tonic::{Request, Response, Status};

use super::page::Page;
use super::{access, wire};
use crate::context::Context;
use crate::operations::organizations::{self, OrganizationPatch};

/// The service.
pub(crate) struct OrganizationAdministration(pub Context);

const READ: &[&str] = &[reserved::ADMIN_READ, reserved::ADMIN];
const WRITE: &[&str] = &[reserved::ADMIN];

#[tonic::async_trait]
impl OrganizationService for OrganizationAdministration {
    async fn create_organization(
        &self,
        request: Request<api::CreateOrganizationRequest>,
    ) -> Result<Response<api::CreateOrganizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let wanted = request.into_inner().organization.unwrap_or_default();
        let created =
            organizations::create(&cx, wanted.name, wanted.global).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::CreateOrganizationResponse { organization: Some(organization(created)) }))
    }

    async fn get_organization(
        &self,
        request: Request<api::GetOrganizationRequest>,
    ) -> Result<Response<api::GetOrganizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let which = request.into_inner().organization;
        if which.is_empty() {
            return Err(wire::invalid("organization", "Name the organization by identifier or name."));
        }
        let found = organizations::find(&cx, &which).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::GetOrganizationResponse { organization: Some(organization(found)) }))
    }

    async fn list_organizations(
        &self,
        request: Request<api::ListOrganizationsRequest>,
    ) -> Result<Response<api::ListOrganizationsResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let request = request.into_inner();
        let page = Page::read(request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(|text| text.parse().map_err(|_| Page::refused())).transpose()?;
        let name_contains = Some(request.name_contains).filter(|text| !text.is_empty());
        let member = match request.member_id.as_str() {
            "" => None,
            text => Some(user_id(text, "member_id")?),
        };
        let filter = OrganizationFilter { name_contains, enabled: request.enabled, member };
        let found =
            organizations::list(&cx, &filter, after, page.size + 1).await.map_err(|error| access::refused(&error))?;
        let found: Vec<api::Organization> = found.into_iter().map(organization).collect();
        let (organizations, next_page_token) = page.cut(found, |found| found.organization_id.as_str());
        Ok(Response::new(api::ListOrganizationsResponse { organizations, next_page_token }))
    }

    async fn update_organization(
        &self,
        request: Request<api::UpdateOrganizationRequest>,
    ) -> Result<Response<api::UpdateOrganizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let wanted = request.organization.unwrap_or_default();
        let id = id(&wanted.organization_id)?;
        let etag = wire::etag(&wanted.etag)?;
        let patch = patch(wanted, &request.update_mask.unwrap_or_default().paths)?;
        let changed = organizations::update(&cx, id, etag, patch).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::UpdateOrganizationResponse { organization: Some(organization(changed)) }))
    }

    async fn enable_organization(
        &self,
        request: Request<api::EnableOrganizationRequest>,
    ) -> Result<Response<api::EnableOrganizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().organization_id)?;
        let (found, revision) =
            organizations::set_enabled(&cx, id, true).await.map_err(|error| access::refused(&error))?;
        let (organization, revision) = (Some(organization(found)), revision.to_string());
        Ok(Response::new(api::EnableOrganizationResponse { organization, revision }))
    }

    async fn disable_organization(
        &self,
        request: Request<api::DisableOrganizationRequest>,
    ) -> Result<Response<api::DisableOrganizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().organization_id)?;
        let (found, revision) =
            organizations::set_enabled(&cx, id, false).await.map_err(|error| access::refused(&error))?;
        let (organization, revision) = (Some(organization(found)), revision.to_string());
        Ok(Response::new(api::DisableOrganizationResponse { organization, revision }))
    }

    async fn delete_organization(
        &self,
        request: Request<api::DeleteOrganizationRequest>,
    ) -> Result<Response<api::DeleteOrganizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().organization_id)?;
        let revision = organizations::delete(&cx, id).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::DeleteOrganizationResponse { revision: revision.to_string() }))
    }

    async fn add_organization_member(
        &self,
        request: Request<api::AddOrganizationMemberRequest>,
    ) -> Result<Response<api::AddOrganizationMemberResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let (id, user) = (id(&request.organization_id)?, user_id(&request.user_id, "user_id")?);
        organizations::add_member(&cx, id, user).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::AddOrganizationMemberResponse {}))
    }

    async fn remove_organization_member(
        &self,
        request: Request<api::RemoveOrganizationMemberRequest>,
    ) -> Result<Response<api::RemoveOrganizationMemberResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let (id, user) = (id(&request.organization_id)?, user_id(&request.user_id, "user_id")?);
        organizations::remove_member(&cx, id, user).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::RemoveOrganizationMemberResponse {}))
    }

    async fn list_organization_members(
        &self,
        request: Request<api::ListOrganizationMembersRequest>,
    ) -> Result<Response<api::ListOrganizationMembersResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let request = request.into_inner();
        let id = id(&request.organization_id)?;
        let page = Page::read(request.page_size, &request.page_token)?;
        let after = page.after.as_deref().map(|text| text.parse().map_err(|_| Page::refused())).transpose()?;
        let found =
            organizations::members(&cx, id, after, page.size + 1).await.map_err(|error| access::refused(&error))?;
        let found: Vec<String> = found.iter().map(UserId::to_string).collect();
        let (user_ids, next_page_token) = page.cut(found, String::as_str);
        Ok(Response::new(api::ListOrganizationMembersResponse { user_ids, next_page_token }))
    }
}

fn id(text: &str) -> Result<OrganizationId, Status> {
    text.parse().map_err(|_| {
        wire::invalid("organization_id", "An organization id begins with org_. Get the organization by name to see it.")
    })
}

fn user_id(text: &str, field: &'static str) -> Result<UserId, Status> {
    text.parse().map_err(|_| {
        wire::invalid(field, "A user id begins with usr_. Get the user by username or e-mail address to see it.")
    })
}

fn patch(wanted: api::Organization, paths: &[String]) -> Result<OrganizationPatch, Status> {
    if paths.is_empty() || paths.iter().any(|path| path != "name" && path != "global") {
        let advice = "The update mask names fields of an organization that can change: name, global.";
        return Err(wire::invalid("update_mask", advice));
    }
    let named = |field: &str| paths.iter().any(|path| path == field);
    let (name, global) = (named("name").then_some(wanted.name), named("global").then_some(wanted.global));
    Ok(OrganizationPatch { name, global })
}

fn organization(found: Organization) -> api::Organization {
    api::Organization {
        organization_id: found.id.to_string(),
        name: found.name,
        global: found.global,
        enabled: found.enabled,
        create_time: Some(wire::timestamp(found.created)),
        update_time: Some(wire::timestamp(found.updated)),
        etag: found.version.to_string(),
    }
}
