//! Connections to the two servers, and the administrator's token.

use std::path::Path;
use std::time::Duration;

use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest, IssueTokenResponse};
use tessera_types::scope::reserved;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as Transport, Identity};
use tonic::{Code, Request};
use zeroize::Zeroizing;

use crate::credential::{Caller, Credential, sensitive};
use crate::endpoint::Endpoint;
use crate::local::chain;
use crate::problem::{Exit, Problem};
use crate::settings::Settings;

/// How long a connection may take to be made; a call may take longer.
const CONNECT: Duration = Duration::from_secs(5);

/// Connects to a server.
///
/// # Errors
/// Unavailable, where nobody answers.
pub async fn connect(endpoint: &Endpoint, settings: &Settings) -> Result<Channel, Problem> {
    let mut transport = Transport::from(endpoint.uri())
        .connect_timeout(CONNECT.min(settings.timeout))
        .tcp_nodelay(true)
        .user_agent(concat!("tessera-cli/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| Problem::internal("TRANSPORT", error.to_string()))?;
    if endpoint.is_encrypted() {
        transport = transport
            .tls_config(tls(settings)?)
            .map_err(|error| Problem::internal("TLS", format!("cannot set up TLS: {}", chain(&error))))?;
    }
    transport.connect().await.map_err(|error| {
        let problem =
            Problem::unavailable("CANNOT_CONNECT", format!("cannot connect to {endpoint}: {}", chain(&error)));
        if endpoint.is_loopback() {
            return problem.hint("is it running? `tessera dev` starts issuer and introspector on this machine");
        }
        problem.hint("check the address (tessera context list) and the network")
    })
}

fn tls(settings: &Settings) -> Result<ClientTlsConfig, Problem> {
    let read = |reason, path: &Path| {
        let read = std::fs::read(path).map(Zeroizing::new);
        read.map_err(|error| Problem::usage(reason, format!("cannot read {}: {error}", path.display())))
    };
    let tls = match &settings.ca_file {
        Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("CA_FILE", path)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    let Some((certificate, key)) = &settings.own_certificate else { return Ok(tls) };
    Ok(tls.identity(Identity::from_pem(read("CERT_FILE", certificate)?, read("KEY_FILE", key)?)))
}

/// A request that ends after the timeout, here and at the server. Without an authorization it is the certificate's.
pub fn request<T>(message: T, authorization: impl Into<Option<MetadataValue<Ascii>>>, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(authorization) = authorization.into() {
        request.metadata_mut().insert("authorization", authorization);
    }
    request.set_timeout(timeout);
    request
}

/// Gets a token for the client itself (RFC 6749 section 4.4).
///
/// # Errors
/// What the issuer says.
pub async fn client_credentials(
    channel: Channel,
    credential: &Credential,
    scopes: Vec<String>,
    audience: String,
    timeout: Duration,
) -> Result<IssueTokenResponse, Problem> {
    let grant = Some(Grant::ClientCredentials(ClientCredentialsGrant {}));
    let message = IssueTokenRequest { scopes, audience, grant, ..IssueTokenRequest::default() };
    let answer = TokenServiceClient::new(channel).issue_token(request(message, credential.basic()?, timeout)).await?;
    Ok(answer.into_inner())
}

/// Runs a grant for a client that may have no secret.
///
/// # Errors
/// What the issuer says.
pub async fn issue(
    channel: Channel,
    caller: &Caller,
    message: IssueTokenRequest,
    timeout: Duration,
) -> Result<IssueTokenResponse, Problem> {
    let request = if let Some(credential) = caller.credential() {
        request(message, credential.basic()?, timeout)
    } else {
        let mut named = Request::new(IssueTokenRequest { client_id: caller.client_id.to_string(), ..message });
        named.set_timeout(timeout);
        named
    };
    match TokenServiceClient::new(channel).issue_token(request).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) if status.code() == Code::Unauthenticated && caller.secret.is_none() => {
            let hint = "the client was named without a secret: if it has one, pass --secret-stdin or --secret-file";
            Err(Problem::from(status).hint(hint))
        }
        Err(status) => Err(status.into()),
    }
}

/// What an administrator is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look.
    Read,
    /// Change.
    Write,
}

/// A connection to the issuer with an administrator's token, or one whose certificate says enough.
pub struct Administrator {
    channel: Channel,
    bearer: Option<MetadataValue<Ascii>>,
    timeout: Duration,
}

impl Administrator {
    /// Gets the token: `tessera.admin`, or for looking also `tessera.admin.read` where the client has no more than that.
    ///
    /// # Errors
    /// What the issuer says.
    pub async fn sign_in(
        channel: Channel,
        credential: &Credential,
        access: Access,
        timeout: Duration,
    ) -> Result<Self, Problem> {
        let ask = |scope: &str| {
            client_credentials(channel.clone(), credential, vec![scope.to_owned()], String::new(), timeout)
        };
        let response = match ask(reserved::ADMIN).await {
            Err(problem) if access == Access::Read && problem.exit == Exit::Usage => {
                ask(reserved::ADMIN_READ).await.map_err(|_| may_not(problem, credential))?
            }
            Err(problem) if problem.exit == Exit::Usage => return Err(may_not(problem, credential)),
            answer => answer?,
        };
        let token = Zeroizing::new(response.access_token);
        let bearer = sensitive(&Zeroizing::new(format!("Bearer {}", *token)))?;
        Ok(Self { channel, bearer: Some(bearer), timeout })
    }

    /// Takes a connection over which a certificate was presented.
    #[must_use]
    pub const fn by_certificate(channel: Channel, timeout: Duration) -> Self {
        Self { channel, bearer: None, timeout }
    }

    /// The connection.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A request as this administrator.
    pub fn request<T>(&self, message: T) -> Request<T> {
        request(message, self.bearer.clone(), self.timeout)
    }
}

/// A refused `tessera.admin` is not a slip in the command line: the client may not administer.
fn may_not(problem: Problem, credential: &Credential) -> Problem {
    let message = format!("the client `{}` may not administer: {}", credential.client_id, problem.message);
    Problem { exit: Exit::Denied, message, ..problem }
        .hint("use a client that may ask for tessera.admin (TESSERA_CLIENT_ID or a context)")
}
