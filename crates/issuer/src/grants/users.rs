//! What the grants share in which a client acts for a user: a grant with an identifier of its own, an access token that carries it,
//! and, where the client may have one, the first refresh token of a family.

use tessera_store::{Client, LastAccess, RefreshFamily, StoreError, Transaction, User};
use tessera_types::{Audience, GrantId, GrantType, Revision, ScopeSet};

use super::{Asked, TokenError};
use crate::context::Context;
use crate::minting::{self, Grant, MintError, Minted};
use crate::standing::{self, Owners};

/// The first tokens of a grant.
pub(super) struct Beginning<'a> {
    pub(super) client: &'a Client,
    pub(super) user: &'a User,
    pub(super) scopes: ScopeSet,
    pub(super) audience: Audience,
    /// Taken before client, user and whatever led here were looked at.
    pub(super) rev: Revision,
    /// Whether the user's password is what they come from.
    pub(super) by_password: bool,
    pub(super) asked: &'a Asked<'a>,
}

/// Tokens that are made and not handed out yet: first the family must be kept.
pub(super) struct Prepared {
    pub(super) minted: Minted,
    family: Option<RefreshFamily>,
}

impl Beginning<'_> {
    /// Whether the tokens would be dead on arrival: then everything is looked at again.
    pub(super) fn overtaken(&self, cx: &Context) -> bool {
        standing::overtaken(cx, self.rev, Owners { client: Some(&self.client.id), user: self.user.id })
    }

    /// As [`prepare_as`](Self::prepare_as), as a new grant.
    pub(super) fn prepare(self, cx: &Context) -> Result<Prepared, MintError> {
        let grant = GrantId::generate(&*cx.random);
        self.prepare_as(cx, grant)
    }

    /// Makes the tokens.
    pub(super) fn prepare_as(self, cx: &Context, grant: GrantId) -> Result<Prepared, MintError> {
        let subject = self.user.id.to_string();
        let mut minted = minting::mint(
            cx,
            Grant {
                client: self.client,
                profile: self.asked.profile_of(self.client),
                subject: &subject,
                username: Some(self.user.username.as_str()),
                grant: Some(grant),
                scopes: self.scopes.clone(),
                audience: self.audience.clone(),
                rev: self.rev,
            },
        )?;
        // What comes with the password grant comes with nothing else.
        let given = self.by_password || self.client.grants.contains(&GrantType::RefreshToken);
        if !(given && self.asked.may_refresh(cx, self.client)) {
            return Ok(Prepared { minted, family: None });
        }
        let first = cx.lineage.first(grant, &*cx.random);
        let now = cx.clock.now();
        let ends = now.plus(cx.policy.refresh_absolute_ttl);
        let family = RefreshFamily {
            grant,
            client: self.client.id.clone(),
            user: self.user.id,
            scopes: self.scopes,
            audience: self.audience,
            rev: self.rev,
            generation: first.generation,
            current: first.hash(),
            recent: Vec::new(),
            created: now,
            used: now,
            expires: now.plus(cx.policy.refresh_ttl).min(ends),
            last_access: Some(last_access(&minted)),
            ends,
        };
        minted.refresh_token = Some(first.to_text());
        Ok(Prepared { minted, family: Some(family) })
    }
}

impl Prepared {
    /// Keeps the family, in the transaction that makes the grant.
    ///
    /// # Errors
    /// What the database says.
    pub(super) async fn write(&self, tx: &Transaction) -> Result<(), StoreError> {
        match &self.family {
            Some(family) => tx.families().insert(family).await,
            None => Ok(()),
        }
    }
}

/// What a family remembers of the access token it gave last.
pub(super) const fn last_access(minted: &Minted) -> LastAccess {
    let (token, expires) = minted.token;
    LastAccess { token, expires }
}

/// What a person is asked for where a client asks for these: as [`Asked::scopes_of`] has it by the RFC, without the scopes that never
/// come with a person. Reserved ones are for clients that act for themselves.
pub(crate) fn requested_scopes(client: &Client, asked: &ScopeSet) -> Result<ScopeSet, TokenError> {
    refuse_reserved(asked)?;
    let implicit = &client.implicit_scopes;
    let own: ScopeSet = asked.iter().filter(|scope| !implicit.contains(scope.as_str())).cloned().collect();
    // Where all that is asked for comes in any case, that is not asking for nothing.
    let granted = if own.is_empty() && !asked.is_empty() { own } else { super::narrow_scopes(client, own)? };
    Ok(without_reserved(&implicit.union(&granted)))
}

/// Whether a client may still be given what a person was asked for.
pub(crate) fn may_have(client: &Client, scopes: &ScopeSet) -> bool {
    scopes.is_subset(&client.implicit_scopes.union(&client.scopes))
}

/// The scopes of a grant for a user, likewise.
pub(super) fn scopes(client: &Client, asked: &Asked<'_>) -> Result<ScopeSet, TokenError> {
    refuse_reserved(asked.scopes)?;
    Ok(without_reserved(&asked.scopes_of(client)?))
}

fn refuse_reserved(asked: &ScopeSet) -> Result<(), TokenError> {
    match asked.iter().find(|scope| scope.is_reserved()) {
        None => Ok(()),
        Some(reserved) => Err(TokenError::ScopeNotAllowed(reserved.clone())),
    }
}

fn without_reserved(scopes: &ScopeSet) -> ScopeSet {
    scopes.iter().filter(|scope| !scope.is_reserved()).cloned().collect()
}

/// A refresh or a code may give fewer scopes than were granted, never others (RFC 6749 section 6). What a client gets in any case
/// stays, and comes first.
pub(super) fn narrow_granted(
    granted: &ScopeSet,
    asked: &ScopeSet,
    implicit: &ScopeSet,
) -> Result<ScopeSet, TokenError> {
    match asked.first_outside(granted) {
        None if asked.is_empty() => Ok(granted.clone()),
        None => {
            let stays = granted.iter().filter(|scope| implicit.contains(scope.as_str()));
            Ok(stays.chain(asked).cloned().collect())
        }
        Some(outside) => Err(TokenError::ScopeNotAllowed(outside.clone())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> ScopeSet {
        text.parse().expect("scopes")
    }

    proptest! {
        #[test]
        fn narrowing_never_widens(granted in "([a-e]( [a-e]){0,4})?", asked in "([a-e]( [a-e]){0,4})?") {
            let (granted, asked) = (set(&granted), set(&asked));
            let implicit = set("a");
            match narrow_granted(&granted, &asked, &implicit) {
                Ok(narrowed) => {
                    prop_assert!(narrowed.is_subset(&granted) && asked.is_subset(&narrowed));
                    let besides = narrowed.iter().all(|scope| asked.is_empty() || asked.contains(scope.as_str()) || scope.as_str() == "a");
                    prop_assert!(besides && (narrowed.contains("a") || !granted.contains("a")));
                }
                Err(_) => prop_assert!(!asked.is_subset(&granted)),
            }
        }
    }
}
