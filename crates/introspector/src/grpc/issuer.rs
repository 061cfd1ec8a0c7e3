//! Questions to the issuer beside the feed: whether a resource server's secret is right.

use std::time::Duration;

use tessera_api::sync::v1::AuthenticateClientRequest;
use tessera_api::sync::v1::sync_service_client::SyncServiceClient;
use tessera_kit::tls::ClientTls;
use tessera_kit::trace;
use tessera_types::{ClientId, PresentedSecret, Timestamp};
pub(crate) use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};

use crate::callers::{ConfirmSecret, Confirmation, Unconfirmed};
use crate::grpc::credential::Credential;

/// How long one question may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is asked.
const METHOD: &str = "tessera.sync.v1.SyncService/AuthenticateClient";

/// How often the connection is probed, also when nothing is asked: a partition is noticed before the answers go stale.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A channel to the issuer, which connects when it is first used and again whenever it must.
pub(crate) fn channel(
    address: &str,
    tls: Option<&ClientTls>,
) -> Result<Channel, Box<dyn std::error::Error + Send + Sync>> {
    let settings = |endpoint: Endpoint| {
        let endpoint = endpoint.connect_timeout(TIMEOUT).tcp_nodelay(true).http2_keep_alive_interval(KEEPALIVE);
        endpoint.keep_alive_timeout(KEEPALIVE).keep_alive_while_idle(true)
    };
    match tls {
        Some(tls) => Ok(tls.channel(&address.parse()?, settings)?),
        None => Ok(settings(Channel::from_shared(address.to_owned())?).connect_lazy()),
    }
}

/// Asks over `SyncService.AuthenticateClient`, with the introspector's own credential.
pub struct Issuer {
    client: SyncServiceClient<Channel>,
    credential: Credential,
}

impl Issuer {
    pub(crate) fn new(channel: Channel, credential: Credential) -> Self {
        Self { client: SyncServiceClient::new(channel), credential }
    }
}

#[async_trait::async_trait]
impl ConfirmSecret for Issuer {
    async fn confirm(&self, client: &ClientId, secret: &PresentedSecret) -> Result<Confirmation, Unconfirmed> {
        let mut request = Request::new(AuthenticateClientRequest {
            client_id: client.to_string(),
            client_secret: secret.expose().to_owned(),
        });
        self.credential.authorize(&mut request).await.map_err(|error| {
            tracing::warn!(error = %error, "the introspector gets no token of its own");
            Unconfirmed::Unreachable
        })?;
        request.set_timeout(TIMEOUT);
        let mut client = self.client.clone();
        let asking = async move |request| client.authenticate_client(request).await;
        let answer = trace::outgoing(METHOD, request, asking).await;
        let answer = answer.map_err(|status| unconfirmed(&status))?.into_inner();
        let expires = answer.expire_time.map(|time| Timestamp(time.seconds));
        Ok(Confirmation { revision: answer.revision, expires })
    }
}

/// A refusal is only what the issuer says of the *credential*. That our own token is not good is told with the same code, but
/// with another OAuth error.
fn unconfirmed(status: &Status) -> Unconfirmed {
    match status.code() {
        Code::Unauthenticated if is_about_the_client(status) => Unconfirmed::Refused,
        Code::ResourceExhausted => Unconfirmed::Throttled,
        _ => {
            tracing::warn!(code = %status.code(), message = status.message(), "the issuer did not check a credential");
            Unconfirmed::Unreachable
        }
    }
}

fn is_about_the_client(status: &Status) -> bool {
    use tonic_types::StatusExt as _;
    let info = status.get_details_error_info();
    let error = info.as_ref().and_then(|info| info.metadata.get(tessera_api::status::OAUTH_ERROR));
    error.is_some_and(|error| error == tessera_types::ErrorCode::InvalidClient.as_str())
}

#[cfg(test)]
mod tests {
    use tessera_check::Refused;
    use tessera_types::Failure;

    use super::*;
    use crate::callers::CallerError;

    fn status(failure: &dyn Failure) -> Status {
        tessera_api::status::status(failure)
    }

    #[test]
    fn a_refused_credential_is_told_from_a_refused_token_of_our_own() {
        assert_eq!(unconfirmed(&status(&CallerError::Refused)), Unconfirmed::Refused);
        assert_eq!(unconfirmed(&status(&Refused::Inactive)), Unconfirmed::Unreachable);
        assert_eq!(unconfirmed(&Status::unauthenticated("a proxy")), Unconfirmed::Unreachable);
        assert_eq!(unconfirmed(&Status::unavailable("down")), Unconfirmed::Unreachable);
        assert_eq!(unconfirmed(&Status::resource_exhausted("slow down")), Unconfirmed::Throttled);
    }
}
