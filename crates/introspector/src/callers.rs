//! Who asks: resource servers, by Basic or form credentials, or by a Bearer token with the scope `introspect`.
//!
//! A client's secret is checked once with the issuer and remembered for a minute as a keyed hash; the client itself is looked
//! up in the replica on every call, so that a change of it ends what was remembered. A Bearer token is checked here, as any
//! token, for the introspector's own audience.
//!
//! Who presents nothing of that but a client certificate is whom the configuration says. Where there is both, the certificate counts for
//! nothing: the header says more, and nobody gets the one's rights where the other's are refused.

mod error;
mod memory;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tessera_check::{AudienceRule, CannotTell, Checker, Refused, Verified};
use tessera_kit::calls;
use tessera_kit::http::{Authorization, Credentials};
use tessera_kit::tls::{LiveIdentities, PeerCertificate};
use tessera_ledger::{ClientEntry, Replica};
use tessera_types::scope::reserved;
use tessera_types::{Audience, ClientId, Clock, PresentedSecret, Randomness, Revision, Timestamp};

pub use self::error::CallerError;
use self::memory::{Memory, Seen};
use crate::consistency::{Gate, NotFresh, Waits};

/// Somebody whose credential was right. Whether it may ask *now* is looked up with each question ([`Callers::admit`]).
#[derive(Clone, Debug)]
pub enum Caller {
    /// A client that presented its secret.
    Client {
        /// What the issuer confirmed.
        known: Arc<KnownClient>,
        /// What to ask the issuer about again where the client is changed during the call.
        presented: Presented,
    },
    /// The bearer of a token.
    Token(Arc<Verified>),
    /// The holder of a certificate.
    Certificate {
        /// The client that the configuration says it is.
        client: ClientId,
        /// The certificate, which may end before its connection does.
        certificate: Arc<PeerCertificate>,
    },
}

impl Caller {
    /// The client that asks, itself or by its token.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        match self {
            Self::Client { known, .. } => &known.client,
            Self::Token(token) => &token.claims().client,
            Self::Certificate { client, .. } => client,
        }
    }
}

/// The credential of a call, kept for as long as the call.
#[derive(Clone)]
pub struct Presented(Secret);

#[derive(Clone)]
enum Secret {
    Header(HeaderValue),
    Form(Credentials),
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presented(…)")
    }
}

/// A client whose secret the issuer confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    client: ClientId,
    /// What the issuer had applied before it looked: a later change of the client voids the confirmation.
    confirmed: Revision,
    secret_expires: Option<Timestamp>,
    /// On the monotonic clock.
    remembered_until: Duration,
}

/// The issuer's word that a secret is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// What it had applied before it looked.
    pub revision: u64,
    /// When the secret ends, where it does.
    pub expires: Option<Timestamp>,
}

/// How often the issuer is asked about one credential: then its client changes too fast to tell.
const CONFIRMATIONS: usize = 3;

/// Why a confirmation holds no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lapsed {
    /// The client, or the log, is another than the issuer looked at: it must be asked again.
    Changed,
    /// The client is gone or disabled, or the secret is over.
    Unusable,
}

/// Why there is no confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconfirmed {
    /// No such client, or not its secret; nobody is told which.
    #[error("the issuer refused the credential")]
    Refused,
    /// Too many are being checked.
    #[error("too many credentials are being checked")]
    Throttled,
    /// The issuer was not reached.
    #[error("the issuer was not reached")]
    Unreachable,
}

/// Asks the issuer whether a secret is right.
#[async_trait::async_trait]
pub trait ConfirmSecret: Send + Sync + 'static {
    /// Asks.
    async fn confirm(&self, client: &ClientId, secret: &PresentedSecret) -> Result<Confirmation, Unconfirmed>;
}

/// Tells who asks.
#[derive(Clone)]
pub struct Callers(Arc<Inner>);

struct Inner {
    replica: Replica,
    checker: Checker,
    gate: Gate,
    recognized: Recognized,
    clock: Arc<dyn Clock>,
    memory: Arc<Memory>,
}

/// What callers are known by, beside secrets.
#[derive(Clone, Debug)]
pub struct Recognized {
    /// The audience that their Bearer tokens must be meant for.
    pub audience: Audience,
    /// The clients that certificates are for.
    pub certificates: LiveIdentities<ClientId>,
}

impl std::fmt::Debug for Callers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callers").field("recognized", &self.0.recognized).finish_non_exhaustive()
    }
}

impl Callers {
    /// Callers are known by what is `recognized`, and by secrets that the issuer confirms.
    #[must_use]
    pub fn new(
        replica: Replica,
        checker: Checker,
        gate: Gate,
        recognized: Recognized,
        issuer: Arc<dyn ConfirmSecret>,
        clock: Arc<dyn Clock>,
        random: &dyn Randomness,
    ) -> Self {
        let memory = Arc::new(Memory::new(issuer, Arc::clone(&clock), random));
        Self(Arc::new(Inner { replica, checker, gate, recognized, clock, memory }))
    }

