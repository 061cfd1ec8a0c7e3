//! `POST /oauth2/token` (RFC 6749 section 3.2).

use std::net::IpAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tessera_kit::http::{Form, FormBody, error, query};
use tessera_types::{Audience, GrantType, ScopeSet};

use super::{client, forwarded};
use crate::client_auth::PresentedClient;
use crate::context::{Context, Policy};
use crate::grants::{self, GrantRequest, ParameterError, TokenRequest};
use crate::minting::Minted;

/// A successful answer (RFC 6749 section 5.1).
#[derive(Serialize)]
struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    scope: String,
}

/// Handles a token request.
pub(super) async fn handle(State(cx): State<Context>, request: Request<Body>) -> Response {
    match answer(&cx, request).await {
        Ok(minted) => success(minted),
        Err(response) => response,
    }
}

async fn answer(cx: &Context, request: Request<Body>) -> Result<Minted, Response> {
    query::refuse_credentials(request.uri()).map_err(|error| client::refused(&error))?;
    let from = forwarded::client(cx, &request);
    let FormBody { headers, mut form } =
        FormBody::read(request, &[]).await.map_err(axum::response::IntoResponse::into_response)?;
    let presented = client::client(&headers, &mut form, from).map_err(|error| client::refused(&error))?;
    let request = token_request(&cx.policy, presented, &mut form).map_err(|error| client::refused(&error))?;
    grants::issue(cx, request).await.map_err(|error| client::refused(&error))
}

fn token_request(policy: &Policy, client: PresentedClient, form: &mut Form) -> Result<TokenRequest, ParameterError> {
    let grant_type = form.take("grant_type").ok_or(ParameterError::GrantTypeMissing)?;
    let grant_type = grant_type.parse().map_err(|_| ParameterError::GrantTypeUnsupported)?;
    grants::must_be_supported(policy, grant_type)?;
    let grant = grant(grant_type, form, client.from)?;
    let scopes = match form.take("scope") {
        Some(text) => text.parse().map_err(|_| ParameterError::Scope)?,
        None => ScopeSet::empty(),
    };
    Ok(TokenRequest { client, grant, scopes, audience: audience(form)? })
}

/// The grant of a request, with its own parameters.
pub(super) fn grant(
    grant_type: GrantType,
    form: &mut Form,
    from: Option<IpAddr>,
) -> Result<GrantRequest, ParameterError> {
    match grant_type {
        GrantType::ClientCredentials => Ok(GrantRequest::ClientCredentials),
        GrantType::Password => GrantRequest::password(form.take("username"), form.take("password"), from),
        GrantType::RefreshToken => GrantRequest::refresh_token(form.take("refresh_token")),
        GrantType::AuthorizationCode => {
            GrantRequest::authorization_code(form.take("code"), form.take("redirect_uri"), form.take("code_verifier"))
        }
    }
}

/// `resource` (RFC 8707: an absolute URI) or `audience`.
fn audience(form: &mut Form) -> Result<Option<Audience>, ParameterError> {
    let resource = form.take("resource");
    let audience = form.take("audience");
    if let Some(resource) = &resource
        && (!is_absolute_uri(resource) || resource.contains('#'))
    {
        return Err(ParameterError::Resource);
    }
    match (resource, audience) {
        (Some(resource), Some(audience)) if resource != audience => Err(ParameterError::Ambiguous),
        (Some(text), _) | (None, Some(text)) => text.parse().map(Some).map_err(|_| ParameterError::Audience),
        (None, None) => Ok(None),
    }
}

fn is_absolute_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

fn success(minted: Minted) -> Response {
    let mut response = Json(TokenAnswer {
        access_token: minted.access_token,
        token_type: "Bearer",
        expires_in: minted.expires_in.as_secs(),
        refresh_token: minted.refresh_token.map(|token| token.to_string()),
        scope: minted.scopes.to_string(),
    })
    .into_response();
    error::no_store(response.headers_mut());
    response
}
