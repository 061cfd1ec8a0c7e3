//! The issuer's configuration: one struct per section, parsed once in `main`, passed down.

mod applications;
mod audit;
mod check;
mod dialects;
mod keys;
mod mail;

pub use applications::Applications;
pub use audit::Audit;
pub use check::Checked;
pub use dialects::{Dialect, Dialects};
pub use keys::{KeySource, Keys};
pub use mail::Mail;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tessera_kit::config::{CONNECTIONS, ConfigErrors, Listen, Loaded, Log, Sources, Stopping, Telemetry, Tls};
use tessera_types::Algorithm;

/// The whole.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The issuer's URL: every token's `iss`, and where the metadata is found below. Fixed once tokens are out.
    pub issuer_url: String,
    /// Where the database and the key-encryption key are, unless their own keys say otherwise.
    #[schemars(extend("default" = "$XDG_DATA_HOME/tessera"))]
    pub data_dir: PathBuf,
    /// `[listen]`.
    pub listen: Listen<6400, 6401, 6409>,
    /// `[tls]`.
    pub tls: Tls,
    /// `[database]`.
    pub database: Database,
    /// `[secrets]`.
    pub secrets: Secrets,
    /// `[keys]`.
    pub keys: Keys,
    /// `[tokens]`.
    pub tokens: Tokens,
    /// `[sessions]`.
    pub sessions: Sessions,
    /// `[cors]`.
    pub cors: Cors,
    /// `[proxy]`.
    pub proxy: Proxy,
    /// `[dialects]`.
    pub dialects: Dialects,
    /// `[introspection]`.
    pub introspection: Introspection,
    /// `[sync]`.
    pub sync: Sync,
    /// `[cleanup]`.
    pub cleanup: Cleanup,
    /// `[audit]`.
    pub audit: Audit,
    /// `[limits]`.
    pub limits: Limits,
    /// `[applications]`.
    pub applications: Applications,
    /// `[stop]`.
    pub stop: Stopping,
    /// `[mail]`.
    pub mail: Mail,
    /// `[log]`.
    pub log: Log,
    /// `[telemetry]`.
    pub telemetry: Telemetry,
}

/// `[database]`. Its `Debug` shows no password.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Database {
    /// `sqlite://PATH?mode=rwc` or `postgres://…`; empty means `tessera.db` in `data_dir`.
    pub url: String,
    /// How many connections at most: 1 to 1000.
    pub max_connections: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let location = tessera_store::DatabaseOptions::new(self.url.as_str()).location();
        f.debug_struct("Database").field("url", &location).field("max_connections", &self.max_connections).finish()
    }
}

/// `[secrets]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Secrets {
    /// The key-encryption key: a file with 32 random bytes in base64, mode 0600. Empty means `kek` in `data_dir`, made at the first
    /// start.
    pub kek_file: PathBuf,
    /// Older key-encryption keys, while something is sealed under them: they open, and seal nothing. `tessera key rewrap` seals it anew
    /// under `kek_file`.
    pub old_kek_files: Vec<PathBuf>,
}

/// `[tokens]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tokens {
    /// How long access tokens live where the client says nothing: 1 s to 24 h.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub access_ttl: Duration,
    /// `RS256`, `ES256` or `EdDSA`. Another than before makes a new key; tokens under the old one stay good.
    pub signing_alg: String,
    /// The audience of clients that were created without one.
    pub default_audience: String,
    /// How long an authorization code may be redeemed: 1 s to 60 s.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub code_ttl: Duration,
    /// How long a refresh token lives that is not used: 1 m to 400 days.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub refresh_ttl: Duration,
    /// How long a grant can be refreshed, however often it is: `refresh_ttl` to 10 years.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub refresh_absolute_ttl: Duration,
    /// How long a spent refresh token still gets the one that followed it, for clients that lost the answer: 0 s to 60 s. Later it
    /// ends its grant.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub refresh_reuse_grace: Duration,
    /// Whether the password grant (RFC 6749 section 4.3) is on, for the clients that were given it. RFC 9700 advises against it.
    pub password_grant: bool,
    /// Whether confidential clients must use PKCE too. Public ones always must.
    pub require_pkce: bool,
}

/// `[sessions]`: of people, at the issuer's own pages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sessions {
    /// How long a session lives that is not used: 1 m to 400 days.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub ttl: Duration,
    /// How long a session lives, however often it is used: `ttl` to 400 days.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub absolute_ttl: Duration,
    /// Whether consent is remembered for public clients whose redirect URI is not of the scheme https, too: any program on the user's
    /// machine can call itself such a client (RFC 8252 section 8.6).
    pub remember_native_consent: bool,
}

