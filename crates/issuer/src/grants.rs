//! The grants: one file each, and here what they share.

pub mod authorization_code;
pub mod client_credentials;
mod error;
pub mod lineage;
pub mod password;
pub mod refresh_token;
pub(crate) mod users;

pub use error::{ParameterError, TokenError};

use std::net::IpAddr;
use std::time::Duration;

use tessera_kit::calls;
use tessera_store::{Actor, Client};
use tessera_types::{Audience, ClaimsProfile, Failure, GrantType, PresentedSecret, Scope, ScopeSet};

use crate::audit::By;
use crate::client_auth::{self, AuthenticatedClient, ClientAuthError, PresentedClient};
use crate::context::{Context, Policy};
use crate::minting::{MintError, Minted};
use crate::user_auth::PresentedUser;
use authorization_code::Redemption;

/// How often a request is begun anew because client or user are changed while it runs.
const LOOKS: usize = 4;

/// The grants this server runs; metadata lists just these.
#[must_use]
pub fn supported(policy: &Policy) -> Vec<GrantType> {
    let on = |grant: &GrantType| *grant != GrantType::Password || policy.password_grant;
    GrantType::ALL.iter().copied().filter(on).collect()
}

/// Refuses a grant that this server does not run, before its parameters are looked at: what is off is not there.
///
/// # Errors
/// `GrantTypeUnsupported`.
pub fn must_be_supported(policy: &Policy, grant: GrantType) -> Result<(), ParameterError> {
    if supported(policy).contains(&grant) { Ok(()) } else { Err(ParameterError::GrantTypeUnsupported) }
}

/// A token request, whatever way it came.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Who asks.
    pub client: PresentedClient,
    /// For which grant.
    pub grant: GrantRequest,
    /// For which scopes; none means the client's default scopes.
    pub scopes: ScopeSet,
    /// For which audience; none means the client's first.
    pub audience: Option<Audience>,
}

/// A grant with its own parameters.
#[derive(Clone, Debug)]
pub enum GrantRequest {
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 6749 section 4.3.
    Password(PresentedUser),
    /// RFC 6749 section 6.
    RefreshToken(PresentedRefreshToken),
    /// RFC 6749 section 4.1.3.
    AuthorizationCode(Redemption),
}

/// A refresh token as sent. Not shown.
#[derive(Clone)]
pub struct PresentedRefreshToken(pub String);

impl std::fmt::Debug for PresentedRefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PresentedRefreshToken(…)")
    }
}

impl GrantRequest {
    /// The password grant, from its parameters as sent; empty ones are absent.
    ///
    /// # Errors
    /// `Missing`.
    pub fn password(
        username: Option<String>,
        password: Option<String>,
        from: Option<IpAddr>,
    ) -> Result<Self, ParameterError> {
        let identifier = username.ok_or(ParameterError::Missing("username"))?;
        let password = password.ok_or(ParameterError::Missing("password"))?;
        // One that is too long is nobody's; it is refused as any wrong one is.
        let password = PresentedSecret::new(password).unwrap_or_else(PresentedSecret::nobodys);
        Ok(Self::Password(PresentedUser { identifier, password, from, relayed: false }))
    }

    /// The refresh token grant, likewise.
    ///
    /// # Errors
    /// `Missing`.
    pub fn refresh_token(token: Option<String>) -> Result<Self, ParameterError> {
        token.map(PresentedRefreshToken).map(Self::RefreshToken).ok_or(ParameterError::Missing("refresh_token"))
    }

    /// The authorization code grant, likewise.
    ///
    /// # Errors
    /// `Missing`.
    pub fn authorization_code(
        code: Option<String>,
        redirect_uri: Option<String>,
        verifier: Option<String>,
    ) -> Result<Self, ParameterError> {
        let code = code.ok_or(ParameterError::Missing("code"))?;
        Ok(Self::AuthorizationCode(Redemption { code, redirect_uri, verifier }))
    }

