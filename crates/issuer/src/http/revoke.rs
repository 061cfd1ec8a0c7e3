//! `POST /oauth2/revoke` (RFC 7009 section 2.1).

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tessera_kit::http::{FormBody, error, query};
use tessera_types::{ErrorCode, Failure, Revision};

use super::{client, forwarded};
use crate::context::Context;
use crate::operations::revoke::{self, Authority};

/// Where the revision stands that `at_least` takes: the RFC gives the answer no body.
const REVISION: HeaderName = HeaderName::from_static("tessera-revision");

/// The token is missing.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no token")]
pub(super) struct TokenMissing;

impl Failure for TokenMissing {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        "TOKEN_MISSING"
    }

    fn advice(&self) -> &'static str {
        "The parameter token is missing."
    }

    fn field(&self) -> Option<&'static str> {
        Some("token")
    }
}

/// Handles a revocation request.
pub(super) async fn handle(State(cx): State<Context>, request: Request<Body>) -> Response {
    match answer(&cx, request).await {
        Ok(revision) => success(revision),
        Err(response) => response,
    }
}

async fn answer(cx: &Context, request: Request<Body>) -> Result<Revision, Response> {
    query::refuse_credentials(request.uri()).map_err(|error| client::refused(&error))?;
    let from = forwarded::client(cx, &request);
    let FormBody { headers, mut form } =
        FormBody::read(request, &[]).await.map_err(axum::response::IntoResponse::into_response)?;
    let presented = client::client(&headers, &mut form, from).map_err(|error| client::refused(&error))?;
    let token = form.take("token").ok_or_else(|| client::refused(&TokenMissing))?;
    revoke::revoke(cx, Authority::Client(presented), &token).await.map_err(|error| client::refused(&error))
}

fn success(revision: Revision) -> Response {
    let mut response = StatusCode::OK.into_response();
    error::no_store(response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&revision.to_string()) {
        response.headers_mut().insert(REVISION, value);
    }
    response
}