/// `[introspection]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Introspection {
    /// The audience of tokens with which resource servers call introspection. The introspectors' must be the same.
    pub audience: String,
    /// The URL of an introspector's `/oauth2/introspect`, for the metadata; empty names the issuer's own.
    pub endpoint: String,
}

/// `[proxy]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Proxy {
    /// The networks of the proxies in front, for instance `10.0.0.0/8`: what they say in `X-Forwarded-For` and `X-Forwarded-Proto` is
    /// believed. Nobody else is.
    pub trusted_cidrs: Vec<String>,
}

/// `[cors]`: which sites' scripts may call the endpoints that clients use (the Fetch standard). None by default.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cors {
    /// Origins, each as a browser sends it: `https://app.example.com`, with a port where it is not the scheme's own.
    pub origins: Vec<String>,
}

/// `[sync]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sync {
    /// How long a revocation waits for introspectors before it is reported as unconfirmed. Longer than their `max_staleness`, a
    /// quarter more and a second, or every crash of an introspector shows as one.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub confirm_within: Duration,
}

/// `[cleanup]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cleanup {
    /// How often what is over is deleted: 1 s to 1 h.
    #[serde(with = "tessera_kit::config::duration")]
    #[schemars(with = "tessera_kit::config::Span")]
    pub interval: Duration,
    /// How many rows one transaction deletes at most: 1 to 10000.
    pub batch: u64,
    /// How many of the log's newest entries are kept: 1000 to 1000000000. An introspector that is further behind gets a snapshot.
    pub keep_log: u64,
}

/// `[limits]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// How many connections each of HTTP, gRPC and ops takes: 1 to 1000000. More are closed at once.
    pub connections: usize,
    /// How many slow hashes of clients' secrets run at once: at most 1024; 0 means one for each core.
    pub password_checks: usize,
    /// How many slow hashes of people's passwords run at once: at most 1024; 0 means one for every second core.
    pub login_checks: usize,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A development default; production always names its own.
const DEFAULT_ISSUER_URL: &str = "http://127.0.0.1:6400";

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer_url: DEFAULT_ISSUER_URL.to_owned(),
            data_dir: default_data_dir(),
            listen: Listen::default(),
            tls: Tls::default(),
            database: Database::default(),
            secrets: Secrets::default(),
            keys: Keys::default(),
            tokens: Tokens::default(),
            sessions: Sessions::default(),
            cors: Cors::default(),
            proxy: Proxy::default(),
            dialects: Dialects::default(),
            introspection: Introspection::default(),
            sync: Sync::default(),
            cleanup: Cleanup::default(),
            audit: Audit::default(),
            limits: Limits::default(),
            applications: Applications::default(),
            stop: Stopping::default(),
            mail: Mail::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS, password_checks: 0, login_checks: 0 }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: String::new(), max_connections: 16 }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(3600),
            signing_alg: Algorithm::Rs256.to_string(),
            default_audience: "demo-resource".to_owned(),
            code_ttl: Duration::from_secs(60),
            refresh_ttl: 30 * DAY,
            refresh_absolute_ttl: 365 * DAY,
            refresh_reuse_grace: Duration::from_secs(10),
            password_grant: false,
            require_pkce: false,
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self { ttl: 7 * DAY, absolute_ttl: 30 * DAY, remember_native_consent: true }
    }
}

impl Default for Introspection {
    fn default() -> Self {
        Self { audience: "tessera-introspector".to_owned(), endpoint: String::new() }
    }
}

impl Default for Sync {
    fn default() -> Self {
        Self { confirm_within: Duration::from_secs(8) }
    }
}

impl Default for Cleanup {
    fn default() -> Self {
        Self { interval: Duration::from_mins(1), batch: 1000, keep_log: 100_000 }
    }
}

/// Reads the configuration from a file, where one is named, and the environment.
///
/// # Errors
/// Every mistake in it.
pub fn load(file: Option<PathBuf>) -> Result<Config, ConfigErrors> {
    load_with_origins(file).map(|loaded| loaded.value)
}

/// The same, and where each value came from.
///
/// # Errors
/// Every mistake in it.
pub fn load_with_origins(file: Option<PathBuf>) -> Result<Loaded<Config>, ConfigErrors> {
    let sources = file.into_iter().fold(Sources::new(), Sources::file).with_data_dir().environment();
    tessera_kit::config::load_checked(&sources, |config: &Config| {
        config.check().err().map(|ConfigErrors(errors)| errors).unwrap_or_default()
    })
}

/// `$XDG_DATA_HOME/tessera`, or where that is by default.
fn default_data_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("tessera")
}
