//! What an issuer needs before its first request: the log's beginning, the reserved scopes, a key that signs, an administrator.
//!
//! It works on the database alone, so that `tessera init` can run beside or before the issuer; a running one reads what was
//! written from the log.

pub mod administrator;
pub mod fixtures;
pub(in crate::operations) mod kept;

pub use kept::KeptKeys;

use super::keys::shift;
use tessera_keys::{KekRing, KeyFileError, KeyFiles, SealError, SigningKey};
use tessera_ledger::event::{Event, KeyFact};
use tessera_store::{
    Action, Actor, Database, NewRecord, ScopeRecord, SigningKeyRecord, StoreError, Target, Transaction,
};
use tessera_types::random;
use tessera_types::scope::reserved;
use tessera_types::{Algorithm, Clock, Epoch, KeyId, KeyState, Randomness, Scope};

/// What the set-up works with.
pub struct Setup<'a> {
    /// The database, migrated.
    pub store: &'a Database,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// For keys, identifiers and secrets.
    pub random: &'a dyn Randomness,
}

/// Which key is to sign.
pub enum Wanted {
    /// One of this algorithm, made where there is none.
    Algorithm(Algorithm),
    /// This one, the operator's own.
    Own(SigningKey),
}

/// Why the set-up failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The database.
    #[error("the database")]
    Store(#[from] StoreError),
    /// A private key cannot be opened.
    #[error(
        "the signing key {key} cannot be opened with the key-encryption keys in [secrets] kek_file and old_kek_files; give the file it was sealed with"
    )]
    Unseal {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: tessera_keys::KeyError,
    },
    /// A secret that the issuer keeps for itself cannot be opened.
    #[error(
        "the secret for {name} cannot be opened with the key-encryption keys in [secrets] kek_file and old_kek_files; give the file it was sealed with"
    )]
    UnsealSecret {
        /// What it is for.
        name: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The operator's own key has been retired.
    #[error(
        "the key in the files, {key}, has been retired, and tokens under it would come back with it; make another pair"
    )]
    Retired {
        /// The key.
        key: String,
    },
    /// The operator's own key cannot be used.
    #[error(transparent)]
    KeyFiles(#[from] KeyFileError),
    /// A key could not be made.
    #[error("a signing key could not be made")]
    Key(#[from] tessera_keys::KeyError),
}

impl Setup<'_> {
    /// Begins the log and registers the reserved scopes, where that has not been done.
    ///
    /// # Errors
    /// `Store`.
    pub async fn begin(&self) -> Result<(), SetupError> {
        let epoch = Epoch(u64::from_be_bytes(random::bytes(self.random)));
        self.store.initialize(epoch).await?;
        let mut tx = self.store.begin().await?;
        tx.exclusive().await?;
        for name in reserved::ALL {
            let Ok(name) = name.parse() else { continue };
            if tx.scopes().find(&name).await?.is_none() {
                let created = self.clock.now();
                let descriptions = [("en".to_owned(), format!("Reserved to the server: {name}"))].into();
                tx.audit(
                    NewRecord::done(created, Actor::Issuer, Action::ScopeCreate).to(Target::Scope(Scope::clone(&name))),
                );
                tx.scopes().insert(&ScopeRecord { name, descriptions, reserved: true, created }).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// The key that signs. Where another one is wanted, that is published, and signs when everybody knows it; where there is none yet,
    /// the one that is wanted signs at once: nobody has fetched keys before it. One that has signed before and is put back is opened
    /// here, and takes its place by the keeper's promotion: here nobody can be waited for.
    ///
    /// # Errors
    /// `Unseal` where the key-encryption key is not the one a key was sealed with; `Retired` where the operator's own key is.
    pub async fn signing_keys(&self, keks: &KekRing, wanted: Wanted) -> Result<SigningKey, SetupError> {
        let mut tx = self.store.begin().await?;
        // `tessera init` and an issuer that start at once make one key.
        tx.exclusive().await?;
        let records = tx.keys().list().await?;
        let Some(active) = records.iter().find(|record| record.state == KeyState::Active) else {
            let signer = match self.prepare_known(&mut tx, keks, &wanted, &records).await? {
                // One that was published while an issuer ran, and that it did not come to promote.
                Some((known, signer)) => {
                    shift(&mut tx, known, KeyState::Active, self.clock.now()).await?;
                    let promoted = NewRecord::done(self.clock.now(), Actor::Issuer, Action::KeyPromote);
                    tx.audit(promoted.to(Target::Key(known.key.clone())));
                    signer
                }
                None => self.publish(&mut tx, keks, wanted, KeyState::Active).await?,
            };
            tx.commit().await?;
            return Ok(signer);
        };
        let signer = self.reopened(&mut tx, keks, active).await?;
        if !wanted.is(active) {
            self.prepare(&mut tx, keks, wanted, &records).await?;
        }
        tx.commit().await?;
        Ok(signer)
    }

    /// Publishes the operator's own key, or opens it where it is known, while an issuer is at work. Whether it signs is the keeper's to
    /// decide, also where no other does: introspectors are there, and must know it first.
    ///
    /// # Errors
    /// As [`signing_keys`](Self::signing_keys).
    pub async fn own_key(&self, keks: &KekRing, own: SigningKey) -> Result<(), SetupError> {
        let mut tx = self.store.begin().await?;
        tx.exclusive().await?;
        let records = tx.keys().list().await?;
        self.prepare(&mut tx, keks, Wanted::Own(own), &records).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sees to it that everybody knows the key that is to sign.
    async fn prepare(
        &self,
        tx: &mut Transaction,
        keks: &KekRing,
        wanted: Wanted,
        records: &[SigningKeyRecord],
    ) -> Result<SigningKey, SetupError> {
        match self.prepare_known(tx, keks, &wanted, records).await? {
            Some((_, signer)) => Ok(signer),
            None => self.publish(tx, keks, wanted, KeyState::Next).await,
        }
    }

    /// Opens the key that is to sign, where it is published already.
    async fn prepare_known<'r>(
        &self,
        tx: &mut Transaction,
        keks: &KekRing,
        wanted: &Wanted,
        records: &'r [SigningKeyRecord],
    ) -> Result<Option<(&'r SigningKeyRecord, SigningKey)>, SetupError> {
        match records.iter().find(|record| wanted.is_to_come(record)) {
            Some(retired) if retired.state == KeyState::Retired => {
                Err(SetupError::Retired { key: retired.key.to_string() })
            }
            Some(known) => Ok(Some((known, self.reopened(tx, keks, known).await?))),
            None => Ok(None),
        }
    }

    /// Opens a key. One that was published before it had a certificate is published with it.
    async fn reopened(
        &self,
        tx: &mut Transaction,
        keks: &KekRing,
        record: &SigningKeyRecord,
    ) -> Result<SigningKey, SetupError> {
        let key = open(keks, record)?;
        let public_jwk = key.public_jwk();
        if public_jwk != record.public_jwk {
            tx.keys().set_public_jwk(&record.key, &public_jwk).await?;
            tx.record(fact(&SigningKeyRecord { public_jwk, ..record.clone() }, record.state));
            tx.audit(self.published(record.key.clone()));
        }
        Ok(key)
    }

    /// Keeps a key and tells everybody of it.
    async fn publish(
        &self,
        tx: &mut Transaction,
        keks: &KekRing,
        wanted: Wanted,
        state: KeyState,
    ) -> Result<SigningKey, SetupError> {
        let key = match wanted {
            Wanted::Algorithm(algorithm) => SigningKey::generate(algorithm)?,
            Wanted::Own(key) => key,
        };
        let (id, algorithm, now) = (key.key_id().clone(), key.algorithm(), self.clock.now());
        let record = SigningKeyRecord {
            key: id,
            algorithm,
            state,
            public_jwk: key.public_jwk(),
            sealed_private: key.seal(keks.first(), self.random)?,
            created: now,
            since: Some(now),
        };
        tx.keys().insert(&record).await?;
        tx.record(fact(&record, state));
        tx.audit(self.published(record.key.clone()));
        tracing::info!(key_id = %record.key, %algorithm, %state, "signing key published");
        Ok(key)
    }

    fn published(&self, key: KeyId) -> NewRecord {
        NewRecord::done(self.clock.now(), Actor::Issuer, Action::KeyPublish).to(Target::Key(key))
    }
}

impl Wanted {
    /// What an operator wants: their own key, or one that is made. `None` where theirs is missing, which is told.
    ///
    /// # Errors
    /// `KeyFiles` where their files hold no pair.
    pub fn read(files: Option<&KeyFiles>, algorithm: Algorithm) -> Result<Option<Self>, SetupError> {
        let Some(files) = files else { return Ok(Some(Self::Algorithm(algorithm))) };
        let own = files.read(algorithm)?;
        if own.is_none() {
            tracing::warn!(private_key = %files.private.display(), public_key = %files.public.display(), "{}", crate::minting::NO_KEY);
        }
        Ok(own.map(Self::Own))
    }

    /// The operator's own key, where it is that.
    pub(crate) fn own(&self) -> Option<KeyId> {
        match self {
            Self::Algorithm(_) => None,
            Self::Own(key) => Some(key.key_id().clone()),
        }
    }

    fn is(&self, record: &SigningKeyRecord) -> bool {
        match self {
            Self::Algorithm(algorithm) => record.algorithm == *algorithm,
            Self::Own(key) => record.key == *key.key_id(),
        }
    }

    /// Whether the key is the one to come: one that waits and is as wanted, or the operator's own, whatever has become of it.
    fn is_to_come(&self, record: &SigningKeyRecord) -> bool {
        self.is(record) && (record.state == KeyState::Next || matches!(self, Self::Own(_)))
    }
}

fn open(keks: &KekRing, record: &SigningKeyRecord) -> Result<SigningKey, SetupError> {
    SigningKey::unseal(record.algorithm, &record.key, keks, &record.sealed_private)
        .map_err(|source| SetupError::Unseal { key: record.key.to_string(), source })
}

pub(super) fn fact(record: &SigningKeyRecord, state: KeyState) -> Event {
    Event::KeyChanged(KeyFact {
        key: record.key.clone(),
        algorithm: record.algorithm,
        public_jwk: record.public_jwk.clone().into(),
        state,
    })
}
