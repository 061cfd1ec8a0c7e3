//! What is known of a token once its signature was right.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use tessera_ledger::event::Subject;
use tessera_types::{KeyId, UserId};

use crate::claims::AccessClaims;
use crate::keyring::ParsedKey;

/// A token of ours: signature and claims are right. Whether it still stands is another question, asked at each use.
#[derive(Debug)]
pub struct Verified {
    claims: AccessClaims,
    key: Arc<ParsedKey>,
    /// Made once, so that the check in the request path makes no texts.
    consent: Option<Subject>,
}

impl Verified {
    pub(crate) fn new(claims: AccessClaims, key: Arc<ParsedKey>) -> Self {
        let consent = claims.user().map(|user| Subject::Consent { user: user.into(), client: claims.client.clone() });
        Self { claims, key, consent }
    }

    /// The token's claims.
    #[must_use]
    pub fn claims(&self) -> &AccessClaims {
        &self.claims
    }

    /// The key that signed it.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        self.key.id()
    }

    pub(crate) fn parsed_key(&self) -> &ParsedKey {
        &self.key
    }

    /// What its user allowed its client, as the log speaks of it; none where no user is concerned.
    pub(crate) fn consent(&self) -> Option<&Subject> {
        self.consent.as_ref()
    }
}

/// A token that stands, and whom it acts for.
#[derive(Clone, Debug)]
pub struct ActiveToken {
    verified: Arc<Verified>,
    owner: Option<UserId>,
}

impl ActiveToken {
    pub(crate) fn new(verified: Arc<Verified>, owner: Option<UserId>) -> Self {
        Self { verified, owner }
    }

    /// Whom it acts for, as introspection says it: the user of its `sub`; where its client acts for itself, the client's owner, and
    /// where it has none, the client.
    #[must_use]
    pub fn subject(&self) -> Cow<'_, str> {
        let claims = self.verified.claims();
        match self.owner {
            Some(owner) if claims.user().is_none() => Cow::Owned(owner.to_string()),
            _ => Cow::Borrowed(&claims.subject),
        }
    }

    /// The token.
    #[must_use]
    pub fn into_verified(self) -> Arc<Verified> {
        self.verified
    }
}

impl Deref for ActiveToken {
    type Target = Verified;

    fn deref(&self) -> &Verified {
        &self.verified
    }
}
