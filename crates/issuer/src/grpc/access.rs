//! Who calls: from metadata to what operations ask for.

use std::net::IpAddr;
use std::sync::Arc;

use tessera_api::status::status;
use tessera_kit::calls;
use tessera_kit::http::{Authorization, AuthorizationError};
use tessera_kit::serve::Peer;
use tessera_kit::tls::Secured;
use tessera_store::{Action, Target};
use tessera_types::{ErrorCode, Failure, PresentedSecret};
use tonic::{Request, Status};

use crate::audit::By;
use crate::client_auth::{AuthMethod, PresentedClient};
use crate::context::Context;
use crate::operations::access::{self, AccessError, Caller};

/// What is wrong with the way a client presents itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PresentError {
    /// Metadata and fields both.
    #[error("two client authentications")]
    Twice,
    /// Neither.
    #[error("no client authentication")]
    Missing,
}

impl Failure for PresentError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Twice => ErrorCode::InvalidRequest,
            Self::Missing => ErrorCode::InvalidClient,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Twice => "TWO_CLIENT_AUTHENTICATIONS",
            Self::Missing => "CLIENT_AUTHENTICATION_MISSING",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Twice => {
                "The client authenticates twice. Use either authorization metadata or the fields client_id and client_secret."
            }
            Self::Missing => {
                "The client does not authenticate. Send authorization: Basic, or client_id and client_secret."
            }
        }
    }
}

/// The client of a call: from `authorization: Basic`, or from the message's fields.
pub(super) fn presented<T>(request: &Request<T>, id: &str, secret: &str) -> Result<PresentedClient, Status> {
    let from = peer(request);
    let header = authorization(request)?;
    let in_fields = !id.is_empty() || !secret.is_empty();
    match header {
        Some(_) if in_fields => Err(status(&PresentError::Twice)),
        Some(Authorization::Basic(credentials)) => Ok(PresentedClient {
            id: credentials.client_id.to_string(),
            secret: credentials.secret,
            method: AuthMethod::Basic,
            from,
        }),
        Some(Authorization::Bearer(_)) => Err(status(&AuthorizationError::Scheme)),
        None if id.is_empty() => Err(status(&PresentError::Missing)),
        None => {
            let method = if secret.is_empty() { AuthMethod::None } else { AuthMethod::Post };
            Ok(PresentedClient { id: id.to_owned(), secret: PresentedSecret::new(secret.to_owned()), method, from })
        }
    }
}

/// Lets a call pass that presents a Bearer token for the issuer with one of the scopes, or no token but a certificate with one, and says
/// on whose behalf it is made: what it changes is recorded as that caller's.
pub(super) async fn allow<T>(
    cx: &Context,
    request: &Request<T>,
    any_of: &'static [&'static str],
) -> Result<Context, Status> {
    let caller = verified(cx, request, any_of).await?;
    Ok(cx.acting(By { actor: caller.actor(), from: peer(request), request_id: None }))
}

/// As [`allow`], with who was let pass.
pub(super) async fn verified<T>(
    cx: &Context,
    request: &Request<T>,
    any_of: &'static [&'static str],
) -> Result<Caller, Status> {
    let (token, certificate) = match authorization(request)? {
        Some(Authorization::Bearer(token)) => (Some(token), None),
        Some(Authorization::Basic(_)) => (None, None),
        None => (None, Secured::certificate(request.extensions())),
    };
    let token = token.as_ref().map(tessera_kit::http::BearerToken::expose);
    let caller = if let Some(certificate) = certificate {
        access::certified(cx, certificate, any_of)
    } else {
        access::authorize(cx, token, any_of).await.map(Caller::Token)
    };
    caller.map_err(|error| {
        if !matches!(error, AccessError::CannotTell(_)) {
            let who = access::turned_away(cx, token, certificate.map(Arc::as_ref)).unwrap_or_default();
            let cx = cx.acting(By { actor: who, from: peer(request), request_id: None });
            let record = cx.did(Action::AdministrationRefused).because(error.reason());
            cx.refused(match calls::rpc() {
                Some(rpc) => record.to(Target::Rpc(rpc.to_owned())),
                None => record,
            });
        }
        refused(&error)
    })
}

/// Whether a call presents what administrators do, rather than what clients do: a Bearer token, or nothing but a certificate that is
/// somebody's here.
pub(super) fn is_of_an_administrator<T>(cx: &Context, request: &Request<T>) -> Result<bool, Status> {
    Ok(match authorization(request)? {
        Some(authorization) => matches!(authorization, Authorization::Bearer(_)),
        None => Secured::certificate(request.extensions()).is_some_and(|certificate| access::knows(cx, certificate)),
    })
}

/// What metadata says; metadata values are bytes that need not be text.
pub(super) fn authorization<T>(request: &Request<T>) -> Result<Option<Authorization>, Status> {
    let mut values = request.metadata().get_all("authorization").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(status(&AuthorizationError::Repeated));
    }
    Authorization::parse(value.as_bytes()).map(Some).map_err(|error| status(&error))
}

/// The status of a failure; ours are logged with their causes, once, here.
pub(super) fn refused(failure: &dyn Failure) -> Status {
    crate::report::internal(failure);
    status(failure)
}

/// The caller's address, where the transport knows it.
pub(super) fn peer<T>(request: &Request<T>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.addr().ip())
}
