//! Client authentication (RFC 6749 section 2.3).
//!
//! A client presents its identifier and, where it is confidential, a secret: in the `Authorization` header
//! (`client_secret_basic`), in the body (`client_secret_post`), or not at all (`none`, public clients). What the client may then
//! do is decided elsewhere. Threats: guessing (slow hash, throttle), telling known identifiers from unknown ones (same answer,
//! same work), and a confidential client passing as a public one.

pub mod certificate;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tessera_kit::calls;
use tessera_kit::tls::NotTheirs;
use tessera_store::{Action, Actor, Client, Detail, StoreError, StoredSecret, Target};
use tessera_types::random::{self, Randomness};
use tessera_types::secret::SecretShape;
use tessera_types::{ClientId, ClientType, ErrorCode, Failure, PresentedSecret, Revision, SecretHash, Timestamp};
use uuid::Uuid;

use crate::context::Context;
use crate::operations::clients::is_usable;
use crate::passwords::PasswordError;
use crate::throttle::TooMany;

/// How long a slow secret that was right is remembered.
const REMEMBER_FOR: Duration = Duration::from_secs(60);

/// How often a client that keeps changing is looked at again.
const LOOKS: usize = 4;

/// How many are remembered.
const REMEMBERED: usize = 10_000;

/// How a client presented itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// `Authorization: Basic`.
    Basic,
    /// Identifier and secret in the body or message.
    Post,
    /// The identifier alone.
    None,
    /// A certificate, and perhaps the identifier: where tokens are asked about.
    Certificate,
}

impl AuthMethod {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Basic, Self::Post, Self::None, Self::Certificate];

    /// The name of RFC 8414's `token_endpoint_auth_methods_supported`, and RFC 8705's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
            Self::Certificate => "tls_client_auth",
        }
    }
}

/// What a client presented.
#[derive(Clone, Debug)]
pub struct PresentedClient {
    /// The identifier, as sent. One that is malformed is refused as one that does not exist.
    pub id: String,
    /// The secret, unless it was absent or empty: an empty secret never authenticates.
    pub secret: Option<PresentedSecret>,
    /// How.
    pub method: AuthMethod,
    /// From where, as far as known.
    pub from: Option<IpAddr>,
}

/// A client that is who it says.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    /// The client, enabled.
    pub client: Client,
    /// What this issuer had applied *before* it looked: what follows from this authentication carries it as `rev`, and dies
    /// with any later watermark.
    pub rev: Revision,
    /// The secret it used.
    pub secret: Option<Uuid>,
    /// When that expires.
    pub secret_expires: Option<Timestamp>,
}

/// Why a client is not authenticated.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthError {
    /// Unknown client, wrong, expired or missing secret, or disabled: the caller is not told which.
    #[error("client authentication failed: {0}")]
    Refused(Refusal),
    /// A certificate that is no client's, or another one's.
    #[error(transparent)]
    Certificate(#[from] NotTheirs),
    /// Too many failures from there for that client.
    #[error("too many failed authentications")]
    Throttled(Duration),
    /// Too many slow checks at once.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The issuer has not loaded its log yet, or the client keeps changing.
    #[error("the log is not loaded yet, or the client keeps changing")]
    NotReady,
}

/// What was wrong; for the log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such client.
    #[error("unknown client")]
    Unknown,
    /// The client is disabled, or its organization or owner is, or is gone.
    #[error("disabled client")]
    Disabled,
    /// The secret is none of the client's.
    #[error("wrong secret")]
    WrongSecret,
    /// A confidential client came without a secret, or a public one with one.
    #[error("wrong method")]
    WrongMethod,
}

impl Refusal {
    /// What the audit says: those who read it are told which it was.
    const fn reason(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN_CLIENT",
            Self::Disabled => "CLIENT_DISABLED",
            Self::WrongSecret => "WRONG_SECRET",
            Self::WrongMethod => "WRONG_METHOD",
        }
    }
}

