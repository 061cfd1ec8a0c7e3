//! Tokens whose signature was right, by the SHA-256 of their text.
//!
//! Only verified tokens come in, so a flood of forged ones evicts nothing. A flood of freshly minted ones passes through the
//! cold part of the cache: what has been asked for twice stays. No token is kept, only its digest and its claims.

use std::sync::Arc;

use foldhash::fast::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use sha2::{Digest as _, Sha256};

use crate::verified::Verified;

/// The SHA-256 of a token.
pub(crate) type Digest = [u8; 32];

pub(crate) fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

/// Verified tokens, bounded in number.
pub(crate) struct VerifiedCache(Cache<Digest, Arc<Verified>, UnitWeighter, RandomState>);

impl VerifiedCache {
    pub(crate) fn new(capacity: usize) -> Self {
        let weight = capacity as u64;
        Self(Cache::with(capacity, weight, UnitWeighter, RandomState::default(), DefaultLifecycle::default()))
    }

    pub(crate) fn find(&self, digest: &Digest) -> Option<Arc<Verified>> {
        self.0.get(digest)
    }

    pub(crate) fn remember(&self, digest: Digest, verified: Arc<Verified>) {
        self.0.insert(digest, verified);
    }

    pub(crate) fn forget(&self, digest: &Digest) {
        self.0.remove(digest);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
