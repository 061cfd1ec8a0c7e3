//! What a replica knows, at one snapshot and what was applied on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

use foldhash::fast::RandomState;
use papaya::HashMap;
use tessera_types::{ClientId, Epoch, GrantId, KeyId, KeyState, Revision, Timestamp, TokenId};

use super::expiries::{Expiries, is_forgotten};
use crate::event::{ClientState, Event, KeyFact, Subject};

type Map<K, V> = HashMap<K, V, RandomState>;

/// No floor was ever released.
const NO_FLOOR: i64 = i64::MIN;

/// What a replica knows. Every look-up is lock-free; see [the module](super) for what their order promises: load
/// [`applied`](Self::applied) first, look up afterwards.
#[derive(Debug)]
pub struct State {
    epoch: Epoch,
    applied: AtomicU64,
    everything: AtomicU64,
    floor: AtomicI64,
    tokens: Map<TokenId, Timestamp>,
    grants: Map<GrantId, Timestamp>,
    clients: Map<ClientId, Arc<ClientEntry>>,
    keys: Map<KeyId, Arc<KeyEntry>>,
    client_watermarks: Map<ClientId, u64>,
    user_watermarks: Map<Box<str>, u64>,
    organization_watermarks: Map<Box<str>, u64>,
    consent_watermarks: Map<Subject, u64>,
    /// The logs that this one continues, each with the last of its places that is in it.
    former: Map<Epoch, u64>,
}

/// A client that exists.
#[derive(Debug)]
pub struct ClientEntry {
    /// Its state.
    pub state: ClientState,
    /// Since which revision it is so.
    pub revision: u64,
    watermark: AtomicU64,
}

impl ClientEntry {
    /// Tokens of this client whose `rev` is below this are dead; the same as
    /// [`State::watermark`] says, without another look-up.
    #[must_use]
    pub fn watermark(&self) -> u64 {
        self.watermark.load(Ordering::Acquire)
    }
}

/// A signing key that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// The key.
    pub fact: KeyFact,
    /// Since which revision it is so.
    pub revision: u64,
}