impl Failure for ClientAuthError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(_) => ErrorCode::InvalidClient,
            Self::Certificate(error) => error.code(),
            Self::Throttled(_) => ErrorCode::Throttled,
            Self::Passwords(error) if error.is_internal() => ErrorCode::ServerError,
            Self::Passwords(_) | Self::NotReady => ErrorCode::TemporarilyUnavailable,
            Self::Store(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Refused(_) => "CLIENT_AUTHENTICATION_FAILED",
            Self::Certificate(error) => error.reason(),
            Self::Throttled(_) => "TOO_MANY_FAILED_AUTHENTICATIONS",
            Self::Passwords(error) if error.is_internal() => "INTERNAL",
            Self::Passwords(_) => "PASSWORD_CHECKS_BUSY",
            Self::NotReady => "NOT_READY",
            Self::Store(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Refused(_) => "Client authentication failed. Check the client id and the secret.",
            Self::Certificate(error) => error.advice(),
            Self::Throttled(_) => "Too many failed authentications. Wait as long as Retry-After says.",
            Self::Passwords(error) if error.is_internal() => "The server failed. Its log says more.",
            Self::Passwords(_) => "The server is checking too many passwords. Try again.",
            Self::NotReady => "The server is starting, or the client is being changed. Try again.",
            Self::Store(error) => error.advice(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(wait) => Some(*wait),
            Self::Passwords(_) | Self::NotReady => Some(Duration::from_secs(1)),
            Self::Store(error) => error.retry_after(),
            Self::Refused(_) | Self::Certificate(_) => None,
        }
    }
}

/// Authenticates a client.
///
/// # Errors
/// `Refused` whatever was wrong with the credential; `Throttled` after too many failures.
pub async fn authenticate(cx: &Context, presented: &PresentedClient) -> Result<AuthenticatedClient, ClientAuthError> {
    let result = unless_throttled(cx, presented).await;
    match &result {
        Ok(authenticated) => calls::client(authenticated.client.id.as_str()),
        // Who is turned away counts too: of a guesser's attempts one in three seconds is looked at, and no alert would see them.
        Err(ClientAuthError::Refused(_) | ClientAuthError::Throttled(_)) => {
            cx.telemetry.client_auth_failure(presented.method);
        }
        Err(_) => {}
    }
    result
}

async fn unless_throttled(cx: &Context, presented: &PresentedClient) -> Result<AuthenticatedClient, ClientAuthError> {
    let too_many = cx.throttle.admit(&presented.id, presented.from).err();
    // A secret of our making cannot be guessed and costs a fast hash. It is always looked at: otherwise failing under a client's
    // name would lock the client out.
    let may_be_guessed = presented.secret.as_ref().is_none_or(|secret| secret.shape() == SecretShape::Chosen);
    if let (Some(TooMany(wait)), true) = (&too_many, may_be_guessed) {
        record(cx, presented, None, "TOO_MANY_FAILED_AUTHENTICATIONS");
        return Err(ClientAuthError::Throttled(*wait));
    }
    let mut meant = None;
    let result = authenticate_up_to_date(cx, presented, &mut meant).await;
    let Err(ClientAuthError::Refused(refusal)) = &result else { return result };
    record(cx, presented, meant.clone(), refusal.reason());
    if let Some(TooMany(wait)) = too_many {
        return Err(ClientAuthError::Throttled(wait));
    }
    cx.throttle.failed(&presented.id, presented.from);
    let client_id = meant.as_ref().map_or(NOBODY, ClientId::as_str);
    tracing::info!(client_id, method = presented.method.as_str(), reason = %refusal, "client authentication failed");
    result
}

/// Records that a client did not authenticate: which, where there is such a client. What was sent is not kept, for it may be a secret
/// in the wrong field.
fn record(cx: &Context, presented: &PresentedClient, meant: Option<ClientId>, reason: &'static str) {
    let cx = cx.reached_from(presented.from);
    let record = cx.did_as(Actor::Unknown, Action::ClientAuthenticate).because(reason);
    let record = record.with(Detail::Method, presented.method.as_str());
    cx.refused(match meant {
        Some(client) => record.to(Target::Client(client)),
        None => record,
    });
}

/// A client that was changed while it was looked at is looked at again: what follows from the older look could outlive the change of
/// a secret, or would be dead on arrival.
async fn authenticate_up_to_date(
    cx: &Context,
    presented: &PresentedClient,
    meant: &mut Option<ClientId>,
) -> Result<AuthenticatedClient, ClientAuthError> {
    for _ in 0..LOOKS {
        let authenticated = authenticate_once(cx, presented, meant).await?;
        if !overtaken(cx, &authenticated) {
            cx.last_used.note(&authenticated.client.id, authenticated.secret, cx.clock.now());
            return Ok(authenticated);
        }
    }
    Err(ClientAuthError::NotReady)
}

/// Whether the client was changed after the revision it was looked at.
fn overtaken(cx: &Context, authenticated: &AuthenticatedClient) -> bool {
    cx.replica.state().is_some_and(|state| {
        let id = &authenticated.client.id;
        let changed = state.client(id).map_or(0, |entry| entry.revision);
        changed.max(state.client_watermark(id)).max(state.everything()) > authenticated.rev.number
    })
}

