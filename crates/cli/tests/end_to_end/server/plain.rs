use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tessera_api::introspection::v1::introspection_service_server::IntrospectionService;
use tessera_api::introspection::v1::*;
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_server::TokenService;
use tessera_api::oauth::v1::*;
use tokio_stream::Empty;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{Fake, refusal};

/// The client of a Basic value whose secret is right.
fn client(metadata: &MetadataMap) -> Result<String, Status> {
    let wrong = || refusal(Code::Unauthenticated, "INVALID_CLIENT", "invalid_client", "client authentication failed");
    let value = metadata.get("authorization").and_then(|a| a.to_str().ok()).and_then(|a| a.strip_prefix("Basic "));
    let pair = value.and_then(|v| STANDARD.decode(v).ok()).and_then(|b| String::from_utf8(b).ok()).ok_or_else(wrong)?;
    match pair.split_once(':') {
        Some((id, "dev-secret" | "other-secret")) => Ok(id.to_owned()),
        _ => Err(wrong()),
    }
}

/// A token that reads as a JWT of a client.
pub(crate) fn token_of(client_id: &str) -> String {
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let claims =
        format!(r#"{{"client_id":"{client_id}","jti":"jti-{client_id}","exp":4102444800,"aud":"demo-resource"}}"#);
    format!("{}.{}.AAAA", part(r#"{"typ":"at+jwt","alg":"RS256","kid":"k1"}"#.into()), part(claims))
}

#[tonic::async_trait]
impl TokenService for Fake {
    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Result<Response<IssueTokenResponse>, Status> {
        self.called("IssueToken", &request);
        // A public client names itself; one that has a secret does not do so twice.
        let client_id = match request.get_ref().client_id.as_str() {
            "" => client(request.metadata())?,
            public if public.ends_with("-web") && !request.metadata().contains_key("authorization") => {
                public.to_owned()
            }
            _ => return Err(refusal(Code::Unauthenticated, "INVALID_CLIENT", "invalid_client", "it has a secret")),
        };
        let request = request.into_inner();
        assert!(request.client_secret.is_empty(), "secrets come in the header");
        let for_a_user = !matches!(request.grant, Some(Grant::ClientCredentials(_)));
        self.book(|book| {
            book.scopes.push(request.scopes.clone());
            book.grant = request.grant.map(|grant| (grant, client_id.clone()));
        });
        let admin = request.scopes.iter().any(|s| s.starts_with("tessera."));
        let refused = self.book(|book| book.reader) && request.scopes.iter().any(|s| s == "tessera.admin");
        if admin && (client_id != "dev-admin" || refused) {
            return Err(refusal(
                Code::InvalidArgument,
                "SCOPE_NOT_ALLOWED",
                "invalid_scope",
                "not this client's scope",
            ));
        }
        let access_token = if admin { "token-of-dev-admin".into() } else { token_of(&client_id) };
        let expires_in = Some(prost_types::Duration { seconds: 900, nanos: 0 });
        let scope = if request.scopes.is_empty() { "orders:read".into() } else { request.scopes.join(" ") };
        let refresh_token = if for_a_user { "tsk_rt_next".into() } else { String::new() };
        let token_type = "Bearer".into();
        Ok(Response::new(IssueTokenResponse { access_token, token_type, expires_in, scope, refresh_token }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        self.called("RevokeToken", &request);
        if self.book(|book| book.unconfirmed) {
            let message = "the revocation is durable but not confirmed";
            return Err(refusal(Code::Unavailable, "REVOCATION_UNCONFIRMED", "temporarily_unavailable", message));
        }
        let token = &request.get_ref().token;
        let basic = client(request.metadata()).ok();
        let owner = self.book(|book| book.refresh_tokens_of).filter(|_| token.starts_with("tsk_rt_"));
        if let (Some(owner), Some(asks)) = (owner, basic)
            && owner != asks
        {
            let reason = "TOKEN_OF_ANOTHER_CLIENT";
            return Err(refusal(Code::FailedPrecondition, reason, "invalid_grant", "another client's"));
        }
        self.book(|book| book.revoked.push(request.into_inner().token));
        Ok(Response::new(RevokeTokenResponse { revision: "1-7".into() }))
    }
}

#[tonic::async_trait]
impl IntrospectionService for Fake {
    async fn introspect(&self, request: Request<IntrospectRequest>) -> Result<Response<IntrospectResponse>, Status> {
        self.called("Introspect", &request);
        client(request.metadata())?;
        let IntrospectRequest { token, required_scopes, .. } = request.into_inner();
        let revoked = self.book(|book| !book.forgetful && book.revoked.contains(&token));
        if revoked || !token.contains('.') {
            return Ok(Response::new(IntrospectResponse::default()));
        }
        let required = required_scopes.unwrap_or_default();
        let missing_scopes: Vec<String> = required.all_of.into_iter().filter(|s| s != "orders:read").collect();
        Ok(Response::new(IntrospectResponse {
            active: true,
            allowed: missing_scopes.is_empty(),
            missing_scopes,
            scope: "orders:read".into(),
            aud: vec!["demo-resource".into()],
            jti: "jti".into(),
            ..IntrospectResponse::default()
        }))
    }

    async fn batch_introspect(
        &self,
        _: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        Err(Status::unimplemented("the command line asks for one"))
    }

    type StreamIntrospectStream = Empty<Result<StreamIntrospectResponse, Status>>;

    async fn stream_introspect(
        &self,
        _: Request<Streaming<StreamIntrospectRequest>>,
    ) -> Result<Response<Self::StreamIntrospectStream>, Status> {
        Err(Status::unimplemented("the command line asks for one"))
    }
}
