//! How a client authenticates over HTTP: in the header or in the body, never both (RFC 6749 section 2.3).

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::response::Response;
use tessera_kit::http::error::{self, Challenge};
use tessera_kit::http::{Authorization, AuthorizationError, BearerToken, Credentials, Form};
use tessera_types::{ErrorCode, Failure, PresentedSecret};

use crate::client_auth::{AuthMethod, PresentedClient};

/// What is wrong with the way a client presents itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The header is malformed.
    #[error(transparent)]
    Header(#[from] AuthorizationError),
    /// Header and body both.
    #[error("two client authentications")]
    Twice,
    /// Neither.
    #[error("no client authentication")]
    Missing,
    /// A method that this server does not know.
    #[error("client assertions are not supported")]
    Assertion,
}

impl Failure for ClientError {
    fn code(&self) -> ErrorCode {
        match self {
            // RFC 6749 section 5.2: who tried the header is answered 401 with a challenge.
            Self::Header(AuthorizationError::Bearer) | Self::Missing | Self::Assertion => ErrorCode::InvalidClient,
            Self::Header(error) => error.code(),
            Self::Twice => ErrorCode::InvalidRequest,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Header(error) => error.reason(),
            Self::Twice => "TWO_CLIENT_AUTHENTICATIONS",
            Self::Missing => "CLIENT_AUTHENTICATION_MISSING",
            Self::Assertion => "CLIENT_ASSERTION_UNSUPPORTED",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Header(error) => error.advice(),
            Self::Twice => {
                "The client authenticates twice. Use either the Authorization header or client_secret in the body."
            }
            Self::Missing => {
                "The client does not authenticate. Send Authorization: Basic, or client_id and client_secret in the body."
            }
            Self::Assertion => {
                "Client assertions are not supported. Use Authorization: Basic, or client_secret in the body."
            }
        }
    }
}

/// Who calls an endpoint.
pub(super) enum Presented {
    /// A client.
    Client(PresentedClient),
    /// Whoever holds this token.
    Bearer(BearerToken),
}

/// What a request presents.
pub(super) fn presented(headers: &HeaderMap, form: &mut Form, from: Option<IpAddr>) -> Result<Presented, ClientError> {
    let id = form.take("client_id");
    let secret = form.take("client_secret");
    let assertion = form.take("client_assertion").is_some() || form.take("client_assertion_type").is_some();
    match Authorization::from_headers(headers)? {
        Some(_) if secret.is_some() || assertion => Err(ClientError::Twice),
        Some(Authorization::Basic(credentials)) => basic(credentials, id.as_deref(), from).map(Presented::Client),
        Some(Authorization::Bearer(_)) if id.is_some() => Err(ClientError::Twice),
        Some(Authorization::Bearer(token)) => Ok(Presented::Bearer(token)),
        None if assertion && secret.is_some() => Err(ClientError::Twice),
        None if assertion => Err(ClientError::Assertion),
        None => post(id, secret, from).map(Presented::Client),
    }
}

/// The client of a request to an endpoint that takes nobody else.
pub(super) fn client(
    headers: &HeaderMap,
    form: &mut Form,
    from: Option<IpAddr>,
) -> Result<PresentedClient, ClientError> {
    match presented(headers, form, from)? {
        Presented::Client(client) => Ok(client),
        Presented::Bearer(_) => Err(AuthorizationError::Scheme.into()),
    }
}

/// The same `client_id` in the body beside the header is no second authentication; another one is.
fn basic(
    credentials: Credentials,
    in_body: Option<&str>,
    from: Option<IpAddr>,
) -> Result<PresentedClient, ClientError> {
    let id = credentials.client_id.to_string();
    if in_body.is_some_and(|other| other != id) {
        return Err(ClientError::Twice);
    }
    Ok(PresentedClient { id, secret: credentials.secret, method: AuthMethod::Basic, from })
}

fn post(id: Option<String>, secret: Option<String>, from: Option<IpAddr>) -> Result<PresentedClient, ClientError> {
    let id = id.ok_or(ClientError::Missing)?;
    let method = if secret.is_some() { AuthMethod::Post } else { AuthMethod::None };
    Ok(PresentedClient { id, secret: secret.and_then(PresentedSecret::new), method, from })
}

/// The answer for a failure: a challenge wherever a credential was refused, and ours are logged.
pub(super) fn refused(failure: &dyn Failure) -> Response {
    crate::report::internal(failure);
    match failure.code() {
        ErrorCode::InvalidClient => error::challenged(failure, Challenge::Basic),
        ErrorCode::InvalidToken | ErrorCode::InsufficientScope => error::challenged(failure, Challenge::Bearer),
        _ => error::response(failure),
    }
}