async fn authenticate_once(
    cx: &Context,
    presented: &PresentedClient,
    meant: &mut Option<ClientId>,
) -> Result<AuthenticatedClient, ClientAuthError> {
    // Before anything is read: what is read may be newer than this, never older.
    let rev = cx.replica.position().ok_or(ClientAuthError::NotReady)?.revision();
    let found = match presented.id.parse::<ClientId>() {
        Ok(id) => cx.store.clients().find_with_secrets(&id).await?,
        Err(_) => None,
    };
    let (client, secrets) = match found {
        Some((client, secrets)) => (Some(client), secrets),
        None => (None, Vec::new()),
    };
    *meant = client.as_ref().map(|client| client.id.clone());
    let matched = match &presented.secret {
        Some(secret) => matching_secret(cx, &secrets, secret).await?,
        None => None,
    };
    // Every refusal below costs the same: the one slow or fast comparison above is done.
    let client = client.ok_or(ClientAuthError::Refused(Refusal::Unknown))?;
    match (client.kind, &presented.secret) {
        (ClientType::Confidential, Some(_)) if matched.is_none() => {
            return Err(ClientAuthError::Refused(Refusal::WrongSecret));
        }
        (ClientType::Confidential, Some(_)) => {}
        (ClientType::Public, None) if presented.method == AuthMethod::None => {}
        _ => return Err(ClientAuthError::Refused(Refusal::WrongMethod)),
    }
    // Looked up only now: who does not know the secret learns nothing from the time it takes.
    if !is_usable(&cx.store.clients(), &client).await? {
        return Err(ClientAuthError::Refused(Refusal::Disabled));
    }
    let (secret, secret_expires) = (matched.map(|s| s.id), matched.and_then(|s| s.expires));
    Ok(AuthenticatedClient { client, rev, secret, secret_expires })
}

/// The client's live secret that a presented one is. The presented secret's shape alone decides how much work
/// is done (security.md, item 6): a client has at most one slow secret, and where there is none a decoy is held against.
async fn matching_secret<'a>(
    cx: &Context,
    secrets: &'a [StoredSecret],
    presented: &PresentedSecret,
) -> Result<Option<&'a StoredSecret>, ClientAuthError> {
    let now = cx.clock.now();
    let mut live = secrets.iter().filter(|s| s.expires.is_none_or(|at| now < at));
    match presented.shape() {
        SecretShape::Generated => {
            let digest = presented.fast_hash();
            Ok(live.find(|s| s.hash.matches_fast(&digest)))
        }
        SecretShape::Chosen => {
            let slow = live.find_map(|s| match &s.hash {
                SecretHash::Slow(phc) => Some((s, &**phc)),
                SecretHash::Fast(_) => None,
            });
            if let Some((_, phc)) = slow
                && cx.remembered.knows(phc, presented, cx.clock.monotonic())
            {
                return Ok(slow.map(|(s, _)| s));
            }
            let matched = cx.passwords.verify(slow.map(|(_, phc)| phc), presented).await?;
            if let (true, Some((_, phc))) = (matched, slow) {
                cx.remembered.remember(phc, presented, cx.clock.monotonic());
            }
            Ok(slow.filter(|_| matched).map(|(s, _)| s))
        }
    }
}

/// What logs call a client that there is not.
const NOBODY: &str = "(unknown)";

/// What may stand in a log of an identifier that somebody sent: that of a client there is. Anything else may be a secret in the wrong
/// place, for those that people choose look like identifiers.
pub(crate) fn printable<'a>(cx: &Context, id: &'a str) -> &'a str {
    let known = id.parse().is_ok_and(|id| cx.replica.state().is_some_and(|state| state.client(&id).is_some()));
    if known { id } else { NOBODY }
}

/// Slow secrets that were right, as keyed hashes, for a minute. The stored hash is part of the key, and it is read anew each
/// time: a rotated or deleted secret is forgotten by that alone.
#[derive(Clone)]
pub struct RememberedSecrets {
    key: [u8; 32],
    seen: Arc<Cache<[u8; 32], Duration>>,
}

impl RememberedSecrets {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(random: &dyn Randomness) -> Self {
        Self { key: random::bytes(random), seen: Arc::new(Cache::new(REMEMBERED)) }
    }

    fn knows(&self, phc: &str, presented: &PresentedSecret, now: Duration) -> bool {
        self.seen.get(&self.digest(phc, presented)).is_some_and(|until| now < until)
    }

    fn remember(&self, phc: &str, presented: &PresentedSecret, now: Duration) {
        self.seen.insert(self.digest(phc, presented), now + REMEMBER_FOR);
    }

    fn digest(&self, phc: &str, presented: &PresentedSecret) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        hasher.update(Sha256::digest(phc.as_bytes()));
        hasher.update(presented.fast_hash());
        hasher.finalize().into()
    }
}
