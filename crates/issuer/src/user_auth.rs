//! Who somebody is, by username or e-mail address and password.
//!
//! Threats: guessing (slow hash, one counter for all the names of a user and one for each network, checked once more when a thread is
//! free for the hash; from many networks at once, a delay),
//! telling known users from unknown ones (same answer, same work, same time), and a flood of guesses that takes the cores from
//! everybody else (a pool of its own, of low priority).

use std::net::IpAddr;
use std::time::Duration;

use tessera_store::{Action, Actor, StoreError, Target, User};
use tessera_types::{ErrorCode, Failure, LoginKey, PasswordHash, PresentedSecret, Revision, UserId};

use crate::context::Context;
use crate::passwords::{Checked, PasswordError};
use crate::standing::{self, NotReady, Owners};
use crate::throttle::{Attempt, TooMany};

/// How soon a refusal is told, at the earliest. Hashes of other systems take their own time, and what is refused before a hash takes
/// none: none of it shall show. What may be imported is bounded so that it fits ([`PasswordHash`]).
const REFUSAL_AFTER: Duration = Duration::from_millis(300);

/// How often a user who keeps changing is looked at again.
const LOOKS: usize = 4;

/// What somebody typed.
#[derive(Clone, Debug)]
pub struct PresentedUser {
    /// A username or an e-mail address, as typed.
    pub identifier: String,
    /// The password.
    pub password: PresentedSecret,
    /// From where, as far as known.
    pub from: Option<IpAddr>,
    /// Whether that is the address of a server that relays everybody's logins: failures from there are then counted for each person,
    /// and not for all of them together.
    pub relayed: bool,
}

/// A user who is who they say.
#[derive(Clone, Debug)]
pub struct AuthenticatedUser {
    /// The user, enabled.
    pub user: User,
    /// What this issuer had applied *before* it looked.
    pub rev: Revision,
}

/// Why a user is not authenticated.
#[derive(Debug, thiserror::Error)]
pub enum UserAuthError {
    /// Unknown user, wrong password, none at all, or disabled: the caller is not told which.
    #[error("user authentication failed: {0}")]
    Refused(Refusal),
    /// Too many failures for that user from there, or from there for anybody.
    #[error("too many failed logins")]
    Throttled(Duration),
    /// The hash was not made.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has not been read far enough, or the user keeps changing.
    #[error("the log is not loaded yet, or the user keeps changing")]
    NotReady,
}

impl From<NotReady> for UserAuthError {
    fn from(_: NotReady) -> Self {
        Self::NotReady
    }
}

/// What was wrong; for the log, and for the dialects that tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such user.
    #[error("unknown user")]
    Unknown,
    /// The password is not the user's.
    #[error("wrong password")]
    WrongPassword,
    /// The password is right, and the user is disabled.
    #[error("disabled user")]
    Disabled,
}

impl Refusal {
    /// What the audit says: those who read it are told which it was.
    const fn reason(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN_USER",
            Self::WrongPassword => "WRONG_PASSWORD",
            Self::Disabled => "USER_DISABLED",
        }
    }
}

impl Failure for UserAuthError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(_) => ErrorCode::InvalidGrant,
            Self::Throttled(_) => ErrorCode::Throttled,
            Self::Passwords(error) if error.is_internal() => ErrorCode::ServerError,
            Self::Passwords(_) | Self::NotReady => ErrorCode::TemporarilyUnavailable,
            Self::Store(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Refused(_) => "USER_CREDENTIALS_INCORRECT",
            Self::Throttled(_) => "TOO_MANY_FAILED_LOGINS",
            Self::Passwords(error) if error.is_internal() => "INTERNAL",
            Self::Passwords(_) => "PASSWORD_CHECKS_BUSY",
            Self::Store(error) => error.reason(),
            Self::NotReady => "NOT_READY",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Refused(_) => "The user credentials were incorrect.",
            Self::Throttled(_) => "Too many failed logins. Wait as long as Retry-After says.",
            Self::Passwords(error) if error.is_internal() => "The server failed. Its log says more.",
            Self::Passwords(_) => "The server is checking too many passwords. Try again.",
            Self::Store(error) => error.advice(),
            Self::NotReady => "The server is starting, or the user is being changed. Try again.",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(wait) => Some(*wait),
            Self::Passwords(_) | Self::NotReady => Some(Duration::from_secs(1)),
            Self::Store(error) => error.retry_after(),
            Self::Refused(_) => None,
        }
    }
}

/// Authenticates a user.
///
/// # Errors
/// `Refused` whatever was wrong; `Throttled` after too many failures, without looking at the password.
pub async fn authenticate(cx: &Context, presented: &PresentedUser) -> Result<AuthenticatedUser, UserAuthError> {
    let begun = cx.clock.monotonic();
    let mut meant = None;
    let result = up_to_date(cx, presented, &mut meant).await;
    if let Err(error) = &result {
        record(cx, presented, meant, error);
    }
    cx.telemetry.login(result.as_ref().err().map(Failure::code));
    if let Err(UserAuthError::Refused(refusal)) = &result {
        tracing::info!(reason = %refusal, remote_ip = presented.from.map(tracing::field::display), "login failed");
        let passed = cx.clock.monotonic().saturating_sub(begun);
        tokio::time::sleep(REFUSAL_AFTER.saturating_sub(passed)).await;
    }
    result
}

