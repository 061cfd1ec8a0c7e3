//! Credentials that were checked a moment ago, by a keyed hash.
//!
//! The key of the hash is random and the process's own, so what is kept is worth nothing elsewhere, and nobody can choose
//! credentials that collide.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use http::{HeaderMap, header};
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tessera_kit::calls;
use tessera_kit::http::Credentials;
use tessera_types::{ClientId, Clock, Epoch, PresentedSecret, Randomness, Revision, random};
use tokio::sync::Semaphore;

use super::{ConfirmSecret, KnownClient, Unconfirmed};

/// The keyed hash of a credential.
pub(super) type Key = [u8; 32];

/// How long a right credential is remembered; any change of its client ends that earlier.
const REMEMBERED: Duration = Duration::from_mins(1);

/// How long a wrong one is, unless its client changes earlier: enough that a client in a loop does not become the issuer's load.
const REFUSED: Duration = Duration::from_secs(1);

/// How many of each are remembered. Wrong ones have a place of their own: a flood of them drives out no right one.
const CAPACITY: usize = 4096;

/// How many credentials the issuer is asked about at once.
const IN_FLIGHT: usize = 64;

/// Which registration of a client the replica knew when the issuer was asked. Any change of the client makes it another, so
/// that no answer about the client before is taken for one about the client after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    /// Which log.
    pub(super) epoch: Epoch,
    /// The client's last change in it; `None` where it is not known.
    pub(super) changed: Option<u64>,
}

/// A credential the issuer refused.
#[derive(Clone, Copy)]
struct Refusal {
    /// On the monotonic clock.
    until: Duration,
    seen: Seen,
}

type Question = (Key, Seen);

type Confirming = Shared<BoxFuture<'static, Result<Arc<KnownClient>, Unconfirmed>>>;

/// What is remembered.
pub(super) struct Memory {
    hash_key: [u8; 64],
    issuer: Arc<dyn ConfirmSecret>,
    clock: Arc<dyn Clock>,
    known: Cache<Key, Arc<KnownClient>>,
    refused: Cache<Key, Refusal>,
    in_flight: Mutex<HashMap<Question, Confirming>>,
    permits: Semaphore,
}

impl Memory {
    pub(super) fn new(issuer: Arc<dyn ConfirmSecret>, clock: Arc<dyn Clock>, random: &dyn Randomness) -> Self {
        Self {
            hash_key: random::bytes(random),
            issuer,
            clock,
            known: Cache::new(CAPACITY),
            refused: Cache::new(CAPACITY),
            in_flight: Mutex::default(),
            permits: Semaphore::new(IN_FLIGHT),
        }
    }

    /// The hash of the one `Authorization` header, where there is exactly one and it is Basic. (Bearer tokens are remembered
    /// by whoever checks them.)
    pub(super) fn header_key(&self, headers: &HeaderMap) -> Option<Key> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next()?.as_bytes();
        let is_basic = value.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"));
        (is_basic && values.next().is_none()).then(|| self.key(&[b"header", value]))
    }

    pub(super) fn form_key(&self, credentials: &Credentials) -> Key {
        let secret = credentials.secret.as_ref().map_or("", PresentedSecret::expose);
        self.key(&[b"form", credentials.client_id.as_str().as_bytes(), secret.as_bytes()])
    }

    /// One SHA-256 block of key, then each part after its length.
    fn key(&self, parts: &[&[u8]]) -> Key {
        let mut hash = Sha256::new_with_prefix(self.hash_key);
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    pub(super) fn find(&self, key: &Key) -> Option<Arc<KnownClient>> {
        self.known.get(key)
    }

    /// Asks the issuer; those who ask the same at the same time share one call and its answer. `seen` must have been read
    /// before: a refusal holds as long as the client stays as it was then.
    pub(super) async fn confirm(
        self: &Arc<Self>,
        key: Key,
        client: &ClientId,
        secret: &PresentedSecret,
        seen: Seen,
    ) -> Result<Arc<KnownClient>, Unconfirmed> {
        let refusal = self.refused.get(&key).filter(|refusal| refusal.seen == seen);
        if refusal.is_some_and(|refusal| self.clock.monotonic() < refusal.until) {
            return Err(Unconfirmed::Refused);
        }
        let question = (key, seen);
        let begin = || self.begin(question, client.clone(), secret.clone());
        let confirming = self.lock().entry(question).or_insert_with(begin).clone();
        confirming.await
    }

    /// Runs by itself, so that a caller who gives up takes nothing from the others.
    fn begin(self: &Arc<Self>, question: Question, client: ClientId, secret: PresentedSecret) -> Confirming {
        let memory = Arc::clone(self);
        let (key, seen) = question;
        let asking = async move {
            let _leaving = Leaving { memory: &memory, question };
            let answer = memory.ask(client, secret, seen.epoch).await;
            match &answer {
                Ok(known) => memory.known.insert(key, Arc::clone(known)),
                Err(Unconfirmed::Refused) => {
                    memory.refused.insert(key, Refusal { until: memory.clock.monotonic() + REFUSED, seen });
                }
                Err(_) => {}
            }
            answer
        };
        let asking = tokio::spawn(calls::carried(asking));
        async move { asking.await.unwrap_or(Err(Unconfirmed::Unreachable)) }.boxed().shared()
    }

    async fn ask(
        &self,
        client: ClientId,
        secret: PresentedSecret,
        epoch: Epoch,
    ) -> Result<Arc<KnownClient>, Unconfirmed> {
        let _permit = self.permits.try_acquire().map_err(|_| Unconfirmed::Throttled)?;
        // Measured from before the question.
        let remembered_until = self.clock.monotonic() + REMEMBERED;
        let confirmation = self.issuer.confirm(&client, &secret).await?;
        let confirmed = Revision { epoch, number: confirmation.revision };
        Ok(Arc::new(KnownClient { client, confirmed, secret_expires: confirmation.expires, remembered_until }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Confirming>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question off the list, whatever became of it.
struct Leaving<'a> {
    memory: &'a Memory,
    question: Question,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.memory.lock().remove(&self.question);
    }
}
