//! Errors as JSON (RFC 6749 section 5.2), never cached, with the challenge that belongs to them.

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::Router;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tessera_types::{ErrorCode, Failure};

/// Which credential the caller should present, for `WWW-Authenticate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A client's identifier and secret.
    Basic,
    /// A token (RFC 6750 section 3).
    Bearer,
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: &'static str,
}

/// The answer for a failure. It carries no challenge; where the caller used `Authorization`, use [`challenged`].
#[must_use]
pub fn response(failure: &dyn Failure) -> Response {
    let status = StatusCode::from_u16(failure.code().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = plain(status, failure.code().as_str(), failure.advice());
    if let Some(delay) = failure.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, delay.as_secs().max(1).into());
    }
    response
}

/// The answer for a failure, with a challenge that matches the scheme the caller used (RFC 6749 section 5.2). A missing
/// credential gets the bare challenge: no error code (RFC 6750 section 3.1).
#[must_use]
pub fn challenged(failure: &dyn Failure, challenge: Challenge) -> Response {
    let mut response = response(failure);
    let value = match (challenge, failure.code()) {
        (Challenge::Basic, _) => "Basic realm=\"tessera\", charset=\"UTF-8\"",
        (Challenge::Bearer, ErrorCode::InvalidToken) => "Bearer realm=\"tessera\", error=\"invalid_token\"",
        (Challenge::Bearer, ErrorCode::InsufficientScope) => "Bearer realm=\"tessera\", error=\"insufficient_scope\"",
        (Challenge::Bearer, _) => "Bearer realm=\"tessera\"",
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(value));
    response
}

/// An answer of this shape for a status that no failure stands for, such as 405.
#[must_use]
pub fn plain(status: StatusCode, error: &'static str, description: &'static str) -> Response {
    let mut response = (status, axum::Json(Body { error, error_description: description })).into_response();
    no_store(response.headers_mut());
    response
}

/// Forbids every cache to keep an answer (RFC 6749 section 5.1).
pub fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

/// Gives a router JSON answers for paths it does not have (404) and for methods a path does not take (405, with `Allow`). Call
/// it after the last route.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.method_not_allowed_fallback(method_not_allowed).fallback(not_found)
}

/// The answer for a path that is not there.
pub async fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "not_found", "There is nothing at this path.")
}

/// The answer to a method that a path does not take; axum adds `Allow`. [`with_fallbacks`] sets it last, in place of the one that a
/// layer was put round: routes with a layer that answers methods itself, as CORS answers OPTIONS, set it before that layer.
pub async fn method_not_allowed() -> Response {
    plain(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::InvalidRequest.as_str(),
        "The path does not take this method; the Allow header names the ones it takes.",
    )
}

/// The answer for a call that the end of the process cut off.
pub(crate) fn stopping() -> Response {
    plain(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::TemporarilyUnavailable.as_str(),
        "The server stops and could not wait for this call. Try another, or again.",
    )
}

/// The answer where a handler panicked.
pub(crate) fn panicked() -> Response {
    plain(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::ServerError.as_str(), "The server failed; the fault is ours.")
}

#[cfg(test)]
mod tests;