impl State {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            applied: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            floor: AtomicI64::new(NO_FLOOR),
            tokens: Map::default(),
            grants: Map::default(),
            clients: Map::default(),
            keys: Map::default(),
            client_watermarks: Map::default(),
            user_watermarks: Map::default(),
            organization_watermarks: Map::default(),
            consent_watermarks: Map::default(),
            former: Map::default(),
        }
    }

    /// Which log this is the state of.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Everything up to this revision is found by what is looked up afterwards.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The place in this log that a `rev` stands for; `None` where it is of a log that this one knows nothing of.
    ///
    /// One of a log that this one continues, since the database was restored from a backup, stands for the same place, but never for
    /// one after the last that was restored: what its issuer had applied beyond that is lost, and the places mean something else now.
    #[must_use]
    pub fn place_of(&self, rev: Revision) -> Option<u64> {
        if rev.epoch == self.epoch {
            return Some(rev.number);
        }
        self.former.pin().get(&rev.epoch).map(|last| rev.number.min(*last))
    }

    /// Whether the token, its grant, or everything that expired when it did, is revoked.
    ///
    /// The floor is read *after* the sets. A revocation is forgotten only after the floor has risen above its expiry, so either
    /// the revocation is still found, or the floor that replaced it is seen; read the other way round, a check on a machine with
    /// a slow wall clock could miss both.
    #[must_use]
    pub fn is_revoked(&self, token: &TokenId, grant: Option<&GrantId>, expires: Timestamp) -> bool {
        if self.token_revoked(token) || grant.is_some_and(|grant| self.grant_revoked(grant)) {
            return true;
        }
        // Pairs with the release fence in `raise_floor`: whoever found an entry gone sees the floor.
        fence(Ordering::Acquire);
        self.floor().is_some_and(|floor| expires < floor)
    }

    /// Whether the token itself is known to be revoked. Revocations of tokens that expired before the floor may be forgotten:
    /// [`is_revoked`](Self::is_revoked) asks both in the right order.
    #[must_use]
    pub fn token_revoked(&self, token: &TokenId) -> bool {
        self.tokens.pin().contains_key(token)
    }

    /// Whether the grant is known to be revoked; as [`token_revoked`](Self::token_revoked).
    #[must_use]
    pub fn grant_revoked(&self, grant: &GrantId) -> bool {
        self.grants.pin().contains_key(grant)
    }

    /// What of a subject has a `rev` below this is dead; 0 where there is none.
    #[must_use]
    pub fn watermark(&self, subject: &Subject) -> u64 {
        match subject {
            Subject::Client(client) => self.client_watermark(client),
            Subject::User(user) => self.user_watermark(user),
            Subject::Organization(organization) => {
                self.organization_watermarks.pin().get(organization).copied().unwrap_or(0)
            }
            Subject::Consent { .. } => self.consent_watermarks.pin().get(subject).copied().unwrap_or(0),
            Subject::Everything => self.everything(),
        }
    }

    /// The watermark of a client, whether or not it exists; 0 where there is none.
    #[must_use]
    pub fn client_watermark(&self, client: &ClientId) -> u64 {
        self.client_watermarks.pin().get(client).copied().unwrap_or(0)
    }

    /// The watermark of a user, by its id; 0 where there is none.
    #[must_use]
    pub fn user_watermark(&self, user: &str) -> u64 {
        self.user_watermarks.pin().get(user).copied().unwrap_or(0)
    }

    /// The watermark of every token there is; 0 where there is none.
    #[must_use]
    pub fn everything(&self) -> u64 {
        self.everything.load(Ordering::Acquire)
    }

    /// A client, unless there is none (any more).
    #[must_use]
    pub fn client(&self, client: &ClientId) -> Option<Arc<ClientEntry>> {
        self.clients.pin().get(client).cloned()
    }

    /// A client that may be used, now; its organization and its owner, whom its state speaks for, included.
    #[must_use]
    pub fn enabled_client(&self, client: &ClientId) -> Option<Arc<ClientEntry>> {
        self.client(client).filter(|entry| entry.state.enabled)
    }

    /// A signing key.
    #[must_use]
    pub fn key(&self, key: &KeyId) -> Option<Arc<KeyEntry>> {
        self.keys.pin().get(key).cloned()
    }

    /// Every signing key, whatever its state, in the order in which they last changed.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<KeyEntry>> {
        let mut keys: Vec<_> = self.keys.pin().values().cloned().collect();
        keys.sort_unstable_by_key(|key| key.revision);
        keys
    }

    /// What expired before this is inactive; `None` where no floor was released yet.
    #[must_use]
    pub fn floor(&self) -> Option<Timestamp> {
        match self.floor.load(Ordering::Acquire) {
            NO_FLOOR => None,
            floor => Some(Timestamp(floor)),
        }
    }

    /// How many facts are kept, for the metric.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.tokens.len()
            + self.grants.len()
            + self.clients.len()
            + self.keys.len()
            + self.client_watermarks.len()
            + self.user_watermarks.len()
            + self.organization_watermarks.len()
            + self.consent_watermarks.len()
            + self.former.len()
            + usize::from(self.everything() > 0)
            + usize::from(self.floor().is_some())
    }

    /// Makes one event part of the state. Only the writer calls it, in the order of revisions.
    pub(super) fn record(&self, revision: u64, event: Event, expiries: &mut Expiries) {
        match event {
            Event::TokenRevoked { token, expires } => {
                if self.revoke(&self.tokens, token, expires) {
                    expiries.bucket(expires).tokens.push(token);
                }
            }
            Event::GrantRevoked { grant, expires } => {
                if self.revoke(&self.grants, grant, expires) {
                    expiries.bucket(expires).grants.push(grant);
                }
            }
            Event::WatermarkRaised(subject) => self.raise_watermark(revision, subject),
            Event::ClientChanged { client, state } => self.change_client(revision, client, state),
            Event::KeyChanged(fact) => {
                self.keys.pin().insert(fact.key.clone(), Arc::new(KeyEntry { fact, revision }));
            }
            Event::ExpiredBefore(floor) => self.raise_floor(floor, expiries),
            Event::EpochBegan { former } => {
                self.former.pin().insert(former, revision.saturating_sub(1));
            }
        }
    }

    /// Whether this may be a later state of the log that `earlier` is a state of: it holds every revocation that its floor does not
    /// answer for, no watermark is lower, no client or key is older, and no retired key is anything else. Where it does not, history was rewritten in between.
    pub(super) fn continues(&self, earlier: &Self) -> bool {
        let floor = self.floor().unwrap_or(Timestamp(NO_FLOOR));
        let kept = |expires: &Timestamp| !is_forgotten(*expires, floor);
        earlier.floor() <= self.floor()
            && earlier.everything() <= self.everything()
            && earlier.tokens.pin().iter().all(|(token, expires)| !kept(expires) || self.token_revoked(token))
            && earlier.grants.pin().iter().all(|(grant, expires)| !kept(expires) || self.grant_revoked(grant))
            && not_lower(&earlier.client_watermarks, &self.client_watermarks)
            && not_lower(&earlier.user_watermarks, &self.user_watermarks)
            && not_lower(&earlier.organization_watermarks, &self.organization_watermarks)
            && not_lower(&earlier.consent_watermarks, &self.consent_watermarks)
            // One that is gone was deleted, with its watermark raised.
            && earlier.clients.pin().iter().all(|(id, old)| self.client(id).is_none_or(|new| old.revision <= new.revision))
            && earlier.keys.pin().iter().all(|(id, old)| self.key(id).is_none_or(|new| follows(old, &new)))
    }

    /// The last step of applying: release, so that whoever sees it sees what was recorded before.
    pub(super) fn raise_applied(&self, revision: u64) {
        self.applied.store(revision, Ordering::Release);
    }

    /// Returns whether the revocation is new or now lasts longer, and has to be forgotten some time.
    fn revoke<Id: Copy + Eq + std::hash::Hash>(
        &self,
        revoked: &Map<Id, Timestamp>,
        id: Id,
        expires: Timestamp,
    ) -> bool {
        if self.floor().is_some_and(|floor| is_forgotten(expires, floor)) {
            return false;
        }
        let revoked = revoked.pin();
        if revoked.get(&id).is_some_and(|known| *known >= expires) {
            return false;
        }
        revoked.insert(id, expires);
        true
    }

    fn raise_watermark(&self, revision: u64, subject: Subject) {
        match subject {
            Subject::Client(client) => {
                if let Some(entry) = self.clients.pin().get(&client) {
                    entry.watermark.fetch_max(revision, Ordering::AcqRel);
                }
                self.client_watermarks.pin().insert(client, revision);
            }
            Subject::User(user) => {
                self.user_watermarks.pin().insert(user, revision);
            }
            Subject::Organization(organization) => {
                self.organization_watermarks.pin().insert(organization, revision);
            }
            consent @ Subject::Consent { .. } => {
                self.consent_watermarks.pin().insert(consent, revision);
            }
            Subject::Everything => {
                self.everything.fetch_max(revision, Ordering::AcqRel);
            }
        }
    }

    /// A client made anew under the same id begins with the watermark of the one before, so nothing of that one lives again.
    fn change_client(&self, revision: u64, client: ClientId, state: Option<ClientState>) {
        let clients = self.clients.pin();
        match state {
            Some(state) => {
                let watermark = AtomicU64::new(self.client_watermark(&client));
                clients.insert(client, Arc::new(ClientEntry { state, revision, watermark }));
            }
            None => {
                clients.remove(&client);
            }
        }
    }

    fn raise_floor(&self, floor: Timestamp, expiries: &mut Expiries) {
        if floor.0 <= self.floor.fetch_max(floor.0, Ordering::AcqRel) {
            return;
        }
        // First the floor, then the entries it stands for; see `is_revoked`.
        fence(Ordering::Release);
        let (tokens, grants) = (self.tokens.pin(), self.grants.pin());
        for bucket in expiries.below(floor) {
            // An entry that was renewed with a later expiry is in a later bucket too.
            for token in &bucket.tokens {
                if tokens.get(token).is_some_and(|expires| is_forgotten(*expires, floor)) {
                    tokens.remove(token);
                }
            }
            for grant in &bucket.grants {
                if grants.get(grant).is_some_and(|expires| is_forgotten(*expires, floor)) {
                    grants.remove(grant);
                }
            }
        }
    }
}

/// Whether a key's state may be a later one of the same log: a retired key stays so, or its tokens would live again.
fn follows(old: &KeyEntry, new: &KeyEntry) -> bool {
    old.revision <= new.revision && (old.fact.state != KeyState::Retired || new.fact.state == KeyState::Retired)
}

/// Whether every watermark of the first is in the second, as high or higher.
fn not_lower<K: Eq + std::hash::Hash>(first: &Map<K, u64>, second: &Map<K, u64>) -> bool {
    let second = second.pin();
    first.pin().iter().all(|(key, old)| second.get(key).is_some_and(|new| old <= new))
}
