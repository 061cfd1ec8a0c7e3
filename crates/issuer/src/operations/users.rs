//! Users: registering, changing, disabling and deleting them, and their passwords.
//!
//! Whatever takes something away (a password change, disabling, deleting) raises the user's watermark in the same transaction: every
//! access token, session, code and refresh token from before is dead once the call has returned.

mod draft;

pub use draft::{NewPassword, UserDraft, UserDraftError, UserPatch};

use tessera_ledger::event::{Event, Subject};
use tessera_store::{Action, Target, Transaction, User, UserFilter};
use tessera_types::{LoginKey, PasswordHash, Revision, UserId};

use super::clients::{AdminError, Belonging, begin, commit, disable_all, settled, tell_all};
use crate::context::Context;

/// Registers a user.
///
/// # Errors
/// `User` where something is not valid, `Taken` where the username or the e-mail address is.
pub async fn create(cx: &Context, draft: UserDraft) -> Result<User, AdminError> {
    let now = cx.clock.now();
    let password = match &draft.password {
        Some(password) => Some(hash(cx, password).await?),
        None => None,
    };
    let user = User {
        id: UserId::generate(&*cx.random),
        username: draft.username,
        name: draft::name(draft.name)?,
        email: draft.email,
        password,
        enabled: true,
        created: now,
        updated: now,
        version: 1,
    };
    let mut tx = cx.store.begin().await?;
    tx.users().insert(&user).await?;
    tx.audit(cx.did(Action::UserCreate).to(Target::User(user.id)));
    tx.commit().await?;
    tracing::info!(user_id = %user.id, "user created");
    Ok(user)
}

/// A user, by identifier, username or e-mail address.
///
/// # Errors
/// `UserNotFound`.
pub async fn find(cx: &Context, who: &str) -> Result<User, AdminError> {
    let users = cx.store.users();
    let found = match (who.parse::<UserId>(), LoginKey::read(who)) {
        (Ok(id), _) => users.find(id).await?,
        (Err(_), Some(key)) => users.find_by_login(&key).await?,
        (Err(_), None) => None,
    };
    found.ok_or(AdminError::UserNotFound)
}

/// A page of users by id.
///
/// # Errors
/// `Store`.
pub async fn list(
    cx: &Context,
    filter: &UserFilter,
    after: Option<UserId>,
    limit: u64,
) -> Result<Vec<User>, AdminError> {
    Ok(cx.store.users().list(filter, after, limit).await?)
}

/// Changes what a user is called.
///
/// # Errors
/// `UserNotFound`, `User`, `Taken`; `Conflict` where they were changed meanwhile.
pub async fn update(cx: &Context, id: UserId, etag: Option<i64>, patch: UserPatch) -> Result<User, AdminError> {
    let mut tx = cx.store.begin().await?;
    let before = tx.users().find(id).await?.ok_or(AdminError::UserNotFound)?;
    if etag.is_some_and(|etag| etag != before.version) {
        return Err(AdminError::Conflict);
    }
    let after = User { updated: cx.clock.now(), ..patch.apply(before.clone())? };
    let after = User { version: tx.users().update(&after).await?, ..after };
    tx.audit(cx.did(Action::UserUpdate).to(Target::User(id)).changing(&draft::changed_fields(&before, &after)));
    tx.commit().await?;
    Ok(after)
}

/// Gives a user a new password. Everything they got with the old one is dead.
///
/// # Errors
/// `UserNotFound`, `User`, `Passwords`, `Conflict`, `Unconfirmed`.
pub async fn set_password(cx: &Context, id: UserId, password: &NewPassword) -> Result<Revision, AdminError> {
    // Before the transaction: a slow hash must not hold up every other change.
    let hash = hash(cx, password).await?;
    let mut tx = begin(cx).await?;
    let before = tx.users().find(id).await?.ok_or(AdminError::UserNotFound)?;
    tx.users().update(&User { password: Some(hash), updated: cx.clock.now(), ..before }).await?;
    expel(&mut tx, id).await?;
    tx.audit(cx.did(Action::UserPasswordSet).to(Target::User(id)));
    let revision = confirmed(cx, tx).await?;
    tracing::info!(user_id = %id, %revision, "password changed");
    Ok(revision)
}

