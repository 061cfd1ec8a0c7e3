//! The slow hash, on a bounded pool.
//!
//! argon2id takes about 15 ms of a core and 19 MiB. A flood of guesses must not starve everything else, so that only so many
//! run at once, at a lower priority; a short queue waits, and what comes on top is refused. Clients' secrets and people's
//! passwords have a pool each: a flood of the one kind does not fill the queue of the other.

mod pool;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::password_hash::{Error as HashError, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use bcrypt::BcryptError;
use tessera_types::password::{LANES, MEMORY_KIB, PASSES};
use tessera_types::random::{self, Randomness};
use tessera_types::{PasswordHash, PresentedSecret, SecretHash};

use self::pool::Pool;

/// How many may wait for each one that runs: about a second's worth.
const QUEUE_PER_THREAD: usize = 64;

/// The bounded pool. Cheap to clone; its threads end with the last clone.
#[derive(Clone)]
pub struct Passwords {
    pool: Pool,
    /// Held against where there is nothing to hold against, so that an unknown client or person takes the same time.
    decoy: Arc<str>,
}

/// What became of a person's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is the stored one.
    Matched,
    /// It is not, or nothing is stored.
    Wrong,
    /// It was not looked at: the throttle said no.
    NotAdmitted,
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
    /// The stored hash cannot be read.
    #[error("bcrypt: {0}")]
    Bcrypt(BcryptError),
    /// The threads cannot be started.
    #[error("no threads for password checks")]
    Threads(#[source] std::io::Error),
}

impl PasswordError {
    /// Whether the server itself is at fault: trying again changes nothing.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        match self {
            Self::Busy | Self::Gone => false,
            Self::Hash(_) | Self::Bcrypt(_) | Self::Threads(_) => true,
        }
    }
}

impl Passwords {
    /// Makes a pool for so many at once, at least one. Its name is its threads'.
    ///
    /// # Errors
    /// `Hash` where argon2 refuses the server's own parameters, `Threads` where there are none.
    pub fn new(name: &str, at_once: usize, random: &dyn Randomness) -> Result<Self, PasswordError> {
        let decoy = hash_with(random::bytes(random), &random::bytes::<32>(random))?;
        let threads = at_once.max(1);
        let (pool, _) = Pool::start(name, threads, threads * QUEUE_PER_THREAD)?;
        Ok(Self { pool, decoy: decoy.into() })
    }

    /// Whether a presented client secret is the stored one. With nothing stored it takes as long, and is not.
    ///
    /// # Errors
    /// `Busy` over the bound.
    pub async fn verify(&self, stored: Option<&str>, presented: &PresentedSecret) -> Result<bool, PasswordError> {
        let known = stored.is_some();
        let phc: Arc<str> = stored.map_or_else(|| Arc::clone(&self.decoy), Into::into);
        let presented = presented.clone();
        let matched = self.pool.run(move || verify_argon2id(&phc, &presented)).await??;
        Ok(matched && known)
    }

    /// Makes the slow hash of a chosen client secret.
    ///
    /// # Errors
    /// `Busy` over the bound.
    pub async fn hash(&self, secret: &PresentedSecret, random: &dyn Randomness) -> Result<SecretHash, PasswordError> {
        Ok(SecretHash::Slow(self.argon2id(secret, random).await?))
    }

    /// Whether a presented password is the stored one. With nothing stored it takes as long as with a hash of the server's own,
    /// and is wrong.
    ///
    /// `admit` is asked once a thread is free, just before the hash, and `count` is told whether the password was right before the
    /// thread takes the next one: of guesses that were sent all at once, no more than there are threads get past a throttle that
    /// counts their failures, however late their callers hear of it. Both run on that thread, and must not block. Of a caller that
    /// hung up before that, nothing runs; of one that hung up later, the failure counts.
    ///
    /// # Errors
    /// `Busy` over the bound.
    pub async fn verify_password(
        &self,
        stored: Option<&PasswordHash>,
        presented: &PresentedSecret,
        admit: impl FnOnce() -> bool + Send + 'static,
        count: impl FnOnce(bool) + Send + 'static,
    ) -> Result<Checked, PasswordError> {
        let (stored, presented, decoy) = (stored.cloned(), presented.clone(), Arc::clone(&self.decoy));
        let check = move || {
            if !admit() {
                return Ok(Checked::NotAdmitted);
            }
            let matched = match &stored {
                Some(PasswordHash::Argon2id(phc)) => verify_argon2id(phc, &presented)?,
                // Of a longer password the first 72 bytes count, as wherever the hash comes from.
                Some(PasswordHash::Bcrypt(hash)) => {
                    bcrypt::verify(presented.expose(), hash).map_err(PasswordError::Bcrypt)?
                }
                None => verify_argon2id(&decoy, &presented)? && stored.is_some(),
            };
            count(matched);
            Ok(if matched { Checked::Matched } else { Checked::Wrong })
        };
        self.pool.run(check).await?
    }

    /// Makes the hash of a person's password.
    ///
    /// # Errors
    /// `Busy` over the bound.
    pub async fn hash_password(
        &self,
        password: &PresentedSecret,
        random: &dyn Randomness,
    ) -> Result<PasswordHash, PasswordError> {
        Ok(PasswordHash::Argon2id(self.argon2id(password, random).await?))
    }

    async fn argon2id(&self, secret: &PresentedSecret, random: &dyn Randomness) -> Result<Box<str>, PasswordError> {
        let salt = random::bytes(random);
        let secret = secret.clone();
        let phc = self.pool.run(move || hash_with(salt, secret.expose().as_bytes())).await??;
        Ok(phc.into())
    }
}

/// With the parameters that the hash names.
fn verify_argon2id(phc: &str, presented: &PresentedSecret) -> Result<bool, PasswordError> {
    match Argon2::default().verify_password(presented.expose().as_bytes(), phc) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(error) => Err(PasswordError::Hash(error)),
    }
}

fn hash_with(salt: [u8; 16], secret: &[u8]) -> Result<String, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| PasswordError::Hash(error.into()))?;
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash: phc::PasswordHash = argon2.hash_password_with_salt(secret, &salt).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}
