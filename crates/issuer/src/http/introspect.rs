//! `POST /oauth2/introspect` (RFC 7662 section 2.1).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, header};
use axum::response::{IntoResponse as _, Response};
use tessera_check::Introspection;
use tessera_kit::http::{AuthorizationError, FormBody, error};

use super::client::{self, ClientError, Presented};
use super::query;
use super::revoke::TokenMissing;
use crate::context::Context;
use crate::operations::introspect::{self, Caller};

/// No error code where no credential was sent (RFC 6750 section 3.1).
const BARE_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"tessera\"");

/// The challenges where nobody, or no good token, was presented: this endpoint takes Bearer tokens too (RFC 6750 section 3).
fn refused(error: &ClientError) -> Response {
    match error {
        ClientError::Header(malformed @ AuthorizationError::Bearer) => client::refused(malformed),
        ClientError::Missing => {
            let mut response = client::refused(error);
            response.headers_mut().append(header::WWW_AUTHENTICATE, BARE_CHALLENGE);
            response
        }
        other => client::refused(other),
    }
}

/// Handles an introspection request.
pub(super) async fn handle(State(cx): State<Context>, request: Request<Body>) -> Response {
    match answer(&cx, request).await {
        Ok(answer) => {
            let mut response = Json(answer).into_response();
            error::no_store(response.headers_mut());
            response
        }
        Err(response) => response,
    }
}

async fn answer(cx: &Context, request: Request<Body>) -> Result<Introspection, Response> {
    query::refuse_credentials(request.uri()).map_err(|error| client::refused(&error))?;
    let from = client::peer(request.extensions());
    let FormBody { headers, mut form } =
        FormBody::read(request, &[]).await.map_err(axum::response::IntoResponse::into_response)?;
    let caller = match client::presented(&headers, &mut form, from).map_err(|error| refused(&error))? {
        Presented::Client(client) => Caller::Client(client),
        Presented::Bearer(token) => Caller::Bearer(token.expose().to_owned()),
    };
    let token = form.take("token").ok_or_else(|| client::refused(&TokenMissing))?;
    let verified = introspect::introspect(cx, caller, &token).await.map_err(|error| client::refused(&error))?;
    Ok(verified.map_or(Introspection::Inactive, Introspection::Active))
}
