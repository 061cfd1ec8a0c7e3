//! What operations need, handed to them in one piece.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ipnet::IpNet;
use tessera_check::Checker;
use tessera_keys::{MacKey, SigningKey};
use tessera_kit::tls::LiveIdentities;
use tessera_ledger::replica::Replica;
use tessera_store::Database;
use tessera_types::{Audience, Clock, Randomness, ScopeSet};

use crate::audit::By;
use crate::audit::attempts::Attempts;
use crate::client_auth::RememberedSecrets;
use crate::grants::lineage::Lineage;
use crate::last_used::LastUsed;
use crate::log::Publication;
use crate::mail::Mailer;
use crate::operations::access::Holder;
use crate::operations::keys::{KeyPolicy, Signing};
use crate::passwords::Passwords;
use crate::telemetry::Telemetry;
use crate::throttle::{FailureThrottle, LoginThrottle};

/// One issuer's parts, and on whose behalf they work. Cheap to clone.
#[derive(Clone)]
#[must_use = "an operation that is given another context does not know on whose behalf it works, and the audit is to tell"]
pub struct Context {
    parts: Arc<Parts>,
    by: Arc<By>,
}

/// The parts.
pub struct Parts {
    /// The wall clock and the monotonic one.
    pub clock: Arc<dyn Clock>,
    /// For identifiers and secrets.
    pub random: Arc<dyn Randomness>,
    /// The database.
    pub store: Database,
    /// The log's state in memory: what the issuer itself has applied.
    pub replica: Replica,
    /// Decides whether a token is active, from the replica.
    pub checker: Checker,
    /// Carries the log to the replica and to introspectors, and knows who has confirmed what.
    pub publication: Publication,
    /// The key that signs. None where the operator's keys are missing.
    pub signer: ArcSwapOption<SigningKey>,
    /// What opens keys, and decides whether one may sign.
    pub signing: Signing,
    /// The slow hash's pool for clients' secrets.
    pub passwords: Passwords,
    /// The slow hash's pool for people's passwords: a flood of logins fills no queue of clients.
    pub user_passwords: Passwords,
    /// Makes refresh tokens and knows them again.
    pub lineage: Lineage,
    /// For what pages hand out and take back.
    pub page_key: MacKey,
    /// Slow secrets that were right a moment ago.
    pub remembered: RememberedSecrets,
    /// Tells owners of their new applications.
    pub mailer: Mailer,
    /// When clients were used last.
    pub last_used: LastUsed,
    /// What was refused, until it is recorded.
    pub attempts: Attempts,
    /// The metrics.
    pub telemetry: Telemetry,
    /// Counts failed authentications.
    pub throttle: FailureThrottle,
    /// Counts failed logins.
    pub logins: LoginThrottle,
    /// Paces the authorization requests that anybody may make.
    pub requests: FailureThrottle,
    /// What the operator decided.
    pub policy: Policy,
}

/// What the operator decided.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The issuer's URL: every token's `iss`, byte by byte.
    pub issuer_url: String,
    /// The issuer's URL as the audience that administrative tokens must have.
    pub issuer_audience: Audience,
    /// The audience of tokens with which resource servers call introspection.
    pub introspection_audience: Audience,
    /// The audience of clients that were created without one.
    pub default_audience: Audience,
    /// How signing keys follow one another.
    pub keys: KeyPolicy,
    /// How long access tokens live where the client says nothing.
    pub access_ttl: Duration,
    /// Whether the password grant is turned on.
    pub password_grant: bool,
    /// Whether confidential clients must use PKCE too.
    pub require_pkce: bool,
    /// How long a code may be redeemed: at most a minute.
    pub code_ttl: Duration,
    /// How long a refresh token lives that is not used.
    pub refresh_ttl: Duration,
    /// How long a family of refresh tokens lives, however often it is used.
    pub refresh_absolute_ttl: Duration,
    /// How long a spent refresh token still gets its successor.
    pub refresh_reuse_grace: Duration,
    /// How long a session lives that is not used.
    pub session_ttl: Duration,
    /// How long a session lives, however often it is used.
    pub session_absolute_ttl: Duration,
    /// Whether consent is remembered for public clients whose answers go to a program on the user's machine.
    pub remember_native_consent: bool,
    /// Who the holders of client certificates are; replaced at SIGHUP.
    pub identities: LiveIdentities<Holder>,
    /// The networks whose proxies are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The scopes that owners may give to their own applications.
    pub owner_scopes: ScopeSet,
    /// How many applications one owner may have.
    pub applications_per_owner: u64,
    /// How many one owner may make within a day.
    pub applications_per_day: u64,
    /// How long records of the audit are kept; `None` is for ever.
    pub audit_keep: Option<Duration>,
    /// How long a revocation waits for introspectors before it is reported as unconfirmed.
    pub confirm_within: Duration,
}

impl Context {
    /// Puts the parts together, on nobody's behalf.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), by: Arc::default() }
    }

    /// The same parts, on somebody's behalf.
    pub fn acting(&self, by: By) -> Self {
        Self { parts: Arc::clone(&self.parts), by: Arc::new(by) }
    }

    /// On whose behalf.
    #[must_use]
    pub fn by(&self) -> &By {
        &self.by
    }
}

impl std::ops::Deref for Context {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}
