//! A client that asks about tokens with nothing but its certificate: the one that `[[tls.identities]]` says, as at an introspector (ADR 15).
//!
//! Whose a certificate is, [`Identities::client`](tessera_kit::tls::Identities::client) says for both services, and whether that client may
//! be used is the log's word at both. There is nothing to guess, so that failures are counted and recorded but do not throttle.

use std::net::IpAddr;
use std::sync::Arc;

use tessera_kit::calls;
use tessera_kit::tls::PeerCertificate;
use tessera_ledger::replica::ClientEntry;
use tessera_store::{Action, Actor, Detail, Target};
use tessera_types::ClientId;

use super::{AuthMethod, ClientAuthError, Refusal};
use crate::context::Context;

/// A certificate, as it was presented.
#[derive(Clone, Debug)]
pub struct PresentedCertificate {
    /// The certificate, which a handshake has verified.
    pub certificate: Arc<PeerCertificate>,
    /// The client that the request names.
    pub named: Option<String>,
    /// From where, as far as known.
    pub from: Option<IpAddr>,
}

/// The client that presents a certificate, as the log knows it.
///
/// # Errors
/// `Certificate` where it is no client's, or another one's; `Refused` where that may not be used; `NotReady` where nobody can tell.
pub fn authenticate(cx: &Context, presented: &PresentedCertificate) -> Result<Arc<ClientEntry>, ClientAuthError> {
    // A client is not refused for what was not heard of.
    if !cx.publication.in_touch(cx.clock.monotonic()) {
        return Err(ClientAuthError::NotReady);
    }
    let state = cx.replica.state().ok_or(ClientAuthError::NotReady)?;
    let identities = cx.policy.identities.now();
    let client = match identities.client(&presented.certificate, presented.named.as_deref(), cx.clock.now()) {
        Ok(client) => client,
        Err(theirs) => return Err(refused(cx, presented, None, theirs.into())),
    };
    let Some(entry) = state.enabled_client(client) else {
        return Err(refused(cx, presented, Some(client), ClientAuthError::Refused(Refusal::Disabled)));
    };
    calls::client(client.as_str());
    cx.last_used.note(client, None, cx.clock.now());
    Ok(entry)
}

/// Tells of it in the audit, the metrics and the log.
fn refused(
    cx: &Context,
    presented: &PresentedCertificate,
    client: Option<&ClientId>,
    error: ClientAuthError,
) -> ClientAuthError {
    let method = AuthMethod::Certificate;
    let reason = match &error {
        ClientAuthError::Refused(refusal) => refusal.reason(),
        _ => "WRONG_CERTIFICATE",
    };
    let cx = cx.reached_from(presented.from);
    let record = cx.did_as(Actor::Unknown, Action::ClientAuthenticate).because(reason);
    let record = record.with(Detail::Method, method.as_str());
    cx.refused(match client {
        Some(client) => record.to(Target::Client(client.clone())),
        None => record,
    });
    cx.telemetry.client_auth_failure(method);
    tracing::info!(
        names = presented.certificate.shown(),
        method = method.as_str(),
        reason,
        "client authentication failed"
    );
    error
}