/// Records a login that was refused: of whom, where there is such a user. What was typed is not kept, for it may be a password in the
/// wrong field.
fn record(cx: &Context, presented: &PresentedUser, meant: Option<UserId>, error: &UserAuthError) {
    let reason = match error {
        UserAuthError::Refused(refusal) => refusal.reason(),
        UserAuthError::Throttled(_) => error.reason(),
        _ => return,
    };
    let cx = cx.reached_from(presented.from);
    let record = cx.did_as(Actor::Unknown, Action::UserLogin).because(reason);
    cx.refused(match meant {
        Some(user) => record.to(Target::User(user)),
        None => record,
    });
}

/// A user who was changed while they were looked at is looked at again.
async fn up_to_date(
    cx: &Context,
    presented: &PresentedUser,
    meant: &mut Option<UserId>,
) -> Result<AuthenticatedUser, UserAuthError> {
    for _ in 0..LOOKS {
        let authenticated = once(cx, presented, meant).await?;
        if !standing::overtaken(cx, authenticated.rev, Owners { client: None, user: authenticated.user.id }) {
            return Ok(authenticated);
        }
    }
    Err(UserAuthError::NotReady)
}

async fn once(
    cx: &Context,
    presented: &PresentedUser,
    meant: &mut Option<UserId>,
) -> Result<AuthenticatedUser, UserAuthError> {
    // Before anything is read: what is read may be newer than this, never older.
    let rev = standing::applied(cx)?;
    let key = LoginKey::read(&presented.identifier);
    let user = match &key {
        Some(key) => cx.store.users().find_by_login(key).await?,
        None => None,
    };
    *meant = user.as_ref().map(|user| user.id);
    let who = counted_as(user.as_ref(), key.as_ref());
    let attempt = Attempt { who, from: presented.from, relayed: presented.relayed };
    let admitted = || cx.logins.admit(&attempt);
    admitted().map_err(|TooMany(wait)| UserAuthError::Throttled(wait))?;
    tokio::time::sleep(cx.logins.delay(&attempt)).await;
    let stored = user.as_ref().and_then(|user| user.password.as_ref());
    match check(cx, stored, presented, &attempt).await? {
        Checked::NotAdmitted => {
            let wait = admitted().err().map_or(Duration::from_secs(1), |TooMany(wait)| wait);
            return Err(UserAuthError::Throttled(wait));
        }
        Checked::Wrong => {
            let refusal = if user.is_some() { Refusal::WrongPassword } else { Refusal::Unknown };
            return Err(UserAuthError::Refused(refusal));
        }
        Checked::Matched => {}
    }
    let user = user.ok_or(UserAuthError::Refused(Refusal::Unknown))?;
    if !user.enabled {
        return Err(UserAuthError::Refused(Refusal::Disabled));
    }
    upgrade(cx, &user, &presented.password).await;
    Ok(AuthenticatedUser { user, rev })
}

async fn check(
    cx: &Context,
    stored: Option<&PasswordHash>,
    presented: &PresentedUser,
    attempt: &Attempt,
) -> Result<Checked, PasswordError> {
    let (logins, asked) = (cx.logins.clone(), attempt.clone());
    let admit = move || logins.admit(&asked).is_ok();
    let (logins, counted) = (cx.logins.clone(), attempt.clone());
    let count = move |matched| if matched { logins.succeeded(&counted) } else { logins.failed(&counted) };
    cx.user_passwords.verify_password(stored, &presented.password, admit, count).await
}

/// What failures are counted under: all the names of a user are one (Authelia CVE-2025-24806), and a name that is nobody's is itself.
fn counted_as(user: Option<&User>, key: Option<&LoginKey>) -> String {
    match (user, key) {
        (Some(user), _) => user.id.to_string(),
        (None, Some(LoginKey::Username(key) | LoginKey::Email(key))) => key.clone(),
        (None, None) => String::new(),
    }
}

/// A hash of another system, or of older parameters, becomes one of ours now that the password is known. It may fail: the old one works.
async fn upgrade(cx: &Context, user: &User, password: &PresentedSecret) {
    let Some(old) = user.password.as_ref().filter(|hash| hash.needs_upgrade()) else { return };
    let upgraded = async {
        let new = cx.user_passwords.hash_password(password, &*cx.random).await?;
        let tx = cx.store.begin().await?;
        let done = tx.users().upgrade_password(user.id, old, &new).await?;
        tx.commit().await?;
        Ok::<_, UserAuthError>(done)
    };
    match upgraded.await {
        Ok(true) => tracing::info!(user_id = %user.id, "an imported password hash was made anew"),
        Ok(false) => {}
        Err(error) => tracing::warn!(user_id = %user.id, error = %error, "a password hash was not made anew"),
    }
}
