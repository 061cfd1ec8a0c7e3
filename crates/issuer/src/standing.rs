//! Whether what somebody was given once still stands: a session, a code, a family of refresh tokens.
//!
//! Each carries `rev`, the revision its issuer had applied before it looked at password, session or consent, and is dead once a
//! watermark of its client, its user, their consent or everything is above that, at *every* use (revocation.md): otherwise a refresh
//! after a password change would mint a token with a fresh `rev`.

use tessera_ledger::event::Subject;
use tessera_ledger::replica::State;
use tessera_types::{ClientId, Revision, UserId};

use crate::context::Context;
use crate::operations::access::CATCH_UP;

/// The log has not been read as far as is needed: nobody can tell now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log has not been read far enough")]
pub struct NotReady;

/// Whose something is.
#[derive(Clone, Copy, Debug)]
pub struct Owners<'a> {
    /// The client, where there is one.
    pub client: Option<&'a ClientId>,
    /// The user.
    pub user: UserId,
}

/// What this process has applied: to be taken *before* anything is looked at that a token will depend on.
///
/// # Errors
/// [`NotReady`] before the log is loaded, and while the database is out of touch.
pub fn applied(cx: &Context) -> Result<Revision, NotReady> {
    if !cx.publication.in_touch(cx.clock.monotonic()) {
        return Err(NotReady);
    }
    cx.replica.position().map(|position| position.revision()).ok_or(NotReady)
}

/// Whether something with this `rev` still stands. What another issuer gave out a moment ago is waited for.
///
/// # Errors
/// [`NotReady`] where nobody can tell.
pub async fn stands(cx: &Context, rev: Revision, owners: Owners<'_>) -> Result<bool, NotReady> {
    let now = applied(cx)?;
    if now.epoch == rev.epoch
        && now.number < rev.number
        && tokio::time::timeout(CATCH_UP, cx.replica.wait_for(rev)).await.is_err()
    {
        return Err(NotReady);
    }
    let state = cx.replica.state().ok_or(NotReady)?;
    // From before a restore it stands where the watermark of everything was not raised; of a log nobody knows it does not.
    Ok(state.place_of(rev).is_some_and(|rev| watermark(&state, owners) <= rev))
}

/// Whether a token with this `rev` would be dead on arrival: something it depends on changed after `rev` was taken.
#[must_use]
pub fn overtaken(cx: &Context, rev: Revision, owners: Owners<'_>) -> bool {
    cx.replica.state().is_none_or(|state| {
        let changed = owners.client.and_then(|client| state.client(client)).map_or(0, |entry| entry.revision);
        state.epoch() != rev.epoch || watermark(&state, owners).max(changed) > rev.number
    })
}

/// The highest watermark of everybody concerned.
fn watermark(state: &State, owners: Owners<'_>) -> u64 {
    let user = owners.user.to_string();
    let of_client = owners.client.map_or(0, |client| {
        let consent = Subject::Consent { user: user.as_str().into(), client: client.clone() };
        state.client_watermark(client).max(state.watermark(&consent))
    });
    state.everything().max(state.user_watermark(&user)).max(of_client)
}
