//! Between messages and the operation's types.

use prost::Message as _;
use tessera_api::introspection::v1;
use tessera_types::{Scope, ScopeSet, Timestamp};
use tonic::Status;

use crate::consistency::Consistency;
use crate::introspection::{IntrospectError, Outcome, Question};

/// A request as a question.
pub(super) fn question(request: v1::IntrospectRequest) -> Result<Question, IntrospectError> {
    let required = request.required_scopes.unwrap_or_default();
    let audience = (!request.audience.is_empty()).then(|| request.audience.parse());
    Ok(Question {
        token: request.token,
        all_of: scopes(&required.all_of)?,
        any_of: scopes(&required.any_of)?,
        audience: audience.transpose().map_err(|_| IntrospectError::Audience)?,
        consistency: consistency(request.consistency)?,
    })
}

fn scopes(names: &[String]) -> Result<ScopeSet, IntrospectError> {
    let scopes: Result<ScopeSet, _> = names.iter().map(|name| name.parse::<Scope>()).collect();
    scopes.map_err(|_| IntrospectError::Scope)
}

/// A level that is named but set to false is the default.
fn consistency(asked: Option<v1::Consistency>) -> Result<Consistency, IntrospectError> {
    use v1::consistency::Requirement;
    Ok(match asked.and_then(|asked| asked.requirement) {
        Some(Requirement::AtLeast(revision)) => {
            Consistency::AtLeast(revision.parse().map_err(|_| IntrospectError::Revision)?)
        }
        Some(Requirement::FullyConsistent(true)) => Consistency::FullyConsistent,
        Some(Requirement::FullyConsistent(false) | Requirement::Leased(_)) | None => Consistency::Leased,
    })
}

/// An outcome as a response. An inactive one says nothing but that.
pub(super) fn response(outcome: Outcome) -> v1::IntrospectResponse {
    let Outcome::Active { verified, revision, missing } = outcome else {
        return v1::IntrospectResponse::default();
    };
    let claims = verified.claims();
    v1::IntrospectResponse {
        active: true,
        allowed: missing.is_empty(),
        missing_scopes: missing.iter().map(ToString::to_string).collect(),
        scope: claims.scopes.to_string(),
        client_id: claims.client.to_string(),
        username: claims.username.clone().unwrap_or_default(),
        token_type: "Bearer".to_owned(),
        expire_time: Some(timestamp(claims.expires)),
        issue_time: Some(timestamp(claims.issued)),
        not_before_time: Some(timestamp(claims.not_before)),
        sub: verified.subject().into_owned(),
        aud: claims.aud().map(str::to_owned).collect(),
        iss: claims.issuer.clone(),
        jti: claims.token.to_string(),
        revision: revision.to_string(),
    }
}

fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: moment.0, nanos: 0 }
}

/// A status as a message, for the results of batches and streams; its details are already such a message.
pub(super) fn error(status: &Status) -> tonic_types::pb::Status {
    tonic_types::pb::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::pb::Status {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}
