//! A token for calls to the issuer itself, got by the client credentials grant (RFC 6749 section 4.4) and kept until it is
//! nearly over.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tessera_api::oauth::v1::issue_token_request::Grant;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{ClientCredentialsGrant, IssueTokenRequest};
use tessera_types::{Clock, PresentedSecret};
use tokio::sync::Mutex;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};
use zeroize::Zeroizing;

use crate::trace;

/// How long a call for a token may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How it is asked for.
const METHOD: &str = "tessera.oauth.v1.TokenService/IssueToken";

/// Where the client's secret is.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// Here.
    Fixed(PresentedSecret),
    /// In a file, read anew for every token, so that a rotated secret needs no restart.
    File(PathBuf),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub secret: SecretSource,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The audience; empty means the client's first.
    pub audience: String,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The secret's file cannot be read.
    #[error("the client secret cannot be read from {path}: {source}")]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The secret is empty or too long.
    #[error("the client secret is empty or longer than {} bytes", PresentedSecret::MAX_LEN)]
    Secret,
    /// The issuer refused, or was not reached.
    #[error("the issuer gave no token: {}: {}", .0.code(), .0.message())]
    Issuer(#[source] Box<Status>),
    /// The issuer's answer holds no token that could be sent.
    #[error("the issuer's answer holds no token")]
    Answer,
}

/// Gives tokens, fetching one where the last is nearly over. Concurrent callers share one fetch.
pub struct TokenSource {
    client: TokenServiceClient<Channel>,
    request: TokenRequest,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    header: AsciiMetadataValue,
    fresh_until: Duration,
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource").field("request", &self.request).finish_non_exhaustive()
    }
}

impl TokenSource {
    /// A source over a channel to the issuer.
    #[must_use]
    pub fn new(channel: Channel, request: TokenRequest, clock: Arc<dyn Clock>) -> Self {
        Self { client: TokenServiceClient::new(channel), request, clock, kept: Mutex::new(None) }
    }

    /// The value of the `authorization` metadata: `Bearer …`, marked as sensitive.
    ///
    /// # Errors
    /// Every [`TokenError`].
    pub async fn authorization(&self) -> Result<AsciiMetadataValue, TokenError> {
        let mut kept = self.kept.lock().await;
        let now = self.clock.monotonic();
        if let Some(kept) = kept.as_ref().filter(|k| now < k.fresh_until) {
            return Ok(kept.header.clone());
        }
        let fetched = self.fetch(now).await?;
        let header = fetched.header.clone();
        *kept = Some(fetched);
        Ok(header)
    }

    /// Forgets the token, after the issuer refused it.
    pub async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    async fn fetch(&self, now: Duration) -> Result<Kept, TokenError> {
        let secret = self.secret().await?;
        let mut request = Request::new(IssueTokenRequest {
            client_id: self.request.client_id.clone(),
            client_secret: secret.expose().to_owned(),
            scopes: self.request.scopes.clone(),
            audience: self.request.audience.clone(),
            grant: Some(Grant::ClientCredentials(ClientCredentialsGrant {})),
        });
        request.set_timeout(TIMEOUT);
        let mut client = self.client.clone();
        let asking = async move |request| client.issue_token(request).await;
        let answer = trace::outgoing(METHOD, request, asking).await;
        let answer = answer.map_err(|status| TokenError::Issuer(Box::new(status)))?.into_inner();
        let text = Zeroizing::new(format!("Bearer {}", answer.access_token));
        let mut header = AsciiMetadataValue::try_from(text.as_str()).map_err(|_| TokenError::Answer)?;
        header.set_sensitive(true);
        let lifetime = answer.expires_in.map_or(0, |d| u64::try_from(d.seconds).unwrap_or(0));
        // Renewed after four fifths of its life: a token must outlive the call it opens.
        Ok(Kept { header, fresh_until: now + Duration::from_secs(lifetime) * 4 / 5 })
    }

    async fn secret(&self) -> Result<PresentedSecret, TokenError> {
        match &self.request.secret {
            SecretSource::Fixed(secret) => Ok(secret.clone()),
            SecretSource::File(path) => {
                let failed = |source| TokenError::SecretFile { path: path.clone(), source };
                let text = Zeroizing::new(tokio::fs::read_to_string(path).await.map_err(failed)?);
                PresentedSecret::new(text.trim_end_matches(['\r', '\n']).to_owned()).ok_or(TokenError::Secret)
            }
        }
    }
}

#[cfg(test)]
mod tests;
