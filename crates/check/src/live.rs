//! Whether a token of ours still stands: looked up anew at each use, never remembered.

use std::time::Duration;

use tessera_ledger::event::ClientState;
use tessera_ledger::replica::State;
use tessera_types::{Audience, ClaimsProfile, KeyState, Revision, Timestamp, UserId};

use crate::claims::AccessClaims;
use crate::verified::Verified;

/// Whose tokens the caller may see.
#[derive(Clone, Copy, Debug)]
pub struct AudienceRule<'a> {
    /// The caller's resources: the token must be meant for one of them. None, and it sees nothing.
    pub resources: &'a [Audience],
    /// The one of them that the token must be meant for, where the caller says so.
    pub only: Option<&'a Audience>,
}

/// What looking says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It stands, as of this revision; its client has this owner.
    Active(Revision, Option<UserId>),
    /// It does not, and never will.
    Inactive,
    /// It is over: no need to remember it.
    Expired,
    /// The replica has not come to the token's `rev`.
    Behind,
}

/// Looks. Makes nothing on the heap.
///
/// `applied` is read first: what is looked up afterwards is at least as new (see [`State`]). What only grows (expiry, revocations,
/// retired keys) is asked before whether the replica is behind, since no later event takes it back.
pub(crate) fn standing(
    state: &State,
    verified: &Verified,
    now: Timestamp,
    not_before_leeway: Duration,
    rule: AudienceRule<'_>,
) -> Standing {
    let applied = state.applied();
    let claims = verified.claims();
    if claims.expires <= now {
        return Standing::Expired;
    }
    // In any other state it is accepted: one that the issuer has just promoted may still be `next` here.
    let key = state.key(verified.key());
    let retired = key.as_ref().is_some_and(|entry| entry.fact.state == KeyState::Retired);
    if retired || state.is_revoked(&claims.token, claims.grant.as_ref(), claims.expires) {
        return Standing::Inactive;
    }
    // One of a log that is not known here is of one that is yet to be heard of.
    let Some(rev) = state.place_of(claims.rev).filter(|rev| *rev <= applied) else { return Standing::Behind };
    let same = key.is_some_and(|entry| verified.parsed_key().is_of(&entry));
    if claims.not_before > now.plus(not_before_leeway) || !same {
        return Standing::Inactive;
    }
    let client = state.client(&claims.client).filter(|client| {
        client.state.enabled
            && rev >= client.watermark()
            && rev >= other_watermarks(state, verified)
            && meets(rule, claims, &client.state)
    });
    let revision = Revision { epoch: state.epoch(), number: applied };
    client.map_or(Standing::Inactive, |client| Standing::Active(revision, client.state.owner))
}

/// The highest watermark of everything, the user and its consent.
fn other_watermarks(state: &State, verified: &Verified) -> u64 {
    let user = verified.claims().user().map_or(0, |user| state.user_watermark(user));
    let consent = verified.consent().map_or(0, |consent| state.watermark(consent));
    state.everything().max(user).max(consent)
}

/// Whether the token is meant for the caller: by its `aud`, or in the legacy profile, whose `aud` is the client's id, by its
/// `resource` where that is still one of the client's audiences; one without is meant for all of them.
fn meets(rule: AudienceRule<'_>, claims: &AccessClaims, client: &ClientState) -> bool {
    let legacy = claims.profile == ClaimsProfile::Legacy;
    let audiences = if legacy && claims.audience.is_empty() { &client.audiences } else { &claims.audience };
    audiences.iter().any(|audience| {
        rule.resources.contains(audience)
            && rule.only.is_none_or(|only| only == audience)
            && (!legacy || client.audiences.contains(audience))
    })
}