    /// Who calls: by these headers or, where they say nothing, by the certificate of the connection.
    ///
    /// # Errors
    /// As [`from_headers`](Self::from_headers) and [`from_certificate`](Self::from_certificate).
    pub async fn from_call(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Arc<PeerCertificate>>,
        waits: &mut Waits,
    ) -> Result<Caller, CallerError> {
        match certificate {
            Some(certificate) if !headers.contains_key(header::AUTHORIZATION) => {
                self.from_certificate(certificate, None)
            }
            _ => self.from_headers(headers, waits).await,
        }
    }

    /// Who holds this certificate, as the handshake has verified it; where the request names a client, that must be the one.
    ///
    /// # Errors
    /// [`CallerError::Certificate`].
    pub fn from_certificate(
        &self,
        certificate: &Arc<PeerCertificate>,
        named: Option<&str>,
    ) -> Result<Caller, CallerError> {
        let identities = self.0.recognized.certificates.now();
        let client = identities.client(certificate, named, self.0.clock.now())?;
        Ok(Caller::Certificate { client: client.clone(), certificate: Arc::clone(certificate) })
    }

    /// Who presents these headers.
    ///
    /// # Errors
    /// Every [`CallerError`] but [`TwoMechanisms`](CallerError::TwoMechanisms), [`Assertion`](CallerError::Assertion) and
    /// [`NoResources`](CallerError::NoResources).
    pub async fn from_headers(&self, headers: &HeaderMap, waits: &mut Waits) -> Result<Caller, CallerError> {
        // The header's bytes are the key: a caller that is known costs no decoding.
        let key = self.0.memory.header_key(headers);
        let presented = || headers.get(header::AUTHORIZATION).cloned().map(|value| Presented(Secret::Header(value)));
        if let Some(known) = key.and_then(|key| self.remembered(&key))
            && let Some(presented) = presented()
        {
            return Ok(Caller::Client { known, presented });
        }
        // The issuer may have to be asked.
        calls::came_with(headers);
        let caller = match (Authorization::from_headers(headers)?.ok_or(CallerError::Missing)?, key, presented()) {
            (Authorization::Bearer(token), ..) => self.bearer(token.expose(), waits).await.map(Caller::Token),
            (Authorization::Basic(credentials), Some(key), Some(presented)) => {
                Box::pin(self.confirmed(key, credentials, waits)).await.map(|known| Caller::Client { known, presented })
            }
            (Authorization::Basic(_), ..) => Err(CallerError::Missing),
        };
        caller.map_err(|error| self.doubted(error))
    }

    /// Who presents these credentials in the form (RFC 6749 section 2.3.1).
    ///
    /// # Errors
    /// As [`from_headers`](Self::from_headers).
    pub async fn from_form(&self, credentials: Credentials, waits: &mut Waits) -> Result<Caller, CallerError> {
        let key = self.0.memory.form_key(&credentials);
        let presented = Presented(Secret::Form(credentials.clone()));
        let known = match self.remembered(&key) {
            Some(known) => known,
            None => Box::pin(self.confirmed(key, credentials, waits)).await.map_err(|error| self.doubted(error))?,
        };
        Ok(Caller::Client { known, presented })
    }

    /// Looks up whether a caller may ask now, and for which resources: to be called after the freshness was checked that the
    /// answer must have.
    ///
    /// # Errors
    /// [`CallerError::Refused`], [`CallerError::Certificate`], [`CallerError::Token`], [`CallerError::NoResources`],
    /// [`CallerError::NotFresh`], and [`CallerError::Changed`], after which [`again`](Self::again) may help.
    pub fn admit(&self, caller: &Caller) -> Result<Arc<ClientEntry>, CallerError> {
        let entry = match caller {
            Caller::Client { known, .. } => self.entry(known).map_err(|lapsed| match lapsed {
                Lapsed::Changed => CallerError::Changed,
                Lapsed::Unusable => CallerError::Refused,
            })?,
            Caller::Token(token) => self.bearers_client(token)?,
            Caller::Certificate { client, certificate } => self.certified(client, certificate)?,
        };
        if entry.state.resources.is_empty() {
            return Err(CallerError::NoResources);
        }
        Ok(entry)
    }

    /// Asks anew about a caller that was changed since its credential was confirmed: a change alone takes no right away.
    ///
    /// # Errors
    /// As [`from_headers`](Self::from_headers).
    pub async fn again(&self, caller: &mut Caller, waits: &mut Waits) -> Result<(), CallerError> {
        let Caller::Client { presented, .. } = &*caller else { return Ok(()) };
        *caller = match presented.0.clone() {
            Secret::Header(value) => {
                let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
                self.from_headers(&headers, waits).await?
            }
            Secret::Form(credentials) => self.from_form(credentials, waits).await?,
        };
        Ok(())
    }

