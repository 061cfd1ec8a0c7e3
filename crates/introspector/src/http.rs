//! `POST /oauth2/introspect` (RFC 7662).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::{HeaderMap, HeaderValue, Request, header};
use tessera_check::ScopedIntrospection;
use tessera_kit::calls;
use tessera_kit::http::error::{self, challenged, no_store, with_fallbacks};
use tessera_kit::http::{
    Authorization, AuthorizationError, Challenge, Credentials, Form, FormBody, query, says_nothing,
};
use tessera_kit::tls::{PeerCertificate, Secured};
use tessera_types::{ErrorCode, Failure, PresentedSecret, ScopeSet};

use crate::callers::{Caller, CallerError};
use crate::consistency::{Consistency, Waits};
use crate::introspection::{IntrospectError, Introspection, Outcome, Question};

/// The routes.
pub fn routes(introspection: Introspection) -> Router {
    let router = Router::new().route("/oauth2/introspect", post(introspect));
    with_fallbacks(router).with_state(introspection)
}

async fn introspect(State(introspection): State<Introspection>, request: Request<Body>) -> Response {
    let mut waits = introspection.waits(None);
    if let Err(error) = query::refuse_credentials(request.uri()) {
        introspection.unanswered(&error, &waits);
        return refused(&error, request.headers());
    }
    let certificate = Secured::certificate(request.extensions()).cloned();
    let FormBody { headers, mut form } = match FormBody::read(request, &[]).await {
        Ok(body) => body,
        Err(error) => {
            introspection.unanswered(&error, &waits);
            return error.into_response();
        }
    };
    let answer = async {
        let mut caller = caller(&introspection, (&headers, certificate.as_ref()), &mut form, &mut waits).await?;
        introspection.noted(&caller);
        let question = question(&mut form)?;
        let outcome = introspection.introspect(&mut caller, &question, &mut waits).await?;
        Ok::<_, IntrospectError>(answer(outcome, &question))
    };
    answer.await.unwrap_or_else(|error| {
        introspection.unanswered(&error, &waits);
        refused(&error, &headers)
    })
}

/// Who asks: by header, or by the form's `client_id` and `client_secret`, never by both (RFC 6749 section 2.3). A `client_id`
/// that only repeats the Basic header's is no second way. Where there is neither, the certificate of the connection says it.
async fn caller(
    introspection: &Introspection,
    (headers, certificate): (&HeaderMap, Option<&Arc<PeerCertificate>>),
    form: &mut Form,
    waits: &mut Waits,
) -> Result<Caller, CallerError> {
    let callers = &introspection.callers;
    if let Some(certificate) = certificate.filter(|_| says_nothing(headers, form)) {
        return callers.from_certificate(certificate, form.value("client_id"));
    }
    let (client_id, secret) = (form.take("client_id"), form.take("client_secret"));
    let assertion = form.take("client_assertion").is_some() || form.take("client_assertion_type").is_some();
    if headers.contains_key(header::AUTHORIZATION) {
        if secret.is_some() || assertion || client_id.is_some_and(|id| !is_same_client(headers, &id)) {
            // What is malformed gets its own error.
            Authorization::from_headers(headers)?;
            return Err(CallerError::TwoMechanisms);
        }
        return callers.from_headers(headers, waits).await;
    }
    match (client_id, secret) {
        (_, Some(_)) if assertion => Err(CallerError::TwoMechanisms),
        _ if assertion => Err(CallerError::Assertion),
        (None, _) => Err(CallerError::Missing),
        (Some(client_id), secret) => {
            let client_id = client_id.parse().map_err(|_| CallerError::Refused)?;
            calls::came_with(headers);
            callers.from_form(Credentials { client_id, secret: secret.and_then(PresentedSecret::new) }, waits).await
        }
    }
}

fn is_same_client(headers: &HeaderMap, client_id: &str) -> bool {
    match Authorization::from_headers(headers) {
        Ok(Some(Authorization::Basic(credentials))) => credentials.client_id.as_str() == client_id,
        // A token says by itself whose it is.
        Ok(_) | Err(_) => false,
    }
}

/// RFC 7662 section 2.1, and as extensions: `scope` (required scopes), `audience`, `at_least` and `consistency`.
/// `token_type_hint` is only a hint, and there is one type.
fn question(form: &mut Form) -> Result<Question, IntrospectError> {
    let all_of = form.value("scope").map_or(Ok(ScopeSet::empty()), str::parse).map_err(|_| IntrospectError::Scope)?;
    let audience = form.value("audience").map(str::parse).transpose().map_err(|_| IntrospectError::Audience)?;
    let consistency = match (form.value("at_least"), form.value("consistency")) {
        (Some(revision), None) => Consistency::AtLeast(revision.parse().map_err(|_| IntrospectError::Revision)?),
        (None, None | Some("leased")) => Consistency::Leased,
        (None, Some("fully_consistent")) => Consistency::FullyConsistent,
        _ => return Err(IntrospectError::Consistency),
    };
    let token = form.take("token").ok_or(IntrospectError::NoToken)?;
    Ok(Question { token, all_of, any_of: ScopeSet::empty(), audience, consistency })
}

fn answer(outcome: Outcome, question: &Question) -> Response {
    let verified = match outcome {
        Outcome::Active { verified, .. } => Some(verified),
        Outcome::Inactive => None,
    };
    let mut response = axum::Json(ScopedIntrospection::new(verified, &question.all_of)).into_response();
    no_store(response.headers_mut());
    response
}

/// The error, with the challenge of the scheme that was used; where none was, with both (RFC 6749 section 5.2, RFC 6750
/// section 3).
fn refused(error: &dyn Failure, headers: &HeaderMap) -> Response {
    let is_bearer = matches!(
        Authorization::from_headers(headers),
        Ok(Some(Authorization::Bearer(_))) | Err(AuthorizationError::Bearer)
    );
    match error.code() {
        ErrorCode::InvalidClient if !headers.contains_key(header::AUTHORIZATION) => {
            let mut response = challenged(error, Challenge::Basic);
            let bare = HeaderValue::from_static("Bearer realm=\"tessera\"");
            response.headers_mut().append(header::WWW_AUTHENTICATE, bare);
            response
        }
        ErrorCode::InvalidToken | ErrorCode::InsufficientScope if is_bearer => challenged(error, Challenge::Bearer),
        ErrorCode::InvalidClient => challenged(error, Challenge::Basic),
        _ => error::response(error),
    }
}
