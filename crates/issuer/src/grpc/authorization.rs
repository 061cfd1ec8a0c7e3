//! `tessera.oauth.v1.AuthorizationService`.

use std::net::IpAddr;

use tessera_api::oauth::v1::authorization_service_server::AuthorizationService;
use tessera_api::oauth::v1::create_authorization_response::Outcome;
use tessera_api::oauth::v1::decide_authorization_request::User;
use tessera_api::oauth::v1::{self as api};
use tessera_types::scope::reserved;
use tessera_types::{PresentedSecret, RequestToken, Scope, UserId};
use tonic::{Request, Response, Status};

use super::{access, wire};
use crate::context::Context;
use crate::operations::authorization::{self, Asked, AuthorizeError, DecideError, Decider, Decision, Pending};
use crate::operations::sessions;
use crate::user_auth::PresentedUser;

/// The service.
pub(crate) struct Authorizations(pub Context);

const LOGIN: &[&str] = &[reserved::LOGIN];

#[tonic::async_trait]
impl AuthorizationService for Authorizations {
    async fn create_authorization(
        &self,
        request: Request<api::CreateAuthorizationRequest>,
    ) -> Result<Response<api::CreateAuthorizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, LOGIN).await?;
        let outcome = match authorization::create(&cx, &asked(request.into_inner())).await {
            Ok((token, pending)) => Outcome::Authorization(waiting(token.expose(), pending)),
            Err(AuthorizeError::Mistaken { redirect, .. }) => Outcome::ErrorRedirectUri(redirect),
            Err(error) => return Err(access::refused(&error)),
        };
        Ok(Response::new(api::CreateAuthorizationResponse { outcome: Some(outcome) }))
    }

    async fn get_authorization(
        &self,
        request: Request<api::GetAuthorizationRequest>,
    ) -> Result<Response<api::GetAuthorizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, LOGIN).await?;
        let message = request.into_inner();
        let token = token(&message.authorization_id)?;
        let pending = authorization::find(&cx, &token).await.map_err(|error| access::refused(&error))?;
        let consented = match message.user_id.as_str() {
            "" => false,
            id => {
                authorization::is_remembered(&cx, user(id)?, &pending).await.map_err(|error| access::refused(&error))?
            }
        };
        let authorization = Some(waiting(&message.authorization_id, pending));
        Ok(Response::new(api::GetAuthorizationResponse { authorization, consented }))
    }

    async fn authenticate_user(
        &self,
        request: Request<api::AuthenticateUserRequest>,
    ) -> Result<Response<api::AuthenticateUserResponse>, Status> {
        let cx = access::allow(&self.0, &request, LOGIN).await?;
        let caller = access::peer(&request);
        let message = request.into_inner();
        let presented = PresentedUser {
            // A front end that does not say where its users are sends them all from its own address.
            relayed: message.client_address.is_empty(),
            ..presented(message.username, message.password, address(&message.client_address, caller)?)?
        };
        let begun =
            sessions::login(&cx, &presented, &message.user_agent).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::AuthenticateUserResponse {
            user_id: begun.user.id.to_string(),
            username: begun.user.username.to_string(),
            session_token: begun.token.expose().to_owned(),
            expire_time: Some(wire::timestamp(begun.session.expires)),
        }))
    }

    async fn decide_authorization(
        &self,
        request: Request<api::DecideAuthorizationRequest>,
    ) -> Result<Response<api::DecideAuthorizationResponse>, Status> {
        let cx = access::allow(&self.0, &request, LOGIN).await?;
        let message = request.into_inner();
        let token = token(&message.authorization_id)?;
        let decider = match message.user {
            Some(User::SessionToken(text)) => {
                Decider::Session(text.parse().map_err(|_| access::refused(&DecideError::SignedOut))?)
            }
            Some(User::UserId(id)) => Decider::User(user(&id)?),
            None => return Err(wire::invalid("user", "Say who decides: session_token or user_id.")),
        };
        let decision = match (message.allow, message.only_if_consented) {
            (true, false) => Decision::Allow,
            (true, true) => Decision::Remembered,
            (false, false) => Decision::Deny,
            (false, true) => return Err(wire::invalid("only_if_consented", "Only what is allowed can be remembered.")),
        };
        let redirect_uri =
            authorization::decide(&cx, &token, &decider, decision).await.map_err(|error| access::refused(&error))?;
        Ok(Response::new(api::DecideAuthorizationResponse { redirect_uri }))
    }
}

fn asked(message: api::CreateAuthorizationRequest) -> Asked {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Asked {
        response_type: given(message.response_type),
        client_id: given(message.client_id),
        redirect_uri: given(message.redirect_uri),
        scope: given(message.scope),
        state: given(message.state),
        challenge: given(message.code_challenge),
        challenge_method: given(message.code_challenge_method),
        audience: given(message.audience),
        ..Asked::default()
    }
}

fn waiting(id: &str, pending: Pending) -> api::Authorization {
    api::Authorization {
        authorization_id: id.to_owned(),
        client_id: pending.client.id.to_string(),
        client_name: pending.client.name,
        redirect_host: pending.request.redirect_uri.host().unwrap_or_default().to_owned(),
        scopes: pending.request.scopes.iter().map(Scope::to_string).collect(),
        expire_time: Some(wire::timestamp(pending.request.expires)),
    }
}

/// An identifier that is none of ours is as good as one that is over.
fn token(text: &str) -> Result<RequestToken, Status> {
    text.parse().map_err(|_| access::refused(&DecideError::Gone))
}

fn user(text: &str) -> Result<UserId, Status> {
    text.parse().map_err(|_| wire::invalid("user_id", "A user id begins with usr_. List the users to see theirs."))
}

fn address(text: &str, caller: Option<IpAddr>) -> Result<Option<IpAddr>, Status> {
    match text {
        "" => Ok(caller),
        text => text.parse().map(Some).map_err(|_| wire::invalid("client_address", "Not an IP address.")),
    }
}

fn presented(username: String, password: String, from: Option<IpAddr>) -> Result<PresentedUser, Status> {
    if username.is_empty() {
        return Err(wire::invalid("username", "The username or e-mail address is missing."));
    }
    if password.is_empty() {
        return Err(wire::invalid("password", "The password is missing."));
    }
    let password = PresentedSecret::new(password).unwrap_or_else(PresentedSecret::nobodys);
    Ok(PresentedUser { identifier: username, password, from, relayed: false })
}
