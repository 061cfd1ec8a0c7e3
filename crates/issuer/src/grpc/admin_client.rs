//! `tessera.admin.v1.ClientService`.

use tessera_api::admin::v1::client_service_server::ClientService;
use tessera_api::admin::v1::{self as api};
use tessera_store::{Client, ClientFilter, StoredSecret};
use tessera_types::scope::reserved;
use tessera_types::{
    ClaimsProfile, ClientId, ClientType, OrganizationId, PresentedSecret, RedirectUri, Timestamp, UserId, WebUrl,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::page::Page;
use super::{access, wire};
use crate::context::Context;
use crate::operations::clients::{self, Changed, Draft, Patch};

/// The service.
pub(crate) struct ClientAdministration(pub Context);

const READ: &[&str] = &[reserved::ADMIN_READ, reserved::ADMIN];
const WRITE: &[&str] = &[reserved::ADMIN];

#[tonic::async_trait]
impl ClientService for ClientAdministration {
    async fn create_client(
        &self,
        request: Request<api::CreateClientRequest>,
    ) -> Result<Response<api::CreateClientResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let draft = Draft { enabled: !request.disabled, ..draft(&request.client.unwrap_or_default())? };
        let imported = imported(request.client_secret)?;
        let created = clients::create(&cx, draft, imported).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::CreateClientResponse {
            client: Some(client(created.client)),
            client_secret: created.secret.map(|s| s.expose().to_owned()).unwrap_or_default(),
            revision: created.revision.to_string(),
        }))
    }

    async fn get_client(
        &self,
        request: Request<api::GetClientRequest>,
    ) -> Result<Response<api::GetClientResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let id = id(&request.into_inner().client_id)?;
        let found = clients::find(&cx, &id).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::GetClientResponse { client: Some(client(found)) }))
    }

    async fn list_clients(
        &self,
        request: Request<api::ListClientsRequest>,
    ) -> Result<Response<api::ListClientsResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let request = request.into_inner();
        let page = Page::read(request.page_size, &request.page_token)?;
        if request.confirmed {
            clients::confirmed(&cx).await.map_err(|error| access::refused(&error))?;
        }
        let after = page.after.as_deref().map(id).transpose()?;
        let name_contains = Some(request.name_contains).filter(|text| !text.is_empty());
        let organization = optional(&request.organization_id, organization_id)?;
        let owner = optional(&request.owner_id, owner_id)?;
        let filter = ClientFilter { name_contains, enabled: request.enabled, organization, owner };
        let found = clients::list(&cx, &filter, after.as_ref(), page.size + 1)
            .await
            .map_err(|error| access::refused(&error))?;
        let (found, next_page_token) = page.cut(found, |client| client.id.as_str());
        let clients = found.into_iter().map(client).collect();
        Ok(Response::new(api::ListClientsResponse { clients, next_page_token }))
    }

    async fn update_client(
        &self,
        request: Request<api::UpdateClientRequest>,
    ) -> Result<Response<api::UpdateClientResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let wanted = request.client.unwrap_or_default();
        let id = id(&wanted.client_id)?;
        let etag = wire::etag(&wanted.etag)?;
        let patch = patch(&wanted, &request.update_mask.unwrap_or_default().paths)?;
        let changed = clients::update(&cx, &id, etag, patch).await.map_err(|error| access::refused(&error))?;
        let (client, revision) = parts(changed);
        Ok(Response::new(api::UpdateClientResponse { client, revision }))
    }

    async fn delete_client(
        &self,
        request: Request<api::DeleteClientRequest>,
    ) -> Result<Response<api::DeleteClientResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().client_id)?;
        let revision = clients::delete(&cx, &id).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::DeleteClientResponse { revision: revision.to_string() }))
    }

    async fn enable_client(
        &self,
        request: Request<api::EnableClientRequest>,
    ) -> Result<Response<api::EnableClientResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().client_id)?;
        let changed = clients::set_enabled(&cx, &id, true).await.map_err(|error| access::refused(&error))?;
        let (client, revision) = parts(changed);
        Ok(Response::new(api::EnableClientResponse { client, revision }))
    }

    async fn disable_client(
        &self,
        request: Request<api::DisableClientRequest>,
    ) -> Result<Response<api::DisableClientResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().client_id)?;
        let changed = clients::set_enabled(&cx, &id, false).await.map_err(|error| access::refused(&error))?;
        let (client, revision) = parts(changed);
        Ok(Response::new(api::DisableClientResponse { client, revision }))
    }

    async fn rotate_client_secret(
        &self,
        request: Request<api::RotateClientSecretRequest>,
    ) -> Result<Response<api::RotateClientSecretResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let id = id(&request.client_id)?;
        let overlap = match request.overlap {
            Some(overlap) => wire::span(overlap, "overlap")?,
            None => clients::DEFAULT_OVERLAP,
        };
        let expires = request.expire_time.map(|at| Timestamp(at.seconds));
        let rotated =
            clients::rotate_secret(&cx, &id, overlap, expires).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::RotateClientSecretResponse {
            client_secret: rotated.secret.expose().to_owned(),
            secret: Some(secret(&rotated.stored)),
            revision: rotated.revision.to_string(),
            confirmed: rotated.confirmed,
        }))
    }

    async fn list_client_secrets(
        &self,
        request: Request<api::ListClientSecretsRequest>,
    ) -> Result<Response<api::ListClientSecretsResponse>, Status> {
        let cx = access::allow(&self.0, &request, READ).await?;
        let id = id(&request.into_inner().client_id)?;
        let secrets = clients::list_secrets(&cx, &id).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::ListClientSecretsResponse { secrets: secrets.iter().map(secret).collect() }))
    }

    async fn delete_client_secret(
        &self,
        request: Request<api::DeleteClientSecretRequest>,
    ) -> Result<Response<api::DeleteClientSecretResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let request = request.into_inner();
        let id = id(&request.client_id)?;
        let secret: Uuid = request
            .secret_id
            .parse()
            .map_err(|_| wire::invalid("secret_id", "A secret id is a UUID. List the client's secrets."))?;
        let revision = clients::delete_secret(&cx, &id, secret).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::DeleteClientSecretResponse { revision: revision.to_string() }))
    }

    async fn revoke_client_tokens(
        &self,
        request: Request<api::RevokeClientTokensRequest>,
    ) -> Result<Response<api::RevokeClientTokensResponse>, Status> {
        let cx = access::allow(&self.0, &request, WRITE).await?;
        let id = id(&request.into_inner().client_id)?;
        let revision = clients::revoke_tokens(&cx, &id).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::RevokeClientTokensResponse { revision: revision.to_string() }))
    }
}

