use tessera_api::admin::v1::client_service_server::ClientService;
use tessera_api::admin::v1::*;
use tonic::{Code, Request, Response, Status};

use super::{Fake, refusal};

const REVISION: &str = "1-42";

impl Fake {
    /// As the issuer does it: a Bearer and nothing else.
    pub(super) fn admin<T>(&self, method: &'static str, request: &Request<T>) -> Result<(), Status> {
        self.called(method, request);
        match request.metadata().get("authorization").and_then(|a| a.to_str().ok()) {
            Some("Bearer token-of-dev-admin") => Ok(()),
            _ => Err(refusal(Code::Unauthenticated, "INVALID_TOKEN", "invalid_token", "no")),
        }
    }

    fn client(&self, id: &str) -> Result<Client, Status> {
        let found = self.book(|book| book.clients.iter().find(|c| c.client_id == id).cloned());
        found.ok_or_else(|| refusal(Code::NotFound, "CLIENT_NOT_FOUND", "not_found", "there is no such client"))
    }

    fn change(&self, id: &str, work: impl FnOnce(&mut Client)) -> Result<Option<Client>, Status> {
        self.client(id)?;
        Ok(self.book(|book| {
            let client = book.clients.iter_mut().find(|c| c.client_id == id)?;
            work(client);
            Some(client.clone())
        }))
    }
}

#[tonic::async_trait]
impl ClientService for Fake {
    async fn create_client(
        &self,
        request: Request<CreateClientRequest>,
    ) -> Result<Response<CreateClientResponse>, Status> {
        self.admin("CreateClient", &request)?;
        let CreateClientRequest { client, client_secret: imported, disabled } = request.into_inner();
        let mut client = client.expect("the client");
        if self.book(|book| book.clients.iter().any(|c| c.name == client.name)) {
            return Err(refusal(Code::AlreadyExists, "NAME_TAKEN", "already_exists", "the name is taken"));
        }
        if client.client_id.is_empty() {
            client.client_id = "chosen-by-server".into();
        }
        client.enabled = !disabled;
        let generated = client.r#type() == ClientType::Confidential && imported.is_empty();
        let client_secret = if generated { "tsk_generated".to_owned() } else { String::new() };
        self.book(|book| {
            book.clients.push(client.clone());
            book.imported = imported;
        });
        Ok(Response::new(CreateClientResponse { client: Some(client), client_secret, revision: REVISION.into() }))
    }

    async fn get_client(&self, request: Request<GetClientRequest>) -> Result<Response<GetClientResponse>, Status> {
        self.admin("GetClient", &request)?;
        let client = Some(self.client(&request.get_ref().client_id)?);
        Ok(Response::new(GetClientResponse { client }))
    }

    /// Pages of two, so that whoever reads only the first is found out.
    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        self.admin("ListClients", &request)?;
        let request = request.into_inner();
        let from: usize = request.page_token.parse().unwrap_or(0);
        let all: Vec<Client> = self.book(|book| {
            book.clients.iter().filter(|c| request.enabled.is_none_or(|e| c.enabled == e)).cloned().collect()
        });
        let size = usize::try_from(request.page_size).expect("positive").min(2);
        let clients: Vec<Client> = all.iter().skip(from).take(size).cloned().collect();
        let next = from + clients.len();
        let next_page_token = if next < all.len() { next.to_string() } else { String::new() };
        Ok(Response::new(ListClientsResponse { clients, next_page_token }))
    }

    async fn update_client(
        &self,
        request: Request<UpdateClientRequest>,
    ) -> Result<Response<UpdateClientResponse>, Status> {
        self.admin("UpdateClient", &request)?;
        let request = request.into_inner();
        let wanted = request.client.expect("the client");
        let before = self.client(&wanted.client_id)?;
        if before.etag != wanted.etag {
            return Err(refusal(Code::Aborted, "CHANGED_MEANWHILE", "conflict", "somebody else changed it"));
        }
        self.book(|book| book.masks.push(request.update_mask.expect("the mask").paths));
        let client = self.change(&wanted.client_id.clone(), |client| *client = wanted)?;
        Ok(Response::new(UpdateClientResponse { client, revision: REVISION.into() }))
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<DeleteClientResponse>, Status> {
        self.admin("DeleteClient", &request)?;
        let id = request.into_inner().client_id;
        self.client(&id)?;
        self.book(|book| book.clients.retain(|c| c.client_id != id));
        Ok(Response::new(DeleteClientResponse { revision: REVISION.into() }))
    }

    async fn enable_client(
        &self,
        request: Request<EnableClientRequest>,
    ) -> Result<Response<EnableClientResponse>, Status> {
        self.admin("EnableClient", &request)?;
        let client = self.change(&request.get_ref().client_id, |client| client.enabled = true)?;
        Ok(Response::new(EnableClientResponse { client, revision: REVISION.into() }))
    }

    async fn disable_client(
        &self,
        request: Request<DisableClientRequest>,
    ) -> Result<Response<DisableClientResponse>, Status> {
        self.admin("DisableClient", &request)?;
        let client = self.change(&request.get_ref().client_id, |client| client.enabled = false)?;
        Ok(Response::new(DisableClientResponse { client, revision: REVISION.into() }))
    }

    async fn rotate_client_secret(
        &self,
        request: Request<RotateClientSecretRequest>,
    ) -> Result<Response<RotateClientSecretResponse>, Status> {
        self.admin("RotateClientSecret", &request)?;
        self.client(&request.get_ref().client_id)?;
        let secret = Some(ClientSecret { secret_id: "s-2".into(), generated: true, ..ClientSecret::default() });
        let client_secret = "tsk_rotated".into();
        Ok(Response::new(RotateClientSecretResponse {
            client_secret,
            secret,
            revision: REVISION.into(),
            confirmed: true,
        }))
    }

    async fn list_client_secrets(
        &self,
        request: Request<ListClientSecretsRequest>,
    ) -> Result<Response<ListClientSecretsResponse>, Status> {
        self.admin("ListClientSecrets", &request)?;
        self.client(&request.get_ref().client_id)?;
        let secrets = vec![ClientSecret { secret_id: "s-1".into(), generated: true, ..ClientSecret::default() }];
        Ok(Response::new(ListClientSecretsResponse { secrets }))
    }

    async fn delete_client_secret(
        &self,
        request: Request<DeleteClientSecretRequest>,
    ) -> Result<Response<DeleteClientSecretResponse>, Status> {
        self.admin("DeleteClientSecret", &request)?;
        Ok(Response::new(DeleteClientSecretResponse { revision: REVISION.into() }))
    }

    async fn revoke_client_tokens(
        &self,
        request: Request<RevokeClientTokensRequest>,
    ) -> Result<Response<RevokeClientTokensResponse>, Status> {
        self.admin("RevokeClientTokens", &request)?;
        Ok(Response::new(RevokeClientTokensResponse { revision: REVISION.into() }))
    }
}