    /// The grant's type.
    #[must_use]
    pub const fn grant_type(&self) -> GrantType {
        match self {
            Self::ClientCredentials => GrantType::ClientCredentials,
            Self::Password(_) => GrantType::Password,
            Self::RefreshToken(_) => GrantType::RefreshToken,
            Self::AuthorizationCode(_) => GrantType::AuthorizationCode,
        }
    }
}

/// What a dialect of the token endpoint decides otherwise than the RFC's.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How long a spent refresh token still gets its successor.
    pub grace: Duration,
    /// The claims profile of a client that has none of its own.
    pub profile: ClaimsProfile,
    /// Scopes that every token has, before the others, asked for or not.
    pub implicit: ScopeSet,
    /// What a client gets that asks for no scope.
    pub unasked: Unasked,
    /// Whether refresh tokens are given out.
    pub refresh: bool,
    /// Whether a client with the password grant has the refresh token grant with it.
    pub password_refreshes: bool,
    /// Whether a refresh ends the access token before it.
    pub retires_access: bool,
}

/// What a client gets that asks for no scope (RFC 6749 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unasked {
    /// Its default scopes.
    Defaults,
    /// Its default scopes, without this one.
    DefaultsWithout(Scope),
    /// None.
    Nothing,
}

impl Terms {
    /// Those of RFC 6749, which `/oauth2/token` and gRPC keep to.
    #[must_use]
    pub fn of_the_rfc(policy: &Policy) -> Self {
        Self {
            grace: policy.refresh_reuse_grace,
            profile: ClaimsProfile::Rfc9068,
            implicit: ScopeSet::empty(),
            unasked: Unasked::Defaults,
            refresh: true,
            password_refreshes: false,
            retires_access: false,
        }
    }
}

/// How far one run of a grant came.
pub enum Turn {
    /// To its tokens.
    Done(Minted),
    /// Client, user or consent were changed while it ran: what it would give out would be dead on arrival. It is begun anew.
    Again,
}

/// Runs a token request as RFC 6749 has it.
///
/// # Errors
/// See [`TokenError`].
pub async fn issue(cx: &Context, request: TokenRequest) -> Result<Minted, TokenError> {
    issue_under(cx, request, &Terms::of_the_rfc(&cx.policy)).await
}

/// Runs a token request.
///
/// # Errors
/// See [`TokenError`].
pub async fn issue_under(cx: &Context, request: TokenRequest, terms: &Terms) -> Result<Minted, TokenError> {
    let (grant_type, client) = (request.grant.grant_type(), client_auth::printable(cx, &request.client.id).to_owned());
    let begun = cx.clock.monotonic();
    let result = execute(cx, request, terms).await;
    cx.telemetry.token_request(grant_type, result.as_ref().err().map(Failure::code));
    tell(grant_type, &client, result.as_ref().err(), cx.clock.monotonic().saturating_sub(begun));
    result
}

/// One line for each request, and what its span has of it.
fn tell(grant_type: GrantType, client_id: &str, error: Option<&TokenError>, took: Duration) {
    let grant_type = grant_type.as_str();
    let (outcome, duration_ms) = (if error.is_none() { "ok" } else { "error" }, took.as_secs_f64() * 1000.0);
    calls::attribute("grant_type", grant_type);
    calls::attribute("outcome", outcome);
    match error {
        None => tracing::info!(client_id, grant_type, outcome, duration_ms, "token request"),
        Some(failure) => {
            let (error, reason) = (failure.code().as_str(), failure.reason());
            calls::attribute("error", error);
            calls::attribute("reason", reason);
            tracing::info!(client_id, grant_type, outcome, error, reason, duration_ms, "token request");
        }
    }
}

async fn execute(cx: &Context, request: TokenRequest, terms: &Terms) -> Result<Minted, TokenError> {
    // Before anybody is looked at: nothing that is wrong with them is why there is no token.
    if cx.signer.load().is_none() {
        return Err(MintError::NoKey.into());
    }
    for _ in 0..LOOKS {
        let client = client_auth::authenticate(cx, &request.client).await?;
        let cx = &cx.acting(By { from: request.client.from, ..By::of(Actor::Client(client.client.id.clone())) });
        if let Turn::Done(minted) = run(cx, &client, &request, terms).await? {
            return Ok(minted);
        }
    }
    Err(ClientAuthError::NotReady.into())
}

