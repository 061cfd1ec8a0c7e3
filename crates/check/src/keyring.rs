//! The replica's keys, parsed once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tessera_keys::PublicKey;
use tessera_ledger::replica::{KeyEntry, State};
use tessera_types::KeyId;

/// A public key and the fact it was parsed from.
#[derive(Debug)]
pub(crate) struct ParsedKey {
    public: PublicKey,
    entry: Arc<KeyEntry>,
}

impl ParsedKey {
    /// The identifier under which the log knows the key.
    pub(crate) fn id(&self) -> &KeyId {
        &self.entry.fact.key
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether an entry is of this very key, whatever its state: a signature must not outlive its key's material.
    pub(crate) fn is_of(&self, entry: &Arc<KeyEntry>) -> bool {
        let (ours, theirs) = (&self.entry.fact, &entry.fact);
        Arc::ptr_eq(&self.entry, entry)
            || (ours.algorithm == theirs.algorithm && ours.public_jwk == theirs.public_jwk && ours.key == theirs.key)
    }
}

/// Parsed keys by identifier: no more than the replica has.
#[derive(Debug, Default)]
pub(crate) struct Keyring(RwLock<HashMap<KeyId, Arc<ParsedKey>>>);

impl Keyring {
    /// The parsed form of an entry; none where it is no key that is understood here.
    pub(crate) fn parsed(&self, entry: &Arc<KeyEntry>, state: &State) -> Option<Arc<ParsedKey>> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(parsed) = keys.get(&entry.fact.key).filter(|parsed| parsed.is_of(entry)) {
            return Some(Arc::clone(parsed));
        }
        drop(keys);
        let public = PublicKey::from_jwk(entry.fact.algorithm, &entry.fact.public_jwk).ok()?;
        let parsed = Arc::new(ParsedKey { public, entry: Arc::clone(entry) });
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|id, _| state.key(id).is_some());
        keys.insert(entry.fact.key.clone(), Arc::clone(&parsed));
        Some(parsed)
    }
}
