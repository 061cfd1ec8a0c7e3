//! What the black-box tests share: a pair in real processes, and plain clients of it.
//!
//! Every test runs on the databases it names; where PostgreSQL is not installed its cases say so and pass, except in CI.

pub mod asking;
pub mod browser;
pub mod cast;
pub mod doors;
pub mod people;
pub mod person;
pub mod receiver;
pub mod refusal;
pub mod rpcs;
pub mod shared;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tessera_api::introspection::v1::introspection_service_client::IntrospectionServiceClient;
use tessera_api::introspection::v1::{IntrospectRequest, IntrospectResponse};
use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest, RevokeTokenRequest};
use tessera_testkit::pair::{Backend, Options, Pair};
use tessera_testkit::process;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// How long something may take that is bound to come, on a busy machine.
pub const EVENTUALLY: Duration = Duration::from_secs(30);

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until there is something to see; an error ends it at once.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let seen = async {
        loop {
            looks.tick().await;
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
        }
    };
    tokio::time::timeout(EVENTUALLY, seen).await.with_context(|| format!("waited in vain: {what}"))?
}

/// What `cargo xtask test` has found, by the name of its variable; `None`, with a word, where it is to be left out.
pub fn tool(variable: &str) -> Result<Option<PathBuf>> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(Some(PathBuf::from(path)));
    }
    ensure!(std::env::var("CI").as_deref() != Ok("true"), "{variable} is not set, and CI leaves nothing out");
    #[allow(clippy::print_stdout, reason = "a test that was not run says so")]
    {
        println!("left out: {variable} is not set");
    }
    Ok(None)
}

/// A client that may get tokens, and its secret.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// A pair with a client `service` and a resource server `resource` that may introspect its tokens.
pub struct World {
    /// The processes.
    pub pair: Pair,
    /// Gets tokens for the audience `orders-api` with the scopes `orders:read orders:write`.
    pub service: Client,
    /// Introspects tokens for the audience `orders-api`.
    pub resource: Client,
}

/// Starts a world; `None` where the database is not installed.
pub async fn world(backend: Backend) -> Result<Option<World>> {
    world_with(backend, Options::default()).await
}

/// As [`world`], configured.
pub async fn world_with(backend: Backend, options: Options) -> Result<Option<World>> {
    let Some(pair) = Pair::start(backend, &options).await? else { return Ok(None) };
    for scope in ["orders:read", "orders:write"] {
        pair.tessera_json(&["scope", "create", scope])?;
    }
    let service = create_client(
        &pair,
        "service",
        &["--grant", "client_credentials", "--scope", "orders:read", "orders:write", "--audience", "orders-api"],
    )?;
    let resource = create_client(&pair, "resource", &["--resource", "orders-api"])?;
    Ok(Some(World { pair, service, resource }))
}

/// Creates a client by the command line.
pub fn create_client(pair: &Pair, id: &str, arguments: &[&str]) -> Result<Client> {
    let created = pair.tessera_json(&[&["client", "create", "--client-id", id, "--name", id], arguments].concat())?;
    let secret = created["client_secret"].as_str().unwrap_or_default().to_owned();
    Ok(Client { id: id.to_owned(), secret })
}

impl Client {
    /// The value of `Authorization: Basic`, form-encoded as RFC 6749 section 2.3.1 asks.
    #[must_use]
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", form_encode(&self.id), form_encode(&self.secret))))
    }
}