fn id(text: &str) -> Result<ClientId, Status> {
    text.parse().map_err(|_| {
        wire::invalid("client_id", "A client id has 1 to 255 bytes, without spaces and control characters.")
    })
}

/// An imported secret. Wider than RFC 6749 Appendix A.2, as client identifiers are: form-encoding carries any character.
fn imported(text: String) -> Result<Option<PresentedSecret>, Status> {
    let well_formed = text.chars().count() <= 255 && !text.chars().any(char::is_control);
    if !well_formed {
        return Err(access::refused(&clients::DraftError::Secret));
    }
    Ok(PresentedSecret::new(text))
}

fn draft(wanted: &api::Client) -> Result<Draft, Status> {
    let kind = match api::ClientType::try_from(wanted.r#type) {
        Ok(api::ClientType::Unspecified | api::ClientType::Confidential) => ClientType::Confidential,
        Ok(api::ClientType::Public) => ClientType::Public,
        Err(_) => return Err(wire::invalid("type", "The client type is not one this server knows.")),
    };
    let chosen = match wanted.client_id.as_str() {
        "" => None,
        text => Some(id(text)?),
    };
    let paths: Vec<String> = FIELDS.iter().map(|field| (*field).to_owned()).collect();
    Ok(Draft { id: chosen, kind, enabled: true, rest: patch(wanted, &paths)? })
}

