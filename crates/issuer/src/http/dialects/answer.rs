//! Answers as league's clients expect them: `error`, `error_description`, `message` and, where there is one, `hint`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tessera_kit::http::error::no_store;
use tessera_types::{ErrorCode, Failure, Scope};

use super::league::{Quirk, System};
use crate::grants::refresh_token::RefreshError;
use crate::grants::{ParameterError, TokenError};
use crate::minting::Minted;
use crate::report;
use crate::user_auth::{self, UserAuthError};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"OAuth\"");

/// What went wrong, as a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
    hint: Option<String>,
    /// league's number of the error, which Shopware's clients read.
    number: u8,
    retry_after: Option<u64>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_description: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[Numbered<'a>; 1]>,
}

/// Shopware's own form, beside the library's.
#[derive(Serialize)]
struct Numbered<'a> {
    code: String,
    status: String,
    title: &'a str,
    detail: &'a str,
}

#[derive(Serialize)]
struct TokenBody<'a> {
    token_type: &'static str,
    expires_in: u64,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

const CLIENT: &str = "Client authentication failed";
const MALFORMED: &str = "The request is missing a required parameter, includes an invalid parameter value, includes a parameter \
                         more than once, or is otherwise malformed.";

impl Told {
    fn new(status: StatusCode, error: &'static str, description: &'static str, number: u8) -> Self {
        Self { status, error, description, hint: None, number, retry_after: None }
    }

    fn hinting(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The client is not who it says, or may not use the grant: the library makes no difference.
    pub(super) fn client() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", CLIENT, 4)
    }

    /// A parameter is missing or wrong.
    pub(super) fn parameter(name: &str) -> Self {
        Self::malformed().hinting(format!("Check the `{name}` parameter"))
    }

    pub(super) fn malformed() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", MALFORMED, 3)
    }

    pub(super) fn with_hint(hint: &'static str) -> Self {
        Self::malformed().hinting(hint)
    }

    /// No grant type, or one that this endpoint does not run.
    pub(super) fn grant_type() -> Self {
        let description = "The authorization grant type is not supported by the authorization server.";
        Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", description, 2)
            .hinting("Check that all required parameters have been provided")
    }

    /// A scope that is not registered, or is no scope at all.
    pub(super) fn unknown_scope(scope: &str) -> Self {
        let description = "The requested scope is invalid, unknown, or malformed";
        Self::new(StatusCode::BAD_REQUEST, "invalid_scope", description, 5)
            .hinting(format!("Check the `{}` scope", printable(scope)))
    }

    /// A scope that is registered, and not the client's.
    pub(super) fn scope_denied(scope: &Scope) -> Self {
        let description = "The resource owner or authorization server denied the request.";
        Self::new(StatusCode::UNAUTHORIZED, "access_denied", description, 9)
            .hinting(format!("Usage of scope `{scope}` is not allowed for this client"))
    }

    fn refresh(hint: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request", "The refresh token is invalid.", 8).hinting(hint)
    }

    fn credentials() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", "The user credentials were incorrect.", 6)
    }

    /// What is not the caller's fault, or comes too often.
    fn ours(failure: &dyn Failure) -> Self {
        report::internal(failure);
        let status = StatusCode::from_u16(failure.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = failure.retry_after().map(|wait| wait.as_secs().max(1));
        Self { retry_after, ..Self::new(status, failure.code().as_str(), failure.advice(), 7) }
    }
}

/// Scopes stand in hints; what is no scope does not.
fn printable(scope: &str) -> &str {
    if scope.parse::<Scope>().is_ok() { scope } else { "" }
}

/// What a refused token request is told, scopes apart.
pub(super) fn told(error: &TokenError, system: &System) -> Told {
    match error {
        TokenError::GrantNotAllowed(_) | TokenError::PublicClient => Told::client(),
        TokenError::GrantOff => Told::grant_type(),
        TokenError::Client(inner) if inner.code() == ErrorCode::InvalidClient => Told::client(),
        TokenError::User(UserAuthError::Refused(user_auth::Refusal::Disabled))
            if system.does(Quirk::TellsDisabledUsers) =>
        {
            Told::credentials().hinting("Account is disabled.")
        }
        TokenError::User(UserAuthError::Refused(_)) => Told::credentials(),
        TokenError::Refresh(refused) => Told::refresh(match refused {
            RefreshError::Unknown => "Cannot decrypt the refresh token",
            RefreshError::Expired => "Token has expired",
            RefreshError::Revoked | RefreshError::Reused => "Token has been revoked",
            RefreshError::NotYours => "Token is not linked to client",
        }),
        TokenError::Code(_) => {
            Told::new(StatusCode::BAD_REQUEST, "invalid_grant", "The authorization code is invalid.", 10)
        }
        other => Told::ours(other),
    }
}

/// What a request with a parameter that is wrong is told.
pub(super) fn parameter(error: ParameterError) -> Told {
    match error {
        ParameterError::GrantTypeMissing | ParameterError::GrantTypeUnsupported => Told::grant_type(),
        ParameterError::Missing(name) => Told::parameter(name),
        ParameterError::Scope => Told::unknown_scope(""),
        ParameterError::Audience | ParameterError::Resource | ParameterError::Ambiguous => Told::parameter("audience"),
    }
}

/// Renders a refusal. The challenge is for who used the header.
pub(super) fn refusal(told: &Told, system: &System, by_header: bool) -> Response {
    let hint = told.hint.as_deref();
    let errors = system.does(Quirk::NumbersErrors).then(|| {
        [Numbered {
            code: told.number.to_string(),
            status: told.status.as_u16().to_string(),
            title: told.description,
            detail: hint.unwrap_or(told.description),
        }]
    });
    let body =
        ErrorBody { error: told.error, error_description: told.description, message: told.description, hint, errors };
    let mut response = json(told.status, &body);
    if by_header && told.error == "invalid_client" {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    if let Some(seconds) = told.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Renders tokens: no `scope` member, the refresh token where there is one.
pub(super) fn success(minted: &Minted) -> Response {
    let body = TokenBody {
        token_type: "Bearer",
        expires_in: minted.expires_in.as_secs(),
        access_token: &minted.access_token,
        refresh_token: minted.refresh_token.as_ref().map(|token| token.as_str()),
    };
    json(StatusCode::OK, &body)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Texts and numbers always serialize.
    let text = serde_json::to_string(body).unwrap_or_default();
    let mut response = (status, [(header::CONTENT_TYPE, JSON)], text).into_response();
    no_store(response.headers_mut());
    response
}