/// Enables or disables a user. Disabling ends everything they have, for good, and refuses the clients they own meanwhile.
///
/// # Errors
/// `UserNotFound`, `Conflict`, `Unconfirmed`.
pub async fn set_enabled(cx: &Context, id: UserId, enabled: bool) -> Result<(User, Revision), AdminError> {
    let mut tx = begin(cx).await?;
    let before = tx.users().find(id).await?.ok_or(AdminError::UserNotFound)?;
    if before.enabled == enabled {
        // Nothing to write; but whoever said so first may still be waiting (revocation.md, the log).
        return Ok((before, confirmed(cx, tx).await?));
    }
    let after = User { enabled, updated: cx.clock.now(), ..before };
    let after = User { version: tx.users().update(&after).await?, ..after };
    if !enabled {
        expel(&mut tx, id).await?;
    }
    tell_all(&mut tx, Belonging::Owner(id), !enabled).await?;
    let action = if enabled { Action::UserEnable } else { Action::UserDisable };
    tx.audit(cx.did(action).to(Target::User(id)));
    let revision = confirmed(cx, tx).await?;
    tracing::info!(user_id = %id, %revision, enabled, "user enabled or disabled");
    Ok((after, revision))
}

/// Deletes a user with everything that is theirs. The clients they owned stay, disabled, until somebody gives them another owner.
///
/// # Errors
/// `UserNotFound`, `Unconfirmed`.
pub async fn delete(cx: &Context, id: UserId) -> Result<Revision, AdminError> {
    let mut tx = begin(cx).await?;
    if !tx.users().delete(id).await? {
        return Err(settled(cx, tx, AdminError::UserNotFound).await);
    }
    disable_all(&mut tx, Belonging::Owner(id), cx.clock.now()).await?;
    tx.record(watermark(id));
    tx.audit(cx.did(Action::UserDelete).to(Target::User(id)));
    let revision = confirmed(cx, tx).await?;
    tracing::info!(user_id = %id, %revision, "user deleted");
    Ok(revision)
}

/// Ends a user's sessions, and makes every token issued for them so far inactive. They may sign in again.
///
/// # Errors
/// `UserNotFound`, `Unconfirmed`.
pub async fn revoke_tokens(cx: &Context, id: UserId) -> Result<Revision, AdminError> {
    let mut tx = begin(cx).await?;
    if tx.users().find(id).await?.is_none() {
        return Err(AdminError::UserNotFound);
    }
    expel(&mut tx, id).await?;
    tx.audit(cx.did(Action::UserTokensRevoke).to(Target::User(id)));
    let revision = confirmed(cx, tx).await?;
    tracing::info!(user_id = %id, %revision, "a user's tokens revoked");
    Ok(revision)
}

/// Ends all that a user has: the watermark says so everywhere; the rows need not be kept.
async fn expel(tx: &mut Transaction, id: UserId) -> Result<(), AdminError> {
    tx.sessions().delete_of_user(id, None).await?;
    tx.families().delete_of_user(id, None).await?;
    tx.record(watermark(id));
    Ok(())
}

fn watermark(id: UserId) -> Event {
    Event::WatermarkRaised(Subject::User(id.to_string().into()))
}

async fn confirmed(cx: &Context, tx: Transaction) -> Result<Revision, AdminError> {
    let revision = commit(cx, tx).await?;
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    Ok(revision)
}

/// The hash of a new password: made here, or brought along.
pub(crate) async fn hash(cx: &Context, password: &NewPassword) -> Result<PasswordHash, AdminError> {
    match password {
        NewPassword::Plain(plain) => {
            draft::check_password(plain)?;
            Ok(cx.user_passwords.hash_password(plain, &*cx.random).await?)
        }
        NewPassword::Imported(hash) => Ok(hash.clone()),
    }
}
