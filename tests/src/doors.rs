//! Token requests through either door of an issuer, HTTP and gRPC, with what came of them in one form for both.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tessera_api::oauth::v1::issue_token_request::Grant as Wire;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{
    AuthorizationCodeGrant, ClientCredentialsGrant, IssueTokenRequest, PasswordGrant, RefreshTokenGrant,
    RevokeTokenRequest,
};
use tessera_testkit::pair::Pair;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::{Answer, Client, as_client, channel, post, reason};

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The RFC's form endpoints.
    Http,
    /// `tessera.oauth.v1.TokenService`.
    Grpc,
}

/// Both.
pub const BOTH: [Door; 2] = [Door::Http, Door::Grpc];

/// Where an issuer listens.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Its HTTP.
    pub http: SocketAddr,
    /// Its gRPC.
    pub grpc: SocketAddr,
}

impl At {
    /// The pair's own issuer.
    #[must_use]
    pub fn of(pair: &Pair) -> Self {
        Self { http: pair.ports.issuer_http, grpc: pair.ports.issuer_grpc }
    }
}

/// A grant with its parameters; what is empty is absent.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 4.3: identifier and password.
    Password(&'a str, &'a str),
    /// RFC 6749 section 6: the refresh token.
    Refresh(&'a str),
    /// RFC 6749 section 4.1.3.
    Code {
        /// The code.
        code: &'a str,
        /// The redirect URI.
        redirect: &'a str,
        /// The verifier.
        verifier: &'a str,
    },
}

/// What was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token, where there is one.
    pub refresh: Option<String>,
    /// The scopes.
    pub scope: String,
}

impl Tokens {
    /// The refresh token there must be.
    pub fn refresh(&self) -> Result<&str> {
        self.refresh.as_deref().context("no refresh token")
    }
}

/// What was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The OAuth error code.
    pub error: String,
    /// The reason, over gRPC.
    pub reason: Option<String>,
    /// Whether there were too many attempts.
    pub throttled: bool,
    /// How long to wait, where that is said.
    pub wait: Option<Duration>,
}

/// Either.
pub type Outcome = std::result::Result<Tokens, Refusal>;

/// Each error code, and what it is over HTTP and over gRPC.
const CODES: &[(&str, u16, Code)] = &[
    ("invalid_request", 400, Code::InvalidArgument),
    ("invalid_scope", 400, Code::InvalidArgument),
    ("invalid_target", 400, Code::InvalidArgument),
    ("unsupported_grant_type", 400, Code::InvalidArgument),
    ("invalid_client", 401, Code::Unauthenticated),
    ("invalid_grant", 400, Code::FailedPrecondition),
    ("unauthorized_client", 400, Code::PermissionDenied),
    ("temporarily_unavailable", 429, Code::ResourceExhausted),
    ("temporarily_unavailable", 503, Code::Unavailable),
];

impl At {
    /// Asks for tokens; an error where the answer is none that the contract knows.
    pub async fn ask(self, door: Door, client: &Client, grant: Grant<'_>, scope: &str) -> Result<Outcome> {
        match door {
            Door::Http => self.ask_http(client, grant, scope).await,
            Door::Grpc => self.ask_grpc(client, grant, scope).await,
        }
    }

    /// Gets tokens.
    pub async fn issue(self, door: Door, client: &Client, grant: Grant<'_>) -> Result<Tokens> {
        let outcome = self.ask(door, client, grant, "").await?;
        outcome.map_err(|refusal| anyhow::anyhow!("{grant:?} over {door:?}: {refusal:?}"))
    }

    /// Gets refused, through both doors alike; returns what was said last.
    pub async fn refuses(self, client: &Client, grant: Grant<'_>, scope: &str, error: &str) -> Result<Refusal> {
        let mut said = None;
        for door in BOTH {
            let outcome = self.ask(door, client, grant, scope).await?;
            let refusal = outcome.err().with_context(|| format!("{grant:?} over {door:?} was issued"))?;
            ensure!(refusal.error == error, "{grant:?} over {door:?}: {refusal:?}, not {error}");
            said = Some(refusal);
        }
        said.context("there are doors")
    }

    /// Revokes a token through a door; an error where that is refused.
    pub async fn revoke(self, door: Door, client: &Client, token: &str, hint: &str) -> Result<()> {
        match door {
            Door::Http => {
                let fields = [("token", token), ("token_type_hint", hint)];
                let answer = post_as(self.http, "/oauth2/revoke", client, &fields).await?;
                ensure!(answer.status == 200, "{answer:?}");
                ensure!(answer.header("cache-control") == Some("no-store"), "{answer:?}");
            }
            Door::Grpc => {
                let (token, token_type_hint) = (token.to_owned(), hint.to_owned());
                let message = RevokeTokenRequest { token, token_type_hint, ..RevokeTokenRequest::default() };
                let message = RevokeTokenRequest { client_id: public_id(client), ..message };
                let mut service = TokenServiceClient::new(channel(self.grpc).await?);
                service.revoke_token(authenticated(client, message)?).await?;
            }
        }
        Ok(())
    }

