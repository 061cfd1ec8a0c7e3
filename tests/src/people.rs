//! People, a client that acts for them, and a front end through which they decide.

use std::process::ChildStdin;

use anyhow::{Context as _, Result};
use tessera_api::admin::v1 as admin;
use tessera_api::admin::v1::password::Value;
use tessera_api::admin::v1::user_service_client::UserServiceClient;
use tessera_api::oauth::v1::authorization_service_client::AuthorizationServiceClient;
use tessera_api::oauth::v1::create_authorization_response::Outcome;
use tessera_api::oauth::v1::decide_authorization_request::User;
use tessera_api::oauth::v1::{AuthenticateUserRequest, CreateAuthorizationRequest, DecideAuthorizationRequest};
use tessera_testkit::pair::{Backend, Options};
use tokio::sync::OnceCell;
use tonic::Status;
use tonic::transport::Channel;

use crate::doors::{At, Door, Grant, Tokens};
use crate::{Client, World, as_bearer, channel, create_client, shared, world_with};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";
/// Where the client is answered.
pub const REDIRECT: &str = "https://app.example/cb";
/// RFC 7636 Appendix B: a verifier.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// And its challenge.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Somebody who may sign in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The identifier.
    pub id: String,
    /// The username.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

/// A world with Ada in it, a client that may act for her by every grant, and a front end that speaks for everybody.
pub struct People {
    /// The pair.
    pub world: World,
    /// The user.
    pub ada: Account,
    /// The client: `orders:read orders:write` for `orders-api`, by every grant.
    pub app: Client,
    /// An administrator's token.
    pub admin: String,
    /// The front end's token.
    pub front: String,
}

/// Starts a world with people in it, its password grant on, with more lines of the issuer's `[tokens]`; `None` where the database is
/// not installed.
pub async fn people(backend: Backend, tokens: &str) -> Result<Option<People>> {
    let issuer = format!("[tokens]\npassword_grant = true\n{tokens}\n");
    people_with(backend, Options { issuer, ..Options::default() }).await
}

/// As [`people`], configured in every respect.
pub async fn people_with(backend: Backend, options: Options) -> Result<Option<People>> {
    let Some(world) = world_with(backend, options).await? else { return Ok(None) };
    let app = app(&world, "app")?;
    let url = world.pair.ports.issuer_url();
    let front = &["--grant", "client_credentials", "--scope", "tessera.login", "--audience", &url];
    let front = create_client(&world.pair, "front-end", front)?;
    let front = At::of(&world.pair).ask(Door::Grpc, &front, Grant::ClientCredentials, "tessera.login").await?;
    let front = front.map_err(|refusal| anyhow::anyhow!("the front end: {refusal:?}"))?.access;
    let admin = world.admin_token().await?;
    let nobody = Account { id: String::new(), name: String::new(), email: String::new() };
    let mut people = People { world, ada: nobody, app, admin, front };
    people.ada = people.person("ada").await?;
    Ok(Some(people))
}

/// A client that may act for people by every grant.
pub fn app(world: &World, id: &str) -> Result<Client> {
    let grants = ["--grant", "client_credentials", "password", "refresh_token", "authorization_code"];
    let scopes = ["--scope", "orders:read", "orders:write", "--default-scope", "orders:read", "orders:write"];
    let rest = ["--audience", "orders-api", "--redirect-uri", REDIRECT];
    create_client(&world.pair, id, &[&grants[..], &scopes[..], &rest[..]].concat())
}

/// One world for all tests of a process, on SQLite: for what does not depend on the database. Tests that change something bring
/// people and clients of their own.
pub async fn shared_people() -> Result<&'static People> {
    static SHARED: OnceCell<(People, ChildStdin)> = OnceCell::const_new();
    let start = async || {
        let people = people(Backend::Sqlite, "").await?.context("SQLite is always there")?;
        let lifeline = shared::keep(&people.world)?;
        Ok::<_, anyhow::Error>((people, lifeline))
    };
    SHARED.get_or_try_init(start).await.map(|(people, _)| people)
}

impl People {
    /// The issuer.
    #[must_use]
    pub fn at(&self) -> At {
        At::of(&self.world.pair)
    }

    /// Registers somebody.
    pub async fn person(&self, name: &str) -> Result<Account> {
        let email = format!("{name}@example.test");
        let user = admin::User { username: name.to_owned(), email: email.clone(), ..admin::User::default() };
        let request = admin::CreateUserRequest { user: Some(user), password: Some(plain(PASSWORD)) };
        let created = self.users().await?.create_user(as_bearer(&self.admin, request)?).await?.into_inner();
        let id = created.user.context("a user")?.user_id;
        Ok(Account { id, name: name.to_owned(), email })
    }

    /// The administration of users.
    pub async fn users(&self) -> Result<UserServiceClient<Channel>> {
        Ok(UserServiceClient::new(channel(self.at().grpc).await?))
    }

