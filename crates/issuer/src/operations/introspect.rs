//! The issuer's own introspection (RFC 7662), from the same memory and by the same rules as an introspector's.

use tessera_check::{ActiveToken, AudienceRule, CannotTell, Verdict};
use tessera_store::StoreError;
use tessera_types::scope::reserved;
use tessera_types::{Audience, ClientId, ClientType, ErrorCode, Failure, Revision};

use super::access::{self, AccessError};
use crate::client_auth::certificate::{self, PresentedCertificate};
use crate::client_auth::{self, ClientAuthError, PresentedClient, Refusal};
use crate::context::Context;

/// How a caller shows who it is.
pub enum Caller {
    /// A resource server, by its client id and secret.
    Client(PresentedClient),
    /// A token with scope `introspect`.
    Bearer(String),
    /// A resource server, by its certificate.
    Certificate(PresentedCertificate),
}

/// What is asked about a token.
#[derive(Clone, Debug)]
pub struct Question {
    /// The token.
    pub token: String,
    /// The one of the caller's resources that the token must be meant for, where the caller says so.
    pub audience: Option<Audience>,
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// From memory, as long as the database answers.
    Leased,
    /// At least as fresh as this revision.
    AtLeast(Revision),
    /// At least as fresh as the durable head, read now.
    FullyConsistent,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectError {
    /// The caller is not who it says.
    #[error(transparent)]
    Client(#[from] ClientAuthError),
    /// The caller's token does not do.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The caller has no resources: it may introspect nothing.
    #[error("the caller may introspect nothing")]
    NoResources,
    /// The head of the log could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntrospectError {
    fn inner(&self) -> Option<&dyn Failure> {
        match self {
            Self::Client(error) => Some(error),
            Self::Access(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::NoResources => None,
        }
    }
}

impl Failure for IntrospectError {
    fn code(&self) -> ErrorCode {
        self.inner().map_or(ErrorCode::UnauthorizedClient, Failure::code)
    }

    fn reason(&self) -> &'static str {
        self.inner().map_or("NO_RESOURCES", Failure::reason)
    }

    fn advice(&self) -> &'static str {
        self.inner()
            .map_or("This client may introspect nothing. An administrator can give it resources.", Failure::advice)
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        self.inner().and_then(Failure::retry_after)
    }
}

/// Checks a token for a caller; `None` is inactive, whatever the cause.
///
/// # Errors
/// See [`IntrospectError`]; "I cannot tell" is an error, never an answer.
pub async fn introspect(
    cx: &Context,
    caller: Caller,
    question: &Question,
) -> Result<Option<ActiveToken>, IntrospectError> {
    let needs = match question.consistency {
        Consistency::Leased => None,
        Consistency::AtLeast(revision) => Some(revision),
        Consistency::FullyConsistent => Some(cx.store.log().head().await?.revision()),
    };
    if let Some(needs) = needs {
        let behind = AccessError::CannotTell(CannotTell::Behind { needs });
        cx.publication.applied(needs, access::CATCH_UP).await.map_err(|_| behind)?;
    }
    let resources = resources(cx, caller).await?;
    let rule = AudienceRule { resources: &resources, only: question.audience.as_ref() };
    match access::check(cx, &question.token, rule).await.map_err(AccessError::CannotTell)? {
        Verdict::Active(verified) => Ok(Some(verified)),
        Verdict::Inactive => Ok(None),
    }
}

/// The audiences whose tokens the caller may see.
async fn resources(cx: &Context, caller: Caller) -> Result<Vec<Audience>, IntrospectError> {
    let resources = match caller {
        Caller::Client(presented) => {
            let client = client_auth::authenticate(cx, &presented).await?.client;
            if client.kind == ClientType::Public {
                // Its identifier is no proof of anything (RFC 7662 section 2.1).
                return Err(ClientAuthError::Refused(Refusal::WrongMethod).into());
            }
            client.resources
        }
        Caller::Bearer(token) => {
            let audience = &cx.policy.introspection_audience;
            let verified = access::check_for(cx, &token, audience, &[reserved::INTROSPECT]).await?;
            resources_of(cx, &verified.claims().client)?
        }
        Caller::Certificate(presented) => certificate::authenticate(cx, &presented)?.state.resources.clone(),
    };
    if resources.is_empty() { Err(IntrospectError::NoResources) } else { Ok(resources) }
}

fn resources_of(cx: &Context, client: &ClientId) -> Result<Vec<Audience>, AccessError> {
    let state = cx.replica.state().ok_or(AccessError::CannotTell(CannotTell::NotReady))?;
    Ok(state.client(client).map(|entry| entry.state.resources.clone()).unwrap_or_default())
}
