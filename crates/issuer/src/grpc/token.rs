//! `tessera.oauth.v1.TokenService`.

use std::net::IpAddr;

use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_server::TokenService;
use tessera_api::oauth::v1::{IssueTokenRequest, IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse};
use tessera_types::scope::reserved;
use tessera_types::{GrantType, Scope, ScopeSet};
use tonic::{Request, Response, Status};

use super::{access, wire};
use crate::context::{Context, Policy};
use crate::grants::{self, GrantRequest, ParameterError, TokenRequest};
use crate::operations::revoke::{self, Authority};

/// The service.
pub(crate) struct Tokens(pub Context);

#[tonic::async_trait]
impl TokenService for Tokens {
    async fn issue_token(&self, request: Request<IssueTokenRequest>) -> Result<Response<IssueTokenResponse>, Status> {
        let request = token_request(&self.0.policy, request)?;
        let minted = grants::issue(&self.0, request).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(IssueTokenResponse {
            access_token: minted.access_token,
            token_type: "Bearer".to_owned(),
            expires_in: Some(wire::duration(minted.expires_in)),
            scope: minted.scopes.to_string(),
            refresh_token: minted.refresh_token.map(|token| token.to_string()).unwrap_or_default(),
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        if request.get_ref().token.is_empty() {
            return Err(wire::invalid("token", "The token to revoke is missing."));
        }
        let (cx, authority) = self.authority(&request).await?;
        let token = request.into_inner().token;
        let revision = revoke::revoke(&cx, authority, &token).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(RevokeTokenResponse { revision: revision.to_string() }))
    }
}

impl Tokens {
    async fn authority(&self, request: &Request<RevokeTokenRequest>) -> Result<(Context, Authority), Status> {
        let fields = request.get_ref();
        let unnamed = fields.client_id.is_empty() && fields.client_secret.is_empty();
        if unnamed && access::is_of_an_administrator(&self.0, request)? {
            let cx = access::allow(&self.0, request, &[reserved::ADMIN]).await?;
            return Ok((cx, Authority::Administrator));
        }
        let presented = access::presented(request, &fields.client_id, &fields.client_secret)?;
        Ok((self.0.clone(), Authority::Client(presented)))
    }
}

fn token_request(policy: &Policy, request: Request<IssueTokenRequest>) -> Result<TokenRequest, Status> {
    let client = access::presented(&request, &request.get_ref().client_id, &request.get_ref().client_secret)?;
    let message = request.into_inner();
    let grant = grant(policy, message.grant, client.from).map_err(|error| access::refused(&error))?;
    let scopes: Result<ScopeSet, _> = message.scopes.iter().map(|scope| scope.parse::<Scope>()).collect();
    let scopes = scopes.map_err(|_| access::refused(&ParameterError::Scope))?;
    let audience = Some(message.audience).filter(|text| !text.is_empty()).map(|text| text.parse());
    let audience = audience.transpose().map_err(|_| access::refused(&ParameterError::Audience))?;
    Ok(TokenRequest { client, grant, scopes, audience })
}

fn grant(policy: &Policy, wire: Option<Grant>, from: Option<IpAddr>) -> Result<GrantRequest, ParameterError> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    match wire {
        None => Err(ParameterError::GrantTypeMissing),
        Some(Grant::ClientCredentials(_)) => Ok(GrantRequest::ClientCredentials),
        Some(Grant::Password(password)) => {
            grants::must_be_supported(policy, GrantType::Password)?;
            GrantRequest::password(given(password.username), given(password.password), from)
        }
        Some(Grant::RefreshToken(refresh)) => GrantRequest::refresh_token(given(refresh.refresh_token)),
        Some(Grant::AuthorizationCode(code)) => {
            GrantRequest::authorization_code(given(code.code), given(code.redirect_uri), given(code.code_verifier))
        }
    }
}
