//! The `oauth2` crate, fed from the RFC 8414 document.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse, BasicTokenType};
use oauth2::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointSet, HttpRequest,
    HttpResponse, IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError,
    ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl, Scope, StandardRevocableToken,
    TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl,
};
use rstest::rstest;
use serde::Deserialize;
use tessera_testkit::pair::Backend;
use tessera_tests::person::parameter;
use tessera_tests::{Client, request};

use crate::cast::{AUDIENCE, Cast, PASSWORD, REDIRECT_URI, USERNAME};

/// A client of the crate's that knows the authorization, introspection, revocation and token endpoints.
type Library = BasicClient<EndpointSet, oauth2::EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

type Refusal = RequestTokenError<Unreachable, oauth2::basic::BasicErrorResponse>;

/// The members of RFC 8414 that the crate has a place for.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: AuthUrl,
    token_endpoint: TokenUrl,
    introspection_endpoint: IntrospectionUrl,
    revocation_endpoint: String,
    grant_types_supported: Vec<String>,
    code_challenge_methods_supported: Vec<String>,
}

/// The issuer could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct Unreachable(anyhow::Error);

/// A cast, and what the issuer says of itself.
struct Journey {
    cast: Cast,
    metadata: Metadata,
}

#[rstest]
#[case::sqlite(Backend::Sqlite, "RS256")]
#[case::postgres(Backend::Postgres, "ES256")]
#[tokio::test(flavor = "multi_thread")]
async fn the_oauth2_crate_runs_every_grant_from_the_metadata_alone(
    #[case] backend: Backend,
    #[case] algorithm: &str,
) -> Result<()> {
    let Some(cast) = Cast::assemble(backend, algorithm).await? else { return Ok(()) };
    let journey = Journey::begin(cast).await?;
    journey.client_credentials().await.context("client_credentials")?;
    journey.password().await.context("password")?;
    let web = &journey.cast.web;
    let issued = journey.authorization_code(web).await.context("authorization_code")?;
    journey.refresh_and_revoke(web, issued).await.context("refresh_token")?;
    // Before it is allowed: who has allowed it is not asked again.
    journey.denied().await.context("a denial")?;
    let app = &journey.cast.app;
    let issued = journey.authorization_code(app).await.context("a public client")?;
    journey.refresh_and_revoke(app, issued).await.context("a public client's refresh_token")?;
    journey.refusals().await.context("refusals")
}

impl Journey {
    async fn begin(cast: Cast) -> Result<Self> {
        let issuer = cast.world.pair.ports.issuer_http;
        let answer = request(issuer, "GET", "/.well-known/oauth-authorization-server", &[], "").await?;
        let metadata: Metadata = serde_json::from_str(&answer.body)?;
        ensure!(metadata.issuer == cast.world.pair.ports.issuer_url(), "the issuer that was asked");
        for grant in ["authorization_code", "client_credentials", "password", "refresh_token"] {
            ensure!(metadata.grant_types_supported.iter().any(|listed| listed == grant), "{grant} is not listed");
        }
        ensure!(metadata.code_challenge_methods_supported == ["S256"], "PKCE");
        Ok(Self { cast, metadata })
    }

