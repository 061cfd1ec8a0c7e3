//! `POST /oauth2/introspect` (RFC 7662 section 2.1).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, header};
use axum::response::{IntoResponse as _, Response};
use tessera_check::ScopedIntrospection;
use tessera_kit::http::{AuthorizationError, Form, FormBody, error, query, says_nothing};
use tessera_kit::tls::Secured;
use tessera_types::{ErrorCode, Failure, ScopeSet};

use super::client::{self, ClientError, Presented};
use super::forwarded;
use crate::client_auth::certificate::PresentedCertificate;
use crate::context::Context;
use crate::operations::introspect::{self, Caller, Consistency, Question};

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

async fn answer(cx: &Context, request: Request<Body>) -> Result<ScopedIntrospection, Response> {
    query::refuse_credentials(request.uri()).map_err(|error| client::refused(&error))?;
    let from = forwarded::client(cx, &request);
    let certificate = Secured::certificate(request.extensions()).cloned();
    let FormBody { headers, mut form } =
        FormBody::read(request, &[]).await.map_err(axum::response::IntoResponse::into_response)?;
    let caller = match certificate.filter(|_| says_nothing(&headers, &form)) {
        Some(certificate) => {
            Caller::Certificate(PresentedCertificate { certificate, named: form.take("client_id"), from })
        }
        None => match client::presented(&headers, &mut form, from).map_err(|error| refused(&error))? {
            Presented::Client(client) => Caller::Client(client),
            Presented::Bearer(token) => Caller::Bearer(token.expose().to_owned()),
        },
    };
    let (question, scopes) = question(&mut form).map_err(|error| client::refused(&error))?;
    let verified = introspect::introspect(cx, caller, &question).await.map_err(|error| client::refused(&error))?;
    Ok(ScopedIntrospection::new(verified, &scopes))
}

/// RFC 7662 section 2.1 and, as extensions, what an introspector takes too: `scope` (scopes the token must have), `audience`,
/// `at_least` and `consistency`.
fn question(form: &mut Form) -> Result<(Question, ScopeSet), QuestionError> {
    let scopes = form.value("scope").map_or(Ok(ScopeSet::empty()), str::parse).map_err(|_| QuestionError::Scope)?;
    let audience = form.value("audience").map(str::parse).transpose().map_err(|_| QuestionError::Audience)?;
    let consistency = match (form.value("at_least"), form.value("consistency")) {
        (Some(revision), None) => Consistency::AtLeast(revision.parse().map_err(|_| QuestionError::Revision)?),
        (None, None | Some("leased")) => Consistency::Leased,
        (None, Some("fully_consistent")) => Consistency::FullyConsistent,
        _ => return Err(QuestionError::Consistency),
    };
    let token = form.take("token").ok_or(QuestionError::Token)?;
    Ok((Question { token, audience, consistency }, scopes))
}

/// What is wrong with an introspection request's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum QuestionError {
    #[error("no token")]
    Token,
    #[error("malformed scope")]
    Scope,
    #[error("malformed audience")]
    Audience,
    #[error("malformed revision")]
    Revision,
    #[error("unknown consistency")]
    Consistency,
}

impl Failure for QuestionError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Token => "TOKEN_MISSING",
            Self::Scope => "SCOPE_MALFORMED",
            Self::Audience => "AUDIENCE_MALFORMED",
            Self::Revision => "REVISION_MALFORMED",
            Self::Consistency => "CONSISTENCY_UNKNOWN",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Token => "The parameter token is missing.",
            Self::Scope => "The parameter scope is malformed.",
            Self::Audience => "The parameter audience is malformed.",
            Self::Revision => "The parameter at_least is malformed. Hand back what a revocation returned, unchanged.",
            Self::Consistency => {
                "The parameter consistency is unknown. Use leased or fully_consistent, or at_least alone."
            }
        }
    }
}
