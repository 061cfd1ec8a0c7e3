//! The secrets by which the issuer knows its own refresh tokens and forms again, kept sealed in the database.
//!
//! They were derived from the key-encryption key before there could be several of those. So at the first start they are derived once
//! more and kept: whatever was handed out before stays good, and the key-encryption key can be exchanged. A version before this one,
//! on the same database and under the same key, still has the same.

use tessera_keys::{KekId, KekRing, MacKey};
use tessera_store::{KeptSecret, Transaction};

use super::{Setup, SetupError};

const SUCCESSOR: &str = "refresh token: successor";
const TAG: &str = "refresh token: tag";
const PAGES: &str = "pages";

/// What they make.
#[derive(Debug)]
pub struct KeptKeys {
    /// Makes the refresh token that follows one.
    pub successor: MacKey,
    /// Knows a refresh token again.
    pub tag: MacKey,
    /// For what pages hand out and take back.
    pub pages: MacKey,
}

impl Setup<'_> {
    /// The kept secrets; what is missing of them is derived and kept.
    ///
    /// # Errors
    /// `UnsealSecret` where the key-encryption key of one is missing.
    pub async fn kept_keys(&self, keks: &KekRing) -> Result<KeptKeys, SetupError> {
        let tx = self.store.begin().await?;
        // Two issuers that start at once keep one.
        tx.exclusive().await?;
        let kept = tx.kept_secrets().list().await?;
        let made = KeptKeys {
            successor: self.kept_key(&tx, &kept, keks, SUCCESSOR).await?,
            tag: self.kept_key(&tx, &kept, keks, TAG).await?,
            pages: self.kept_key(&tx, &kept, keks, PAGES).await?,
        };
        tx.commit().await?;
        Ok(made)
    }

    async fn kept_key(
        &self,
        tx: &Transaction,
        kept: &[KeptSecret],
        keks: &KekRing,
        name: &str,
    ) -> Result<MacKey, SetupError> {
        let unsealed = |source| SetupError::UnsealSecret { name: name.to_owned(), source };
        if let Some(secret) = kept.iter().find(|secret| secret.name == name) {
            let bytes = keks.open(&bound_to(name), &secret.sealed).map_err(unsealed)?;
            let bytes = bytes.first_chunk().ok_or_else(|| unsealed(tessera_keys::SealError::Unknown))?;
            return Ok(MacKey::from_bytes(bytes));
        }
        // The one that was in use until now: the one that has sealed the keys there are.
        let records = tx.keys().list().await?;
        let in_use = records.iter().find_map(|record| keks.find(KekId::of(&record.sealed_private)?));
        let bytes = in_use.unwrap_or(keks.first()).derive_bytes(name);
        let sealed = keks.seal(self.random, &bound_to(name), &*bytes).map_err(unsealed)?;
        tx.kept_secrets().insert(&KeptSecret { name: name.to_owned(), sealed, created: self.clock.now() }).await?;
        Ok(MacKey::from_bytes(&bytes))
    }
}

/// What a secret's sealing is bound to, so that none opens in the place of another.
pub(in crate::operations) fn bound_to(name: &str) -> Vec<u8> {
    [b"kept secret\0", name.as_bytes()].concat()
}
