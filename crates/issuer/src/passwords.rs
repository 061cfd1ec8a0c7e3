//! The slow hash, on a bounded pool.
//!
//! argon2id takes about 15 ms of a core and 19 MiB. A flood of guesses must not starve everything else, so that at most as
//! many run at once as there are cores, a short queue waits, and what comes on top is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as HashError, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use tessera_types::random::{self, Randomness};
use tessera_types::{PresentedSecret, SecretHash};
use tokio::sync::Semaphore;

/// How many may wait for each one that runs: about a second's worth.
const QUEUE_PER_SLOT: usize = 64;

/// The bounded pool.
#[derive(Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    bound: usize,
    /// Held against where there is nothing to hold against, so that an unknown client takes the same time.
    decoy: Arc<str>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting already.
    #[error("too many password checks are waiting")]
    Busy,
    /// The pool is shutting down or a check died.
    #[error("a password check ended without an answer")]
    Gone,
    /// The hash cannot be made, or the stored one cannot be read.
    #[error("argon2: {0}")]
    Hash(HashError),
}

impl Passwords {
    /// Makes a pool for so many at once.
    ///
    /// # Errors
    /// `Hash` where argon2 refuses its own defaults.
    pub fn new(at_once: usize, random: &dyn Randomness) -> Result<Self, PasswordError> {
        let decoy = hash_with(random::bytes(random), &random::bytes::<32>(random))?;
        Ok(Self {
            slots: Arc::new(Semaphore::new(at_once.max(1))),
            waiting: Arc::default(),
            bound: at_once.max(1) * QUEUE_PER_SLOT,
            decoy: decoy.into(),
        })
    }

    /// Whether a presented secret is the stored one. With nothing stored it takes as long, and is not.
    ///
    /// # Errors
    /// `Busy` over the bound.
    pub async fn verify(&self, stored: Option<&str>, presented: &PresentedSecret) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let phc: Arc<str> = stored.map_or_else(|| Arc::clone(&self.decoy), Into::into);
        let presented = presented.clone();
        let matched = self
            .run(move || match Argon2::default().verify_password(presented.expose().as_bytes(), &*phc) {
                Ok(()) => Ok(true),
                Err(HashError::PasswordInvalid) => Ok(false),
                Err(error) => Err(PasswordError::Hash(error)),
            })
            .await?;
        Ok(matched && known)
    }

    /// Makes the slow hash of a chosen secret.
    ///
    /// # Errors
    /// `Busy` over the bound.
    pub async fn hash(&self, secret: &PresentedSecret, random: &dyn Randomness) -> Result<SecretHash, PasswordError> {
        let salt = random::bytes(random);
        let secret = secret.clone();
        self.run(move || hash_with(salt, secret.expose().as_bytes()).map(|phc| SecretHash::Slow(phc.into()))).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let queued = Queued::enter(&self.waiting, self.bound).ok_or(PasswordError::Busy)?;
        let permit = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| PasswordError::Gone)?;
        drop(queued);
        // The permit goes along: a caller that hangs up does not free the core it still uses.
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .map_err(|_| PasswordError::Gone)?
    }
}

/// A place in the queue, given back when dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn enter(waiting: &'a AtomicUsize, bound: usize) -> Option<Self> {
        let queued = Self(waiting);
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        (before < bound).then_some(queued)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn hash_with(salt: [u8; 16], secret: &[u8]) -> Result<String, PasswordError> {
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, Params::DEFAULT);
    let hash: PasswordHash = argon2.hash_password_with_salt(secret, &salt).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}