async fn run(
    cx: &Context,
    client: &AuthenticatedClient,
    request: &TokenRequest,
    terms: &Terms,
) -> Result<Turn, TokenError> {
    let asked = Asked { scopes: &request.scopes, audience: request.audience.as_ref(), terms };
    match &request.grant {
        GrantRequest::ClientCredentials => client_credentials::execute(cx, client, &asked).map(Turn::Done),
        GrantRequest::Password(user) => password::execute(cx, client, user, &asked).await,
        GrantRequest::RefreshToken(token) => refresh_token::execute(cx, client, &token.0, &asked).await,
        GrantRequest::AuthorizationCode(code) => authorization_code::execute(cx, client, code, &asked).await,
    }
}

/// What a request asks of any grant, and under which terms.
pub struct Asked<'a> {
    scopes: &'a ScopeSet,
    audience: Option<&'a Audience>,
    terms: &'a Terms,
}

impl Asked<'_> {
    /// What is asked for must be the client's; nothing asked for is what the terms say (RFC 6749 section 3.3). Implicit scopes, the
    /// terms' and the client's, are there in any case, and come first.
    fn scopes_of(&self, client: &Client) -> Result<ScopeSet, TokenError> {
        let unasked = &self.terms.unasked;
        let implicit = self.implicit(client);
        let own = |scope: &&Scope| !implicit.contains(scope.as_str());
        let asked: ScopeSet = self.scopes.iter().filter(own).cloned().collect();
        let granted = match unasked {
            _ if !asked.is_empty() => narrow_scopes(client, asked)?,
            Unasked::Defaults => client.default_scopes.clone(),
            Unasked::DefaultsWithout(scope) => client.default_scopes.iter().filter(|s| *s != scope).cloned().collect(),
            Unasked::Nothing => ScopeSet::empty(),
        };
        Ok(implicit.iter().chain(&granted).cloned().collect())
    }

    /// What a client gets in any case.
    fn implicit(&self, client: &Client) -> ScopeSet {
        self.terms.implicit.union(&client.implicit_scopes)
    }

    /// The audience asked for must be the client's; none asked for is its first (RFC 8707 section 2).
    fn audience_of(&self, cx: &Context, client: &Client) -> Result<Audience, TokenError> {
        choose_audience(cx, client, self.audience)
    }

    /// Whether a client is given refresh tokens here, and may use them.
    fn may_refresh(&self, cx: &Context, client: &Client) -> bool {
        let with_password =
            self.terms.password_refreshes && cx.policy.password_grant && client.grants.contains(&GrantType::Password);
        self.terms.refresh && (with_password || client.grants.contains(&GrantType::RefreshToken))
    }

    /// The shape of a client's tokens here.
    fn profile_of(&self, client: &Client) -> ClaimsProfile {
        client.claims_profile.unwrap_or(self.terms.profile)
    }
}

/// The client must have been given the grant.
fn may_use(client: &Client, grant: GrantType) -> Result<(), TokenError> {
    if client.grants.contains(&grant) { Ok(()) } else { Err(TokenError::GrantNotAllowed(grant)) }
}

/// What is asked for must be the client's; nothing asked for is the client's default (RFC 6749 section 3.3).
fn narrow_scopes(client: &Client, asked: ScopeSet) -> Result<ScopeSet, TokenError> {
    if asked.is_empty() {
        return Ok(client.default_scopes.clone());
    }
    match asked.first_outside(&client.scopes) {
        None => Ok(asked),
        Some(outside) => Err(TokenError::ScopeNotAllowed(outside.clone())),
    }
}

/// The audience asked for must be the client's; none asked for is its first (RFC 8707 section 2).
fn choose_audience(cx: &Context, client: &Client, asked: Option<&Audience>) -> Result<Audience, TokenError> {
    match asked {
        None => Ok(client.audiences.first().unwrap_or(&cx.policy.default_audience).clone()),
        Some(audience) if client.audiences.contains(audience) => Ok(audience.clone()),
        Some(_) => Err(TokenError::AudienceNotAllowed),
    }
}