    fn library(&self, client: &Client) -> Result<Library> {
        // The crate revokes over https only, and there is no TLS on the loopback: `send` takes it off, as a proxy would.
        let revocation = self.metadata.revocation_endpoint.replacen("http://", "https://", 1);
        let library = BasicClient::new(ClientId::new(client.id.clone()))
            .set_auth_uri(self.metadata.authorization_endpoint.clone())
            .set_token_uri(self.metadata.token_endpoint.clone())
            .set_introspection_url(self.metadata.introspection_endpoint.clone())
            .set_revocation_url(RevocationUrl::new(revocation)?)
            .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned())?);
        let secret = (!client.secret.is_empty()).then(|| ClientSecret::new(client.secret.clone()));
        Ok(match secret {
            Some(secret) => library.set_client_secret(secret),
            None => library,
        })
    }

    async fn client_credentials(&self) -> Result<()> {
        let service = &self.cast.world.service;
        for method in [AuthType::BasicAuth, AuthType::RequestBody] {
            let library = self.library(service)?.set_auth_type(method);
            let asked = library.exchange_client_credentials().add_scope(Scope::new("orders:read".to_owned()));
            let issued = asked.request_async(&send).await?;
            ensure!(issued.token_type() == &BasicTokenType::Bearer && issued.expires_in().is_some(), "{issued:?}");
            ensure!(scopes(&issued) == ["orders:read"] && issued.refresh_token().is_none(), "{issued:?}");
            ensure!(self.is_active(issued.access_token(), service).await?, "active");
            self.revoke(service, issued.access_token().clone().into()).await?;
            ensure!(!self.is_active(issued.access_token(), service).await?, "revoked");
        }
        ensure!(!self.is_active(&AccessToken::new("never-issued".to_owned()), service).await?, "never issued");
        Ok(())
    }

    async fn password(&self) -> Result<()> {
        let shop = &self.cast.shop;
        let library = self.library(shop)?;
        let username = ResourceOwnerUsername::new(USERNAME.to_owned());
        let password = ResourceOwnerPassword::new(PASSWORD.to_owned());
        let issued = library.exchange_password(&username, &password).request_async(&send).await?;
        ensure!(self.is_active(issued.access_token(), shop).await?, "active");
        Ok(())
    }

    async fn authorization_code(&self, client: &Client) -> Result<BasicTokenResponse> {
        let library = self.library(client)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = library
            .authorize_url(CsrfToken::new_random)
            .add_scopes(["orders:read", "orders:write"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        let back = self.cast.decide(url.as_str(), true).await?;
        self.came_back(&back, &state)?;
        let code = AuthorizationCode::new(parameter(&back, "code").context("a code")?);
        let issued = library.exchange_code(code).set_pkce_verifier(verifier).request_async(&send).await?;
        ensure!(scopes(&issued) == ["orders:read", "orders:write"], "{issued:?}");
        ensure!(self.is_active(issued.access_token(), client).await?, "active");
        Ok(issued)
    }

    /// What the crate leaves to its caller: the redirect URI, `state`, and `iss` (RFC 9207 section 2.4).
    fn came_back(&self, back: &str, state: &CsrfToken) -> Result<()> {
        ensure!(back.starts_with(REDIRECT_URI), "{back}");
        ensure!(parameter(back, "state").as_ref() == Some(state.secret()), "{back}");
        ensure!(parameter(back, "iss").as_ref() == Some(&self.metadata.issuer), "{back}");
        Ok(())
    }

    async fn refresh_and_revoke(&self, client: &Client, issued: BasicTokenResponse) -> Result<()> {
        let library = self.library(client)?;
        let first = issued.refresh_token().context("a refresh token")?;
        let next = library.exchange_refresh_token(first).request_async(&send).await?;
        let second = next.refresh_token().context("another refresh token")?;
        ensure!(second.secret() != first.secret(), "it is not another");
        ensure!(self.is_active(next.access_token(), client).await?, "active");
        let last = library.exchange_refresh_token(second).request_async(&send).await?;
        let third = last.refresh_token().context("a third refresh token")?;
        self.revoke(client, third.clone().into()).await?;
        ensure!(!self.is_active(last.access_token(), client).await?, "its access token has ended with it");
        let refused = library.exchange_refresh_token(third).request_async(&send).await;
        ensure!(code(refused)? == BasicErrorResponseType::InvalidGrant, "invalid_grant");
        Ok(())
    }

    async fn denied(&self) -> Result<()> {
        let (challenge, _) = PkceCodeChallenge::new_random_sha256();
        let library = self.library(&self.cast.app)?;
        let (url, state) = library.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge).url();
        let back = self.cast.decide(url.as_str(), false).await?;
        self.came_back(&back, &state)?;
        ensure!(parameter(&back, "error").as_deref() == Some("access_denied"), "{back}");
        ensure!(parameter(&back, "code").is_none(), "{back}");
        Ok(())
    }

    async fn refusals(&self) -> Result<()> {
        let wrong = Client { secret: "wrong".to_owned(), ..self.cast.world.service.clone() };
        let refused = self.library(&wrong)?.exchange_client_credentials().request_async(&send).await;
        ensure!(code(refused)? == BasicErrorResponseType::InvalidClient, "invalid_client");
        let never = RefreshToken::new("never-issued".to_owned());
        let refused = self.library(&self.cast.app)?.exchange_refresh_token(&never).request_async(&send).await;
        ensure!(code(refused)? == BasicErrorResponseType::InvalidGrant, "invalid_grant");
        Ok(())
    }

    async fn revoke(&self, client: &Client, token: StandardRevocableToken) -> Result<()> {
        Ok(self.library(client)?.revoke_token(token)?.request_async(&send).await?)
    }

    /// Asks as the resource server.
    async fn is_active(&self, token: &AccessToken, owner: &Client) -> Result<bool> {
        let told = self.library(&self.cast.world.resource)?.introspect(token).request_async(&send).await?;
        if told.active() {
            ensure!(told.client_id().is_some_and(|id| id.as_str() == owner.id), "whose it is: {told:?}");
            ensure!(told.iss() == Some(&self.metadata.issuer), "who issued it: {told:?}");
            ensure!(told.aud() == Some(&vec![AUDIENCE.to_owned()]), "what it is for: {told:?}");
            ensure!(told.exp().is_some() && told.sub().is_some() && told.jti().is_some(), "{told:?}");
        }
        Ok(told.active())
    }
}

fn scopes(issued: &BasicTokenResponse) -> Vec<&str> {
    issued.scopes().into_iter().flatten().map(|scope| scope.as_str()).collect()
}

/// The error code of a refusal, as the crate reads it.
fn code(outcome: Result<BasicTokenResponse, Refusal>) -> Result<BasicErrorResponseType> {
    match outcome {
        Err(RequestTokenError::ServerResponse(refusal)) => Ok(refusal.error().clone()),
        other => anyhow::bail!("not a refusal: {other:?}"),
    }
}

/// The crate's HTTP: it goes wherever the URL says.
async fn send(asked: HttpRequest) -> Result<HttpResponse, Unreachable> {
    exchange(asked).await.map_err(Unreachable)
}

async fn exchange(asked: HttpRequest) -> Result<HttpResponse> {
    let (parts, body) = asked.into_parts();
    let at: SocketAddr = parts.uri.authority().context("an absolute URL")?.as_str().parse()?;
    let path = parts.uri.path_and_query().context("a path")?.as_str();
    let mut headers = Vec::new();
    for (name, value) in &parts.headers {
        headers.push((name.as_str(), value.to_str()?));
    }
    let answer = request(at, parts.method.as_str(), path, &headers, body).await?;
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in answer.head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        response = response.header(name, value.trim());
    }
    Ok(response.body(answer.body.into_bytes())?)
}
