//! People's sessions at the issuer: begun by a login, carried by a cookie or by a front end, and held against every watermark of their
//! user at each use.

use std::net::IpAddr;
use std::time::Duration;

use tessera_ledger::event::{Event, Subject};
use tessera_store::{Action, Actor, Detail, Session, StoreError, Target, Transaction, User};
use tessera_types::random;
use tessera_types::{ErrorCode, Failure, SessionToken, Timestamp};
use uuid::Uuid;

use crate::context::Context;
use crate::standing::{self, NotReady, Owners};
use crate::user_auth::{self, AuthenticatedUser, PresentedUser, Refusal, UserAuthError};

/// How old what is kept of a session's last use may be: a session costs a write once in a while, not with every page.
const TOUCH_EVERY: Duration = Duration::from_secs(300);

/// The most sessions a user has; a further one ends the one not used for longest. Whoever knows a password fills no table with it.
const MOST: u64 = 100;

/// The most that is kept of what a browser calls itself, in characters.
const AGENT_MAX: usize = 255;

/// A session that has just begun.
pub struct Begun {
    /// What opens it.
    pub token: SessionToken,
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
}

/// A session that stands.
#[derive(Clone, Debug)]
pub struct Live {
    /// The session.
    pub session: Session,
    /// Whose it is, enabled.
    pub user: User,
}

/// Why nobody can tell whether a session stands.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has not been read far enough.
    #[error("the log has not been read far enough")]
    NotReady,
}

impl From<NotReady> for SessionError {
    fn from(_: NotReady) -> Self {
        Self::NotReady
    }
}

impl Failure for SessionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::NotReady => ErrorCode::TemporarilyUnavailable,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::NotReady => "NOT_READY",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Store(error) => error.advice(),
            Self::NotReady => "The server is starting. Try again.",
        }
    }
}

/// Authenticates a user and begins a session. Where they have a hundred already, the one not used for longest ends.
///
/// # Errors
/// As [`user_auth::authenticate`].
pub async fn login(cx: &Context, presented: &PresentedUser, agent: &str) -> Result<Begun, UserAuthError> {
    let AuthenticatedUser { user, rev } = user_auth::authenticate(cx, presented).await?;
    let now = cx.clock.now();
    let token = SessionToken::generate(&*cx.random);
    let session = Session {
        id: Uuid::from_bytes(random::bytes(&*cx.random)),
        token: token.hash(),
        user: user.id,
        rev,
        created: now,
        seen: now,
        expires: end(cx, now, now),
        agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX).collect(),
        address: presented.from.map(|address: IpAddr| address.to_canonical().to_string()).unwrap_or_default(),
    };
    let mut tx = cx.store.begin().await?;
    // Before the insert: the new one is not among those that may end.
    let ended = tx.sessions().delete_oldest(user.id, MOST - 1).await?;
    match tx.sessions().insert(&session).await {
        // Deleted meanwhile.
        Err(StoreError::Missing) => return Err(UserAuthError::Refused(Refusal::Unknown)),
        written => written?,
    }
    let record = cx.reached_from(presented.from).did_as(Actor::User(user.id), Action::UserLogin);
    let record = record.to(Target::User(user.id)).with(Detail::Method, "session").with(Detail::Session, session.id);
    tx.audit(if ended > 0 { record.with(Detail::Sessions, ended) } else { record });
    tx.commit().await?;
    tracing::info!(user_id = %user.id, sessions_ended = ended, "login");
    Ok(Begun { token, session, user })
}

/// The session that a token opens; none where it has ended, or was overtaken by anything that ends it.
///
/// # Errors
/// Where nobody can tell.
pub async fn find(cx: &Context, token: &SessionToken) -> Result<Option<Live>, SessionError> {
    let now = cx.clock.now();
    let found = cx.store.sessions().find(token.hash()).await?.filter(|session| now < session.expires);
    let Some(session) = found else { return Ok(None) };
    if !standing::stands(cx, session.rev, Owners { client: None, user: session.user }).await? {
        return Ok(None);
    }
    let user = cx.store.users().find(session.user).await?.filter(|user| user.enabled);
    let Some(user) = user else { return Ok(None) };
    Ok(Some(Live { session: touched(cx, session, now).await, user }))
}

/// Whether a session that was found stands still, as a transaction sees it that has kept everybody else out. What has ended it is in the
/// database, also where this process has not applied it yet; who was disabled has none any more.
pub(super) async fn stands_in(cx: &Context, tx: &Transaction, live: &Live) -> Result<bool, StoreError> {
    let Session { token, user, rev, .. } = live.session;
    let now = cx.clock.now();
    let there = tx.sessions().find(token).await?.is_some_and(|found| now < found.expires);
    let watermarks = [Subject::User(user.to_string().into()), Subject::Everything];
    let raised = tx.log().facts_about(&watermarks.map(|of| Event::WatermarkRaised(of).about())).await?;
    let place = cx.replica.state().and_then(|state| state.place_of(rev));
    let overtaken = place.is_none_or(|place| raised.values().any(|fact| place < fact.revision));
    Ok(there && !overtaken)
}

/// Keeps that a session was used. It may fail: the session is as good.
async fn touched(cx: &Context, session: Session, now: Timestamp) -> Session {
    if session.seen.until(now) < TOUCH_EVERY {
        return session;
    }
    let used = Session { seen: now, expires: end(cx, session.created, now), ..session };
    let written = async {
        let tx = cx.store.begin().await?;
        tx.sessions().touch(&used).await?;
        tx.commit().await
    };
    if let Err(error) = written.await {
        tracing::warn!(error = %error, "a session's use was not kept");
    }
    used
}

fn end(cx: &Context, created: Timestamp, used: Timestamp) -> Timestamp {
    used.plus(cx.policy.session_ttl).min(created.plus(cx.policy.session_absolute_ttl))
}

/// A user's sessions, the last used first.
///
/// # Errors
/// What the database says.
pub async fn list(cx: &Context, user: &User) -> Result<Vec<Session>, SessionError> {
    Ok(cx.store.sessions().of_user(user.id, cx.clock.now()).await?)
}

/// Ends a session of a user; says whether there was one.
///
/// # Errors
/// What the database says.
pub async fn end_one(cx: &Context, user: &User, id: Uuid) -> Result<bool, SessionError> {
    let mut tx = cx.store.begin().await?;
    let there = tx.sessions().delete(user.id, id).await?;
    if there {
        let record = cx.did_as(Actor::User(user.id), Action::SessionEnd).to(Target::User(user.id));
        tx.audit(record.with(Detail::Session, id));
    }
    tx.commit().await?;
    Ok(there)
}

/// Ends every session of a user but this one.
///
/// # Errors
/// What the database says.
pub async fn end_others(cx: &Context, live: &Live) -> Result<u64, SessionError> {
    let mut tx = cx.store.begin().await?;
    let ended = tx.sessions().delete_of_user(live.user.id, Some(live.session.id)).await?;
    if ended > 0 {
        let record = cx.did_as(Actor::User(live.user.id), Action::SessionEnd).to(Target::User(live.user.id));
        tx.audit(record.with(Detail::Sessions, ended));
    }
    tx.commit().await?;
    Ok(ended)
}