/// The fields an update may name.
const FIELDS: &[&str] = &[
    "name",
    "description",
    "grant_types",
    "scopes",
    "default_scopes",
    "audiences",
    "resources",
    "redirect_uris",
    "access_token_lifetime",
    "claims_profile",
    "organization_id",
    "owner_id",
    "site_url",
    "logo_url",
    "failure_uri",
    "implicit_scopes",
];

fn patch(wanted: &api::Client, paths: &[String]) -> Result<Patch, Status> {
    if paths.is_empty() || paths.iter().any(|path| !FIELDS.contains(&path.as_str())) {
        return Err(wire::invalid(
            "update_mask",
            "The update mask names fields of a client that can change: name, description, grant_types, scopes, default_scopes, audiences, resources, redirect_uris, access_token_lifetime, claims_profile, organization_id, owner_id, site_url, logo_url, failure_uri, implicit_scopes.",
        ));
    }
    let profile = api::ClaimsProfile::try_from(wanted.claims_profile)
        .map_err(|_| wire::invalid("claims_profile", "The claims profile is not one this server knows."))?;
    let mut patch = Patch::default();
    for path in paths {
        match path.as_str() {
            "name" => patch.name = Some(wanted.name.clone()),
            "description" => patch.description = Some(wanted.description.clone()),
            "grant_types" => {
                patch.grants = Some(wire::words(
                    &wanted.grant_types,
                    "grant_types",
                    "A grant type is client_credentials, authorization_code, password or refresh_token.",
                )?);
            }
            "scopes" => patch.scopes = Some(scopes(&wanted.scopes, "scopes")?),
            "default_scopes" => patch.default_scopes = Some(scopes(&wanted.default_scopes, "default_scopes")?),
            "audiences" => patch.audiences = Some(audiences(&wanted.audiences, "audiences")?),
            "resources" => patch.resources = Some(audiences(&wanted.resources, "resources")?),
            "redirect_uris" => {
                patch.redirect_uris = Some(wire::words(
                    &wanted.redirect_uris,
                    "redirect_uris",
                    "A redirect URI is absolute, has no fragment and no user information, and its scheme is https, http or an application's own.",
                )?);
            }
            "access_token_lifetime" => {
                patch.access_ttl =
                    Some(wanted.access_token_lifetime.map(|ttl| wire::span(ttl, "access_token_lifetime")).transpose()?);
            }
            "claims_profile" => {
                patch.claims_profile = Some(match profile {
                    api::ClaimsProfile::Unspecified => None,
                    api::ClaimsProfile::Rfc9068 => Some(ClaimsProfile::Rfc9068),
                    api::ClaimsProfile::Legacy => Some(ClaimsProfile::Legacy),
                });
            }
            other => application(&mut patch, wanted, other)?,
        }
    }
    Ok(patch)
}

/// What makes a client an application: whose it is, and what people see of it.
fn application(patch: &mut Patch, wanted: &api::Client, field: &str) -> Result<(), Status> {
    match field {
        "organization_id" => patch.organization = Some(optional(&wanted.organization_id, organization_id)?),
        "owner_id" => patch.owner = Some(optional(&wanted.owner_id, owner_id)?),
        "site_url" => patch.site_url = Some(optional(&wanted.site_url, |text| url(text, "site_url"))?),
        "logo_url" => patch.logo_url = Some(optional(&wanted.logo_url, |text| url(text, "logo_url"))?),
        "failure_uri" => patch.failure_uri = Some(optional(&wanted.failure_uri, failure_uri)?),
        _ => patch.implicit_scopes = Some(scopes(&wanted.implicit_scopes, "implicit_scopes")?),
    }
    Ok(())
}

