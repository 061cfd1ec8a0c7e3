//! `tessera token revoke`: one token, or every token of a client or a user.

use clap::Args;
use tessera_api::oauth::v1::token_service_client::TokenServiceClient;
use tessera_api::oauth::v1::{RevokeTokenRequest, RevokeTokenResponse};
use tessera_types::{ClientId, RefreshToken};
use tonic::transport::Channel;
use tonic::{Request, Response};

use super::argument::TokenArg;
use crate::app::App;
use crate::commands::{Done, client, user};
use crate::confirm::Consent;
use crate::connect::{self, Access, Administrator};
use crate::credential::Credential;
use crate::jwt::Decoded;
use crate::problem::{Exit, Problem};
use crate::settings::{Fixture, Given};

/// What the issuer says of a token that was issued to another client than the one that asks.
const ANOTHERS: &str = "TOKEN_OF_ANOTHER_CLIENT";

/// Makes a token inactive (RFC 7009). When it returns, no introspector says active.
///
/// A token of the context's own client is revoked as that client, any other as an administrator. A refresh token takes along
/// every token of its grant.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tessera token revoke - < token.txt
  tessera token revoke --client billing --yes
  tessera token revoke --user ada --dry-run")]
pub struct Revoke {
    #[command(flatten)]
    token: TokenArg,

    /// Every token issued to this client so far, instead of one token.
    #[arg(long, value_name = "ID", conflicts_with = "token")]
    client: Option<ClientId>,

    /// Every token issued for this user so far, instead of one token: an id, a username or an e-mail address.
    #[arg(long, value_name = "WHO", conflicts_with_all = ["token", "client"])]
    user: Option<String>,

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
        if let Some(who) = &self.user {
            return user::revoke_all(app, who, self.consent).await;
        }
        let token = self.token.read(app.console)?;
        let named = Named::read(&token);
        if self.consent.dry_run {
            return app.show(&Done::would("revoked", named.name));
        }
        let settings = app.settings()?;
        let channel = app.issuer(&settings).await?;
        let message = || RevokeTokenRequest { token: token.to_string(), ..RevokeTokenRequest::default() };
        let mut service = TokenServiceClient::new(channel.clone());
        if settings.is_by_certificate(&Given::default(), &settings.issuer) {
            let admin = Administrator::by_certificate(channel, app.timeout());
            let answer = service.revoke_token(admin.request(message())).await?;
            return app.show(&Done::did("revoked", named.name, revision(answer)));
        }
        let credential = settings.credential(&Given::default(), &settings.issuer, Fixture::Admin)?;
        let mut as_client = None;
        if named.opaque || named.client.as_deref() == Some(credential.client_id.as_str()) {
            let request = connect::request(message(), credential.basic()?, app.timeout());
            as_client = Some(service.revoke_token(request).await.map_err(Problem::from));
        }
        let answer = match as_client {
            Some(Ok(answer)) => answer,
            Some(Err(problem)) if !named.opaque || problem.reason != ANOTHERS => return Err(problem),
            _ => service.revoke_token(as_administrator(message(), channel, &credential, app).await?).await?,
        };
        app.show(&Done::did("revoked", named.name, revision(answer)))
    }
}

fn revision(answer: Response<RevokeTokenResponse>) -> Option<String> {
    Some(answer.into_inner().revision).filter(|revision| !revision.is_empty())
}

/// What a token says of itself.
struct Named {
    /// What to call it.
    name: String,
    /// The client it was issued to; a refresh token does not say so, and is tried as one's own first.
    client: Option<String>,
    /// Whether it is a refresh token.
    opaque: bool,
}

impl Named {
    fn read(token: &str) -> Self {
        let opaque = token.parse::<RefreshToken>().is_ok();
        let claims = Decoded::parse(token).ok();
        let text = |claim: &str| claims.as_ref().and_then(|claims| claims.text(claim)).map(str::to_owned);
        let unnamed = if opaque { "the refresh token" } else { "the token" };
        Self { name: text("jti").unwrap_or_else(|| unnamed.to_owned()), client: text("client_id"), opaque }
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
