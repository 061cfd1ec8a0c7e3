//! What the server says of itself: RFC 8414 metadata and the keys that verify its tokens (RFC 7517).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use tessera_types::{ErrorCode, pkce};

use super::client;
use crate::client_auth::AuthMethod;
use crate::context::{Context, Policy};
use crate::grants;
use crate::operations::keys;

/// Where the metadata is (RFC 8414 section 3).
pub(super) const WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";

/// Verifiers may keep the metadata this long.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// Verifiers may keep the keys this many seconds at most. One that meets a `kid` it does not know fetches them again.
const KEEP_KEYS: u64 = 60;

/// The metadata. It lists what is enabled, and nothing else (security.md, item 38).
#[derive(Clone, Serialize)]
pub(super) struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    jwks_uri: String,
    response_types_supported: &'static [&'static str],
    response_modes_supported: &'static [&'static str],
    code_challenge_methods_supported: &'static [&'static str],
    authorization_response_iss_parameter_supported: bool,
    ui_locales_supported: &'static [&'static str],
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: &'static [&'static str],
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
}

const CLIENT_METHODS: &[&str] = &[AuthMethod::Basic.as_str(), AuthMethod::Post.as_str(), AuthMethod::None.as_str()];
const RESOURCE_SERVER_METHODS: &[&str] = &[AuthMethod::Basic.as_str(), AuthMethod::Post.as_str()];

impl Document {
    pub(super) fn new(policy: &Policy, introspection_endpoint: Option<String>) -> Self {
        let issuer = policy.issuer_url.as_str();
        let base = issuer.trim_end_matches('/');
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: format!("{base}/oauth2/authorize"),
            token_endpoint: format!("{base}/oauth2/token"),
            revocation_endpoint: format!("{base}/oauth2/revoke"),
            introspection_endpoint: introspection_endpoint.unwrap_or_else(|| format!("{base}/oauth2/introspect")),
            jwks_uri: format!("{base}/oauth2/jwks"),
            response_types_supported: &["code"],
            response_modes_supported: &["query"],
            code_challenge_methods_supported: &[pkce::METHOD],
            authorization_response_iss_parameter_supported: true,
            ui_locales_supported: &["en", "fr"],
            grant_types_supported: grants::supported(policy).iter().map(|grant| grant.as_str()).collect(),
            token_endpoint_auth_methods_supported: CLIENT_METHODS,
            revocation_endpoint_auth_methods_supported: CLIENT_METHODS,
            introspection_endpoint_auth_methods_supported: RESOURCE_SERVER_METHODS,
        }
    }

    pub(super) fn response(&self) -> Response {
        ([(header::CACHE_CONTROL, CACHE)], Json(self)).into_response()
    }
}

/// `GET /oauth2/jwks`.
pub(super) async fn jwks(State(cx): State<Context>) -> Response {
    let Some(set) = keys::jwks(&cx) else { return client::refused(&NotReady) };
    // Never longer than a new key is published before it signs.
    let keep = cx.policy.keys.schedule.publish_for.as_secs().min(KEEP_KEYS);
    let cache = HeaderValue::try_from(format!("public, max-age={keep}")).unwrap_or(CACHE);
    let headers =
        [(header::CACHE_CONTROL, cache), (header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (headers, set).into_response()
}

#[derive(Debug, thiserror::Error)]
#[error("the log is not loaded yet")]
struct NotReady;

impl tessera_types::Failure for NotReady {
    fn code(&self) -> ErrorCode {
        ErrorCode::TemporarilyUnavailable
    }

    fn reason(&self) -> &'static str {
        "NOT_READY"
    }

    fn advice(&self) -> &'static str {
        "The server is starting. Try again."
    }
}
