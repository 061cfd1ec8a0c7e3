//! The issuer's own introspection (RFC 7662), from the same memory and by the same rules as an introspector's.

use std::sync::Arc;

use tessera_check::{CannotTell, Verdict, Verified};
use tessera_types::scope::reserved;
use tessera_types::{Audience, ClientId, ClientType, ErrorCode, Failure};

use super::authorize::{self, AccessError};
use crate::client_auth::{self, ClientAuthError, PresentedClient, Refusal};
use crate::context::Context;

/// How a caller shows who it is.
pub enum Caller {
    /// A resource server, by its client id and secret.
    Client(PresentedClient),
    /// A token with scope `introspect`.
    Bearer(String),
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
}

impl IntrospectError {
    fn inner(&self) -> Option<&dyn Failure> {
        match self {
            Self::Client(error) => Some(error),
            Self::Access(error) => Some(error),
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
pub async fn introspect(cx: &Context, caller: Caller, token: &str) -> Result<Option<Arc<Verified>>, IntrospectError> {
    let resources = resources(cx, caller).await?;
    match authorize::check(cx, token, &resources).await.map_err(AccessError::CannotTell)? {
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
            let verified = authorize::check_for(cx, &token, audience, &[reserved::INTROSPECT]).await?;
            resources_of(cx, &verified.claims().client)?
        }
    };
    if resources.is_empty() { Err(IntrospectError::NoResources) } else { Ok(resources) }
}

fn resources_of(cx: &Context, client: &ClientId) -> Result<Vec<Audience>, AccessError> {
    let state = cx.replica.state().ok_or(AccessError::CannotTell(CannotTell::NotReady))?;
    Ok(state.client(client).map(|entry| entry.state.resources.clone()).unwrap_or_default())
}