    async fn ask_http(self, client: &Client, grant: Grant<'_>, scope: &str) -> Result<Outcome> {
        let mut fields = form_of(grant);
        fields.push(("scope", scope));
        let answer = post_as(self.http, "/oauth2/token", client, &fields).await?;
        ensure!(answer.header("cache-control") == Some("no-store"), "{answer:?}");
        ensure!(answer.header("pragma") == Some("no-cache"), "{answer:?}");
        ensure!(answer.header("content-type") == Some("application/json"), "{answer:?}");
        if answer.status == 200 { issued(&answer).map(Ok) } else { refused(&answer).map(Err) }
    }

    async fn ask_grpc(self, client: &Client, grant: Grant<'_>, scope: &str) -> Result<Outcome> {
        let message = IssueTokenRequest {
            client_id: public_id(client),
            scopes: scope.split_ascii_whitespace().map(str::to_owned).collect(),
            grant: Some(message_of(grant)),
            ..IssueTokenRequest::default()
        };
        let mut service = TokenServiceClient::new(channel(self.grpc).await?);
        match service.issue_token(authenticated(client, message)?).await {
            Ok(response) => {
                let response = response.into_inner();
                ensure!(response.token_type == "Bearer" && response.expires_in.is_some(), "{}", response.token_type);
                let refresh = Some(response.refresh_token).filter(|token| !token.is_empty());
                Ok(Ok(Tokens { access: response.access_token, refresh, scope: response.scope }))
            }
            Err(status) => refused_by(&status).map(Err),
        }
    }
}

/// Posts a form as a client: a public one names itself in it.
pub async fn post_as(at: SocketAddr, path: &str, client: &Client, fields: &[(&str, &str)]) -> Result<Answer> {
    if client.secret.is_empty() {
        return post(at, path, None, &[fields, &[("client_id", &client.id)]].concat()).await;
    }
    post(at, path, Some(client), fields).await
}

fn public_id(client: &Client) -> String {
    if client.secret.is_empty() { client.id.clone() } else { String::new() }
}

fn authenticated<T>(client: &Client, message: T) -> Result<Request<T>> {
    if client.secret.is_empty() { Ok(Request::new(message)) } else { as_client(client, message) }
}

fn form_of(grant: Grant<'_>) -> Vec<(&str, &str)> {
    match grant {
        Grant::ClientCredentials => vec![("grant_type", "client_credentials")],
        Grant::Password(username, password) => {
            vec![("grant_type", "password"), ("username", username), ("password", password)]
        }
        Grant::Refresh(token) => vec![("grant_type", "refresh_token"), ("refresh_token", token)],
        Grant::Code { code, redirect, verifier } => vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ],
    }
}

fn message_of(grant: Grant<'_>) -> Wire {
    match grant {
        Grant::ClientCredentials => Wire::ClientCredentials(ClientCredentialsGrant {}),
        Grant::Password(username, password) => {
            Wire::Password(PasswordGrant { username: username.to_owned(), password: password.to_owned() })
        }
        Grant::Refresh(token) => Wire::RefreshToken(RefreshTokenGrant { refresh_token: token.to_owned() }),
        Grant::Code { code, redirect, verifier } => Wire::AuthorizationCode(AuthorizationCodeGrant {
            code: code.to_owned(),
            redirect_uri: redirect.to_owned(),
            code_verifier: verifier.to_owned(),
        }),
    }
}

fn issued(answer: &Answer) -> Result<Tokens> {
    let json = answer.json()?;
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    ensure!(json["token_type"] == "Bearer" && json["expires_in"].is_u64(), "{}", answer.body);
    Ok(Tokens {
        access: text("access_token").context("no access token")?,
        refresh: text("refresh_token"),
        scope: text("scope").context("no scope")?,
    })
}

fn refused(answer: &Answer) -> Result<Refusal> {
    let json = answer.json()?;
    let error = json["error"].as_str().unwrap_or_default().to_owned();
    ensure!(CODES.iter().any(|(code, http, _)| *code == error && *http == answer.status), "{answer:?}");
    ensure!(json["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    ensure!(json.as_object().is_some_and(|members| members.values().all(Value::is_string)), "{answer:?}");
    let wait = answer.header("retry-after").map(str::parse).transpose()?.map(Duration::from_secs);
    Ok(Refusal { error, reason: None, throttled: answer.status == 429, wait })
}

fn refused_by(status: &Status) -> Result<Refusal> {
    let info = status.get_details_error_info().with_context(|| format!("no ErrorInfo: {status:?}"))?;
    let error = info.metadata.get("oauth_error").cloned().unwrap_or_default();
    ensure!(CODES.iter().any(|(code, _, rpc)| *code == error && *rpc == status.code()), "{status:?}");
    ensure!(info.domain == "tessera", "{status:?}");
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let throttled = status.code() == Code::ResourceExhausted;
    Ok(Refusal { error, reason: Some(reason(status)), throttled, wait })
}