/// Empty is none.
fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T, Status>) -> Result<Option<T>, Status> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn organization_id(text: &str) -> Result<OrganizationId, Status> {
    text.parse().map_err(|_| {
        wire::invalid("organization_id", "An organization id begins with org_. Get the organization by name to see it.")
    })
}

fn owner_id(text: &str) -> Result<UserId, Status> {
    text.parse().map_err(|_| {
        wire::invalid("owner_id", "A user id begins with usr_. Get the user by username or e-mail address to see it.")
    })
}

fn url(text: &str, field: &'static str) -> Result<WebUrl, Status> {
    text.parse().map_err(|_| {
        wire::invalid(field, "A URL is of http or https, has a host, no fragment and no user information.")
    })
}

fn failure_uri(text: &str) -> Result<RedirectUri, Status> {
    text.parse().map_err(|_| {
        wire::invalid(
            "failure_uri",
            "A failure URI is absolute, has no fragment and no user information, and its scheme is https, http or an application's own.",
        )
    })
}

fn scopes<C: FromIterator<tessera_types::Scope>>(list: &[String], field: &'static str) -> Result<C, Status> {
    wire::words(list, field, "A scope has 1 to 255 printable ASCII characters without space, quote and backslash.")
}

fn audiences<C: FromIterator<tessera_types::Audience>>(list: &[String], field: &'static str) -> Result<C, Status> {
    wire::words(list, field, "An audience has 1 to 255 printable ASCII characters without space, quote and backslash.")
}

fn parts(changed: Changed) -> (Option<api::Client>, String) {
    (Some(client(changed.client)), changed.revision.to_string())
}

fn client(found: Client) -> api::Client {
    fn texts<T: ToString>(list: impl IntoIterator<Item = T>) -> Vec<String> {
        list.into_iter().map(|item| item.to_string()).collect()
    }
    let kind = match found.kind {
        ClientType::Confidential => api::ClientType::Confidential,
        ClientType::Public => api::ClientType::Public,
    };
    let profile = match found.claims_profile {
        None => api::ClaimsProfile::Unspecified,
        Some(ClaimsProfile::Rfc9068) => api::ClaimsProfile::Rfc9068,
        Some(ClaimsProfile::Legacy) => api::ClaimsProfile::Legacy,
    };
    api::Client {
        client_id: found.id.to_string(),
        name: found.name,
        description: found.description,
        r#type: kind.into(),
        enabled: found.enabled,
        grant_types: texts(&found.grants),
        scopes: texts(&found.scopes),
        default_scopes: texts(&found.default_scopes),
        audiences: texts(&found.audiences),
        resources: texts(&found.resources),
        redirect_uris: texts(&found.redirect_uris),
        access_token_lifetime: found.access_ttl.map(wire::duration),
        claims_profile: profile.into(),
        create_time: Some(wire::timestamp(found.created)),
        update_time: Some(wire::timestamp(found.updated)),
        etag: found.version.to_string(),
        organization_id: found.organization.map(|id| id.to_string()).unwrap_or_default(),
        owner_id: found.owner.map(|id| id.to_string()).unwrap_or_default(),
        site_url: found.site_url.map(|url| url.to_string()).unwrap_or_default(),
        logo_url: found.logo_url.map(|url| url.to_string()).unwrap_or_default(),
        failure_uri: found.failure_uri.map(|uri| uri.to_string()).unwrap_or_default(),
        implicit_scopes: texts(&found.implicit_scopes),
        last_used_time: found.last_used.map(wire::timestamp),
    }
}

fn secret(stored: &StoredSecret) -> api::ClientSecret {
    api::ClientSecret {
        secret_id: stored.id.to_string(),
        create_time: Some(wire::timestamp(stored.created)),
        expire_time: stored.expires.map(wire::timestamp),
        generated: stored.generated,
        last_used_time: stored.last_used.map(wire::timestamp),
    }
}
