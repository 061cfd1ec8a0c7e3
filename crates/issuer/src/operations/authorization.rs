//! The authorization code grant, its first half (RFC 6749 section 4.1.1): what a client asks, kept until a person decides.
//!
//! A request is checked, kept under an identifier of its own, and decided once; what is decided is what is kept, never what a browser
//! says at the end. Threats: an open redirector (the redirect URI is a registered one, or the person sees an error page), a code for a
//! session that has ended (`rev`), two decisions of one request (one conditional deletion picks the winner), mixed-up servers (`iss`,
//! RFC 9207).

mod answer;
mod error;
mod request;

pub use error::{AuthorizeError, DecideError, Mistake, Untrusted};
pub use request::Asked;

use std::time::Duration;

use tessera_store::{AuthorizationCodeRecord, AuthorizationRequest, Client, Consent, StoreError, User};
use tessera_types::{AuthorizationCode, ClientId, GrantId, RequestToken, Revision, ScopeSet, SessionToken, UserId};

use self::answer::Answer;
use super::clients::is_usable;
use super::sessions;
use crate::context::Context;
use crate::grants::users::may_have;
use crate::standing::{self, Owners};

/// How long a person may take to decide.
const DECIDE_WITHIN: Duration = Duration::from_secs(600);

/// How often a decision is begun anew because client or user are changed while it is made.
const LOOKS: usize = 4;

/// A request that waits, with the client that asks.
#[derive(Clone, Debug)]
pub struct Pending {
    /// What was asked.
    pub request: AuthorizationRequest,
    /// Who asks, enabled.
    pub client: Client,
}

/// Who decides.
pub enum Decider {
    /// The owner of a session.
    Session(SessionToken),
    /// A user, on the word of a front end that may speak for everybody.
    User(UserId),
}

/// Checks a request and keeps it.
///
/// # Errors
/// [`AuthorizeError`]: with somewhere to redirect to, or to be shown to the person.
pub async fn create(cx: &Context, asked: &Asked) -> Result<(RequestToken, Pending), AuthorizeError> {
    let checked = request::check(cx, asked).await?;
    let now = cx.clock.now();
    let token = RequestToken::generate(&*cx.random);
    let request = AuthorizationRequest {
        token: token.hash(),
        client: checked.client.id.clone(),
        redirect_uri: checked.redirect_uri,
        redirect_given: asked.redirect_uri.is_some(),
        state: asked.state.clone(),
        scopes: checked.scopes,
        audience: checked.audience,
        challenge: checked.challenge,
        locales: asked.locales.clone(),
        created: now,
        expires: now.plus(DECIDE_WITHIN),
    };
    let tx = cx.store.begin().await?;
    tx.authorizations().insert_request(&request).await?;
    tx.commit().await?;
    Ok((token, Pending { request, client: checked.client }))
}

/// A request that still waits.
///
/// # Errors
/// `Gone` where it was decided, is over, or never was, and where its client is disabled.
pub async fn find(cx: &Context, token: &RequestToken) -> Result<Pending, DecideError> {
    let found = cx.store.authorizations().request(token.hash()).await?;
    let request = found.filter(|request| cx.clock.now() < request.expires).ok_or(DecideError::Gone)?;
    let client = usable_client(cx, &request.client).await?;
    Ok(Pending { client: client.ok_or(DecideError::Gone)?, request })
}

/// Decides a request, and says where the browser goes: with a code, or with `access_denied`.
///
/// # Errors
/// `Gone`; `SignedOut` where the session is over or the user may not sign in.
pub async fn decide(cx: &Context, token: &RequestToken, decider: &Decider, allow: bool) -> Result<String, DecideError> {
    for _ in 0..LOOKS {
        // Before session, client and consent are looked at.
        let rev = standing::applied(cx)?;
        let user = decider.user(cx).await?;
        let pending = find(cx, token).await?;
        if !allow {
            take(cx, token).await?;
            tracing::info!(client_id = %pending.client.id, user_id = %user.id, "access denied by the user");
            return Ok(Answer::denied(cx, &pending));
        }
        if !may_have(&pending.client, &pending.request.scopes) {
            return Err(DecideError::Gone);
        }
        let owners = Owners { client: Some(&pending.client.id), user: user.id };
        if !standing::overtaken(cx, rev, owners) {
            return grant(cx, &pending, &user, rev).await;
        }
    }
    Err(DecideError::NotReady)
}

/// A client, where it may be used.
async fn usable_client(cx: &Context, id: &ClientId) -> Result<Option<Client>, StoreError> {
    let Some(client) = cx.store.clients().find(id).await? else { return Ok(None) };
    let usable = is_usable(&cx.store.organizations(), &cx.store.users(), &client).await?;
    Ok(usable.then_some(client))
}

impl Decider {
    async fn user(&self, cx: &Context) -> Result<User, DecideError> {
        let user = match self {
            Self::Session(token) => sessions::find(cx, token).await?.map(|live| live.user),
            Self::User(id) => cx.store.users().find(*id).await?.filter(|user| user.enabled),
        };
        user.ok_or(DecideError::SignedOut)
    }
}

/// Makes the code, and remembers what was allowed.
async fn grant(cx: &Context, pending: &Pending, user: &User, rev: Revision) -> Result<String, DecideError> {
    let Pending { request, client } = pending;
    let now = cx.clock.now();
    let code = AuthorizationCode::generate(&*cx.random);
    let record = AuthorizationCodeRecord {
        code: code.hash(),
        grant: GrantId::generate(&*cx.random),
        client: client.id.clone(),
        user: user.id,
        redirect_uri: request.redirect_given.then(|| request.redirect_uri.to_string()),
        scopes: request.scopes.clone(),
        audience: request.audience.clone(),
        challenge: request.challenge,
        rev,
        created: now,
        expires: now.plus(cx.policy.code_ttl),
        redeemed: None,
    };
    let tx = cx.store.begin().await?;
    if !tx.authorizations().take_request(request.token).await? {
        return Err(DecideError::Gone);
    }
    let before = tx.consents().find(user.id, &client.id).await?;
    let scopes: ScopeSet = before.iter().flat_map(|consent| &consent.scopes).chain(&request.scopes).cloned().collect();
    let consent = Consent { user: user.id, client: client.id.clone(), scopes, created: now, updated: now };
    tx.consents().keep(&consent).await?;
    tx.authorizations().insert_code(&record).await?;
    tx.commit().await?;
    tracing::info!(client_id = %client.id, user_id = %user.id, grant_id = %record.grant, "access allowed by the user");
    Ok(Answer::code(cx, request, &code))
}

async fn take(cx: &Context, token: &RequestToken) -> Result<(), DecideError> {
    let tx = cx.store.begin().await?;
    let there = tx.authorizations().take_request(token.hash()).await?;
    tx.commit().await?;
    if there { Ok(()) } else { Err(DecideError::Gone) }
}