    /// What a front end calls.
    pub async fn authorizations(&self) -> Result<AuthorizationServiceClient<Channel>> {
        Ok(AuthorizationServiceClient::new(channel(self.at().grpc).await?))
    }

    /// Changes somebody's password.
    pub async fn set_password(&self, person: &Account, password: &str) -> Result<()> {
        let request = admin::SetUserPasswordRequest { user_id: person.id.clone(), password: Some(plain(password)) };
        self.users().await?.set_user_password(as_bearer(&self.admin, request)?).await?;
        Ok(())
    }

    /// Refuses somebody, or lets them in again.
    pub async fn enable(&self, person: &Account, enabled: bool) -> Result<()> {
        let (user_id, mut users) = (person.id.clone(), self.users().await?);
        if enabled {
            users.enable_user(as_bearer(&self.admin, admin::EnableUserRequest { user_id })?).await?;
        } else {
            users.disable_user(as_bearer(&self.admin, admin::DisableUserRequest { user_id })?).await?;
        }
        Ok(())
    }

    /// Ends everything that somebody has.
    pub async fn revoke_tokens(&self, person: &Account) -> Result<()> {
        let request = admin::RevokeUserTokensRequest { user_id: person.id.clone() };
        self.users().await?.revoke_user_tokens(as_bearer(&self.admin, request)?).await?;
        Ok(())
    }

    /// Ada's tokens, by her password.
    pub async fn by_password(&self) -> Result<Tokens> {
        self.at().issue(Door::Grpc, &self.app, Grant::Password(&self.ada.name, PASSWORD)).await
    }

    /// Ada's tokens as a new grant that costs no slow hash: by a code.
    pub async fn by_code(&self) -> Result<Tokens> {
        let code = self.code(&self.app, &self.ada, "").await?;
        self.at().issue(Door::Grpc, &self.app, redemption(&code)).await
    }

    /// A code that somebody has decided on.
    pub async fn code(&self, client: &Client, person: &Account, scope: &str) -> Result<String> {
        let request = asked(client, scope);
        let id = self.request(request).await?;
        code_in(&self.decide(&id, User::UserId(person.id.clone())).await?)
    }

    /// Makes an authorization request; its id.
    pub async fn request(&self, request: CreateAuthorizationRequest) -> Result<String> {
        let response = self.authorizations().await?.create_authorization(as_bearer(&self.front, request)?).await?;
        match response.into_inner().outcome {
            Some(Outcome::Authorization(authorization)) => Ok(authorization.authorization_id),
            other => anyhow::bail!("{other:?}"),
        }
    }

    /// Allows what is asked; where the browser goes.
    pub async fn decide(&self, id: &str, user: User) -> Result<String, Status> {
        let request = DecideAuthorizationRequest {
            authorization_id: id.to_owned(),
            user: Some(user),
            allow: true,
            ..DecideAuthorizationRequest::default()
        };
        let internal = |error: anyhow::Error| Status::internal(error.to_string());
        let request = as_bearer(&self.front, request).map_err(internal)?;
        let mut service = self.authorizations().await.map_err(internal)?;
        Ok(service.decide_authorization(request).await?.into_inner().redirect_uri)
    }

    /// Signs somebody in; their session.
    pub async fn sign_in(&self, username: &str, password: &str) -> Result<String, Status> {
        let request = AuthenticateUserRequest {
            username: username.to_owned(),
            password: password.to_owned(),
            ..AuthenticateUserRequest::default()
        };
        let internal = |error: anyhow::Error| Status::internal(error.to_string());
        let request = as_bearer(&self.front, request).map_err(internal)?;
        let mut service = self.authorizations().await.map_err(internal)?;
        Ok(service.authenticate_user(request).await?.into_inner().session_token)
    }
}

/// A password as the administration takes it.
#[must_use]
pub fn plain(password: &str) -> admin::Password {
    admin::Password { value: Some(Value::Plain(password.to_owned())) }
}

/// An authorization request that is in order.
#[must_use]
pub fn asked(client: &Client, scope: &str) -> CreateAuthorizationRequest {
    CreateAuthorizationRequest {
        response_type: "code".to_owned(),
        client_id: client.id.clone(),
        redirect_uri: REDIRECT.to_owned(),
        scope: scope.to_owned(),
        state: "xyz".to_owned(),
        code_challenge: CHALLENGE.to_owned(),
        code_challenge_method: "S256".to_owned(),
        audience: String::new(),
    }
}

/// The redemption of a code of [`asked`], everything right.
#[must_use]
pub fn redemption(code: &str) -> Grant<'_> {
    Grant::Code { code, redirect: REDIRECT, verifier: VERIFIER }
}

/// The code in the query of a redirect.
pub fn code_in(redirect: &str) -> Result<String> {
    let (_, query) = redirect.split_once('?').with_context(|| format!("no query: {redirect}"))?;
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    Ok(code.with_context(|| format!("no code: {redirect}"))?.to_owned())
}
