//! `tessera token revoke`: one token, or every token of a client.

use clap::Args;
use tessera_api::oauth::v1::RevokeTokenRequest;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_types::ClientId;
use tonic::Request;
use tonic::transport::Channel;

use super::argument::TokenArg;
use crate::app::App;
use crate::commands::{Done, client};
use crate::confirm::Consent;
use crate::connect::{self, Access, Administrator};
use crate::credential::Credential;
use crate::jwt::Decoded;
use crate::problem::{Exit, Problem};
use crate::settings::{Fixture, Given};

/// Makes a token inactive (RFC 7009). When it returns, no introspector says active.
///
/// A token of the context's own client is revoked as that client, any other as an administrator.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token revoke - < token.txt
  tessera token revoke --client billing --yes")]
pub struct Revoke {
    #[command(flatten)]
    token: TokenArg,

    /// Every token issued to this client so far, instead of one token.
    #[arg(long, value_name = "ID", conflicts_with = "token")]
    client: Option<ClientId>,

    #[command(flatten)]
    consent: Consent,
}

impl Revoke {
    /// Revokes.
    ///
    /// # Errors
    /// What the issuer says; `REVOCATION_UNCONFIRMED` where the revocation is durable and not yet confirmed.
    pub async fn run(self, app: &mut App<'_>) -> Result<Exit, Problem> {
        if let Some(client_id) = &self.client {
            return client::revoke_all(app, client_id, self.consent).await;
        }
        let token = self.token.read(app.console)?;
        let claims = Decoded::parse(&token).ok();
        let name = claims.as_ref().and_then(|c| c.text("jti")).unwrap_or("the token").to_owned();
        if self.consent.dry_run {
            return app.show(&Done::would("revoked", name));
        }
        let settings = app.settings()?;
        let credential = settings.credential(&Given::default(), &settings.issuer, Fixture::Admin)?;
        let channel = app.issuer(&settings).await?;
        let own = claims.as_ref().and_then(|c| c.text("client_id")) == Some(credential.client_id.as_str());
        let message = RevokeTokenRequest { token: token.to_string(), ..RevokeTokenRequest::default() };
        let request = if own {
            connect::request(message, credential.basic()?, app.timeout())
        } else {
            as_administrator(message, channel.clone(), &credential, app).await?
        };
        let answer = TokenServiceClient::new(channel).revoke_token(request).await?.into_inner();
        let revision = Some(answer.revision).filter(|revision| !revision.is_empty());
        app.show(&Done::did("revoked", name, revision))
    }
}

async fn as_administrator(
    message: RevokeTokenRequest,
    channel: Channel,
    credential: &Credential,
    app: &App<'_>,
) -> Result<Request<RevokeTokenRequest>, Problem> {
    let admin = Administrator::sign_in(channel, credential, Access::Write, app.timeout()).await?;
    Ok(admin.request(message))
}
