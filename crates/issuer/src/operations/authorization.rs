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

use tessera_store::{
    Action, Actor, AuthorizationCodeRecord, AuthorizationRequest, Client, Consent, Detail, NewRecord, Outcome,
    StoreError, Target, User,
};
use tessera_types::{
    AuthorizationCode, ClientId, ClientType, GrantId, GrantType, RequestToken, Revision, ScopeSet, SessionToken,
    Timestamp, UserId,
};

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

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They allow it.
    Allow,
    /// They do not.
    Deny,
    /// They are not asked: what they allowed before covers it, and still does in the moment the code is made.
    Remembered,
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
    match tx.authorizations().insert_request(&request).await {
        // Deleted meanwhile.
        Err(StoreError::Missing) => return Err(Untrusted::Client.into()),
        written => written?,
    }
    tx.commit().await?;
    Ok((token, Pending { request, client: checked.client }))
}

/// A request that still waits.
///
/// # Errors
/// `Gone` where it was decided, is over, or never was, and where its client is disabled, or may not have an answer there any more.
pub async fn find(cx: &Context, token: &RequestToken) -> Result<Pending, DecideError> {
    let found = cx.store.authorizations().request(token.hash()).await?;
    let request = found.filter(|request| cx.clock.now() < request.expires).ok_or(DecideError::Gone)?;
    let client = usable_client(cx, &request.client).await?.filter(|client| may_answer(client, &request));
    Ok(Pending { client: client.ok_or(DecideError::Gone)?, request })
}

/// Whether the answer may still go where it was to go: what was registered may have been taken away since, for a reason.
fn may_answer(client: &Client, request: &AuthorizationRequest) -> bool {
    client.grants.contains(&GrantType::AuthorizationCode)
        && client.redirect_uris.iter().any(|uri| uri.matches(request.redirect_uri.as_str()))
}

/// Whether a user is not asked again for what they have allowed before. Anybody can call themselves a public client whose answer goes
/// to a program on the user's machine, and be given a code behind their back (RFC 8252 section 8.6): there the operator decides.
///
/// # Errors
/// What the database says.
pub async fn is_remembered(cx: &Context, user: UserId, pending: &Pending) -> Result<bool, StoreError> {
    let Pending { request, client } = pending;
    let assured = client.kind == ClientType::Confidential || request.redirect_uri.as_str().starts_with("https://");
    if !assured && !cx.policy.remember_native_consent {
        return Ok(false);
    }
    let consent = cx.store.consents().find(user, &client.id).await?;
    Ok(consent.is_some_and(|consent| request.scopes.is_subset(&consent.scopes)))
}

/// Decides a request, and says where the browser goes: with a code, or with an error.
///
/// # Errors
/// `Gone`; `SignedOut` where the session is over or the user may not sign in; `NotAllowedBefore` where they must be asked.
pub async fn decide(
    cx: &Context,
    token: &RequestToken,
    decider: &Decider,
    decision: Decision,
) -> Result<String, DecideError> {
    for _ in 0..LOOKS {
        // Before session, client and consent are looked at.
        let rev = standing::applied(cx)?;
        let user = decider.user(cx).await?;
        let pending = find(cx, token).await?;
        if decision == Decision::Deny {
            take(cx, token, decided(cx, &pending, &user, Action::AuthorizationDeny)).await?;
            tracing::info!(client_id = %pending.client.id, user_id = %user.id, "access denied by the user");
            return Ok(Answer::denied(cx, &pending));
        }
        if decision == Decision::Remembered && !is_remembered(cx, user.id, &pending).await? {
            return Err(DecideError::NotAllowedBefore);
        }
        if !may_have(&pending.client, &pending.request.scopes) {
            let record = decided(cx, &pending, &user, Action::AuthorizationAllow).because("CLIENT_NARROWED");
            take(cx, token, NewRecord { outcome: Outcome::Refused, ..record }).await?;
            return Ok(Answer::narrowed(cx, &pending));
        }
        let owners = Owners { client: Some(&pending.client.id), user: user.id };
        if !standing::overtaken(cx, rev, owners) {
            return grant(cx, &pending, &user, decision, rev).await;
        }
    }
    Err(DecideError::NotReady)
}

/// A client, where it may be used.
async fn usable_client(cx: &Context, id: &ClientId) -> Result<Option<Client>, StoreError> {
    let Some(client) = cx.store.clients().find(id).await? else { return Ok(None) };
    let usable = is_usable(&cx.store.clients(), &client).await?;
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
async fn grant(
    cx: &Context,
    pending: &Pending,
    user: &User,
    decision: Decision,
    rev: Revision,
) -> Result<String, DecideError> {
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
    let mut tx = cx.store.begin().await?;
    if decision == Decision::Allow {
        // No withdrawal and no other decision comes in between: neither is to be lost.
        tx.exclusive().await?;
    }
    match tx.authorizations().insert_code(&record).await {
        // User or client were deleted meanwhile.
        Err(StoreError::Missing) => return Err(DecideError::Gone),
        written => written?,
    }
    let before = tx.consents().find_locked(user.id, &client.id).await?;
    if decision == Decision::Allow {
        tx.consents().keep(&extended(before.as_ref(), request, user.id, now)).await?;
    } else if !before.is_some_and(|consent| request.scopes.is_subset(&consent.scopes)) {
        return Err(DecideError::NotAllowedBefore);
    }
    if !tx.authorizations().take_request(request.token).await? {
        return Err(DecideError::Gone);
    }
    let told = decided(cx, pending, user, Action::AuthorizationAllow).with(Detail::Grant, record.grant);
    tx.audit(if decision == Decision::Remembered { told.because("REMEMBERED") } else { told });
    tx.commit().await?;
    tracing::info!(client_id = %client.id, user_id = %user.id, grant_id = %record.grant, "access allowed by the user");
    Ok(Answer::code(cx, request, &code))
}

/// What a user has allowed a client now.
fn extended(before: Option<&Consent>, request: &AuthorizationRequest, user: UserId, now: Timestamp) -> Consent {
    let scopes: ScopeSet =
        before.into_iter().flat_map(|consent| &consent.scopes).chain(&request.scopes).cloned().collect();
    Consent { user, client: request.client.clone(), scopes, created: now, updated: now }
}

/// Who decided about whom.
fn decided(cx: &Context, pending: &Pending, user: &User, action: Action) -> NewRecord {
    cx.did_as(Actor::User(user.id), action).to(Target::Client(pending.client.id.clone()))
}

async fn take(cx: &Context, token: &RequestToken, record: NewRecord) -> Result<(), DecideError> {
    let mut tx = cx.store.begin().await?;
    let there = tx.authorizations().take_request(token.hash()).await?;
    if there {
        tx.audit(record);
    }
    tx.commit().await?;
    if there { Ok(()) } else { Err(DecideError::Gone) }
}