/// Percent-encodes everything that is not unreserved.
#[must_use]
pub fn form_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A form.
#[must_use]
pub fn form(fields: &[(&str, &str)]) -> String {
    fields
        .iter()
        .map(|(name, value)| format!("{}={}", form_encode(name), form_encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, as sent.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {:?} {}", self.head, self.body))
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The `error` member.
    #[must_use]
    pub fn error(&self) -> String {
        self.json().ok().and_then(|json| json["error"].as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Sends a request with these header lines and this body.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Result<Answer> {
    let body = body.as_ref();
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    let (status, head, body) = process::exchange_all(address, bytes).await?;
    Ok(Answer { status, head, body })
}

/// The content type of forms.
pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Posts a form.
pub async fn post(address: SocketAddr, path: &str, client: Option<&Client>, fields: &[(&str, &str)]) -> Result<Answer> {
    let basic = client.map(Client::basic);
    let mut headers = vec![FORM];
    if let Some(basic) = &basic {
        headers.push(("authorization", basic));
    }
    request(address, "POST", path, &headers, form(fields)).await
}

/// A channel to a gRPC server.
pub async fn channel(address: SocketAddr) -> Result<Channel> {
    Ok(Channel::from_shared(format!("http://{address}"))?.connect().await?)
}

/// A gRPC request with Basic credentials.
pub fn as_client<T>(client: &Client, message: T) -> Result<Request<T>> {
    with_authorization(&client.basic(), message)
}

/// A gRPC request with a Bearer token.
pub fn as_bearer<T>(token: &str, message: T) -> Result<Request<T>> {
    with_authorization(&format!("Bearer {token}"), message)
}

/// A gRPC request with an `authorization` value.
pub fn with_authorization<T>(value: &str, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    let mut value: MetadataValue<_> = value.parse()?;
    value.set_sensitive(true);
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

/// The reason in a status's `google.rpc.ErrorInfo`.
#[must_use]
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

impl World {
    /// Gets a token by gRPC.
    pub async fn token(&self) -> Result<String> {
        token(self.pair.ports.issuer_grpc, &self.service).await
    }

    /// Asks the introspector by gRPC, as the resource server.
    pub async fn check(&self, token: &str) -> Result<IntrospectResponse, Status> {
        check(self.pair.ports.introspector_grpc, &self.resource, token).await
    }

    /// Asks the issuer by HTTP, as the resource server.
    pub async fn check_at_issuer(&self, token: &str) -> Result<Answer> {
        post(self.pair.ports.issuer_http, "/oauth2/introspect", Some(&self.resource), &[("token", token)]).await
    }

    /// Whether both services say active; an error where they differ or cannot tell.
    pub async fn is_active(&self, token: &str) -> Result<bool> {
        let introspector = self.check(token).await?.active;
        let issuer = self.check_at_issuer(token).await?.json()?["active"].as_bool().context("issuer: no `active`")?;
        ensure!(introspector == issuer, "introspector says {introspector}, issuer says {issuer}");
        Ok(issuer)
    }

    /// As [`is_active`](Self::is_active), where the introspector may first have to find its way back: that it cannot tell is
    /// waited for, and that it tells something else than the issuer is an error.
    pub async fn is_active_again(&self, token: &str) -> Result<bool> {
        eventually("the introspector can tell", async || match self.check(token).await {
            Ok(_) => self.is_active(token).await.map(Some),
            Err(status) if status.code() == Code::Unavailable => Ok(None),
            Err(status) => Err(status.into()),
        })
        .await
    }

    /// Revokes a token by gRPC, as its client; the revision.
    pub async fn revoke(&self, token: &str) -> Result<String, Status> {
        revoke(self.pair.ports.issuer_grpc, &self.service, token).await
    }

    /// Repeats a revocation until it is confirmed, as whoever was told that it is not is asked to.
    pub async fn revoke_until_confirmed(&self, token: &str) -> Result<()> {
        eventually("the revocation is confirmed", async || match self.revoke(token).await {
            Ok(_) => Ok(Some(())),
            Err(status) if reason(&status) == "REVOCATION_UNCONFIRMED" => Ok(None),
            Err(status) => Err(status.into()),
        })
        .await
    }

    /// An administrator's token.
    pub async fn admin_token(&self) -> Result<String> {
        let administrator =
            Client { id: tessera_testkit::pair::ADMINISTRATOR.to_owned(), secret: self.pair.administrator_secret()? };
        token(self.pair.ports.issuer_grpc, &administrator).await
    }

    /// A token that a call of the client gets with these scopes.
    pub async fn token_with(&self, client: &Client, scope: &str, audience: &str) -> Result<Answer> {
        let fields = [("grant_type", "client_credentials"), ("scope", scope), ("audience", audience)];
        post(self.pair.ports.issuer_http, "/oauth2/token", Some(client), &fields).await
    }
}

/// Gets a token by gRPC.
pub async fn token(issuer: SocketAddr, client: &Client) -> Result<String> {
    let message = IssueTokenRequest {
        grant: Some(Grant::ClientCredentials(ClientCredentialsGrant {})),
        ..IssueTokenRequest::default()
    };
    let mut service = TokenServiceClient::new(channel(issuer).await?);
    Ok(service.issue_token(as_client(client, message)?).await?.into_inner().access_token)
}

/// Checks a token by gRPC.
pub async fn check(introspector: SocketAddr, caller: &Client, token: &str) -> Result<IntrospectResponse, Status> {
    let channel = channel(introspector).await.map_err(|error| Status::unavailable(error.to_string()))?;
    check_on(channel, caller, token).await
}

/// Checks a token over a channel there is.
pub async fn check_on(channel: Channel, caller: &Client, token: &str) -> Result<IntrospectResponse, Status> {
    let message = IntrospectRequest { token: token.to_owned(), ..IntrospectRequest::default() };
    let request = as_client(caller, message).map_err(|error| Status::internal(error.to_string()))?;
    IntrospectionServiceClient::new(channel).introspect(request).await.map(tonic::Response::into_inner)
}

/// Revokes a token by gRPC.
pub async fn revoke(issuer: SocketAddr, client: &Client, token: &str) -> Result<String, Status> {
    let channel = channel(issuer).await.map_err(|error| Status::unavailable(error.to_string()))?;
    revoke_on(channel, client, token).await
}

/// Revokes a token over a channel there is; the revision.
pub async fn revoke_on(channel: Channel, client: &Client, token: &str) -> Result<String, Status> {
    let message = RevokeTokenRequest { token: token.to_owned(), ..RevokeTokenRequest::default() };
    let request = as_client(client, message).map_err(|error| Status::internal(error.to_string()))?;
    TokenServiceClient::new(channel).revoke_token(request).await.map(|response| response.into_inner().revision)
}