    /// Whether a caller may ask anything now, where no single question says how fresh that must be known.
    ///
    /// # Errors
    /// As [`admit`](Self::admit), after asking anew once.
    pub async fn admitted(&self, caller: &mut Caller, waits: &mut Waits) -> Result<(), CallerError> {
        if matches!(self.admit(caller), Err(CallerError::Changed)) {
            self.again(caller, waits).await?;
        }
        // Touch first, then the states: a pause in between could make an old refusal pass as fresh.
        let in_touch = self.0.gate.in_touch();
        self.admit(caller).map(drop).map_err(|error| Self::doubted_unless(in_touch, error))
    }

    /// What is remembered and still holds: not over, and the client unchanged since the issuer looked.
    fn remembered(&self, key: &memory::Key) -> Option<Arc<KnownClient>> {
        let known = self.0.memory.find(key)?;
        let holds = self.0.clock.monotonic() < known.remembered_until && self.entry(&known).is_ok();
        holds.then_some(known)
    }

    /// An introspector out of touch refuses nobody for what it may not have heard of.
    fn doubted(&self, error: CallerError) -> CallerError {
        Self::doubted_unless(self.0.gate.in_touch(), error)
    }

    fn doubted_unless(in_touch: bool, error: CallerError) -> CallerError {
        match error {
            CallerError::Refused | CallerError::Token(_) | CallerError::NoResources if !in_touch => {
                NotFresh::OutOfTouch.into()
            }
            certain => certain,
        }
    }

    /// Has the issuer confirm a secret, and waits until the replica knows at least what the issuer knew.
    async fn confirmed(
        &self,
        key: memory::Key,
        credentials: Credentials,
        waits: &mut Waits,
    ) -> Result<Arc<KnownClient>, CallerError> {
        let Credentials { client_id, secret } = credentials;
        // An empty secret never authenticates.
        let secret = secret.ok_or(CallerError::Refused)?;
        for _ in 0..CONFIRMATIONS {
            // Before the issuer is asked: what it says is about this registration, or a later one.
            let seen = self.seen(&client_id)?;
            let confirming = self.0.memory.confirm(key, &client_id, &secret, seen);
            let known = waits.within(confirming).await.ok_or(Unconfirmed::Unreachable)??;
            self.0.gate.reach(known.confirmed, waits).await?;
            match self.entry(&known) {
                Ok(_) => return Ok(known),
                Err(Lapsed::Unusable) => return Err(CallerError::Refused),
                // It changed while the issuer looked: its word is about the client before.
                Err(Lapsed::Changed) => {}
            }
        }
        Err(CallerError::Changed)
    }

    async fn bearer(&self, token: &str, waits: &mut Waits) -> Result<Arc<Verified>, CallerError> {
        loop {
            match self.0.checker.check_locally(token, &self.0.recognized.audience, &[reserved::INTROSPECT]) {
                Ok(verified) => return Ok(verified),
                Err(Refused::CannotTell(CannotTell::Behind { needs })) => self.0.gate.reach(needs, waits).await?,
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    /// The client as it is now, if the issuer's word about it still holds.
    fn entry(&self, known: &KnownClient) -> Result<Arc<ClientEntry>, Lapsed> {
        let state = self.0.replica.state().ok_or(Lapsed::Changed)?;
        if state.epoch() != known.confirmed.epoch {
            return Err(Lapsed::Changed);
        }
        let entry = state.client(&known.client).ok_or(Lapsed::Unusable)?;
        let alive = known.secret_expires.is_none_or(|expires| self.0.clock.now() < expires);
        if !entry.state.enabled || !alive {
            return Err(Lapsed::Unusable);
        }
        let changed = entry.revision.max(entry.watermark()).max(state.everything());
        if changed <= known.confirmed.number { Ok(entry) } else { Err(Lapsed::Changed) }
    }

    /// The client as it is now, if its certificate is still for it. Nothing was confirmed earlier that a change of it could void.
    fn certified(&self, client: &ClientId, certificate: &PeerCertificate) -> Result<Arc<ClientEntry>, CallerError> {
        let state = self.0.replica.state().ok_or(NotFresh::OutOfTouch)?;
        let identities = self.0.recognized.certificates.now();
        let client = identities.client(certificate, Some(client.as_str()), self.0.clock.now())?;
        state.enabled_client(client).ok_or(CallerError::Refused)
    }

    fn bearers_client(&self, token: &Verified) -> Result<Arc<ClientEntry>, CallerError> {
        let rule = AudienceRule { resources: std::slice::from_ref(&self.0.recognized.audience), only: None };
        if !self.0.checker.still_active(token, rule).map_err(Refused::CannotTell)? {
            return Err(Refused::Inactive.into());
        }
        let state = self.0.replica.state().ok_or(NotFresh::OutOfTouch)?;
        Ok(state.client(&token.claims().client).ok_or(Refused::Inactive)?)
    }

    /// The client as the replica knows it now.
    fn seen(&self, client: &ClientId) -> Result<Seen, NotFresh> {
        let state = self.0.replica.state().ok_or(NotFresh::OutOfTouch)?;
        let changed = state.client(client).map(|entry| entry.revision.max(entry.watermark()));
        Ok(Seen { epoch: state.epoch(), changed })
    }
}
