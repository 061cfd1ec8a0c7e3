//! The issuer's configuration: one struct per section, parsed once in `main`, passed down.

mod dialects;

pub use dialects::{Dialect, Dialects};

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tessera_kit::config::{ConfigError, ConfigErrors, Listen, Log, Sources};
use tessera_types::{Algorithm, Audience};

/// The whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The issuer's URL: every token's `iss`, and where the metadata is found below. Fixed once tokens are out.
    pub issuer_url: String,
    /// Where the database and the key-encryption key are, unless their own keys say otherwise.
    pub data_dir: PathBuf,
    /// `[listen]`.
    pub listen: Listen<6400, 6401, 6409>,
    /// `[database]`.
    pub database: Database,
    /// `[secrets]`.
    pub secrets: Secrets,
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
    /// `[limits]`.
    pub limits: Limits,
    /// `[log]`.
    pub log: Log,
}

/// `[database]`. Its `Debug` shows no password.
#[derive(Clone, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// The key-encryption key: a file with 32 random bytes in base64, mode 0600. Empty means `kek` in `data_dir`, made at the first
    /// start.
    pub kek_file: PathBuf,
}

/// `[tokens]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// How long access tokens live where the client says nothing: 1 s to 24 h.
    #[serde(with = "tessera_kit::config::duration")]
    pub access_ttl: Duration,
    /// `RS256`, `ES256` or `EdDSA`. Another than before makes a new key; tokens under the old one stay good.
    pub signing_alg: String,
    /// The audience of clients that were created without one.
    pub default_audience: String,
    /// How long an authorization code may be redeemed: 1 s to 60 s.
    #[serde(with = "tessera_kit::config::duration")]
    pub code_ttl: Duration,
    /// How long a refresh token lives that is not used: 1 m to 400 days.
    #[serde(with = "tessera_kit::config::duration")]
    pub refresh_ttl: Duration,
    /// How long a grant can be refreshed, however often it is: `refresh_ttl` to 10 years.
    #[serde(with = "tessera_kit::config::duration")]
    pub refresh_absolute_ttl: Duration,
    /// How long a spent refresh token still gets the one that followed it, for clients that lost the answer: 0 s to 60 s. Later it
    /// ends its grant.
    #[serde(with = "tessera_kit::config::duration")]
    pub refresh_reuse_grace: Duration,
    /// Whether the password grant (RFC 6749 section 4.3) is on, for the clients that were given it. RFC 9700 advises against it.
    pub password_grant: bool,
    /// Whether confidential clients must use PKCE too. Public ones always must.
    pub require_pkce: bool,
}

/// `[sessions]`: of people, at the issuer's own pages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Sessions {
    /// How long a session lives that is not used: 1 m to 400 days.
    #[serde(with = "tessera_kit::config::duration")]
    pub ttl: Duration,
    /// How long a session lives, however often it is used: `ttl` to 400 days.
    #[serde(with = "tessera_kit::config::duration")]
    pub absolute_ttl: Duration,
}

/// `[introspection]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Introspection {
    /// The audience of tokens with which resource servers call introspection. The introspectors' must be the same.
    pub audience: String,
    /// The URL of an introspector's `/oauth2/introspect`, for the metadata; empty names the issuer's own.
    pub endpoint: String,
}

/// `[proxy]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Proxy {
    /// The networks of the proxies in front, for instance `10.0.0.0/8`: what they say in `X-Forwarded-For` and `X-Forwarded-Proto` is
    /// believed. Nobody else is.
    pub trusted_cidrs: Vec<String>,
}

/// `[cors]`: which sites' scripts may call the endpoints that clients use (the Fetch standard). None by default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cors {
    /// Origins, each as a browser sends it: `https://app.example.com`, with a port where it is not the scheme's own.
    pub origins: Vec<String>,
}

/// `[sync]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Sync {
    /// How long a revocation waits for introspectors before it is reported as unconfirmed. Longer than their `max_staleness`, a
    /// quarter more and a second, or every crash of an introspector shows as one.
    #[serde(with = "tessera_kit::config::duration")]
    pub confirm_within: Duration,
}

/// `[cleanup]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Cleanup {
    /// How often what is over is deleted: 1 s to 1 h.
    #[serde(with = "tessera_kit::config::duration")]
    pub interval: Duration,
    /// How many rows one transaction deletes at most: 1 to 10000.
    pub batch: u64,
    /// How many of the log's newest entries are kept: 1000 to 1000000000. An introspector that is further behind gets a snapshot.
    pub keep_log: u64,
}

/// `[limits]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
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
            database: Database::default(),
            secrets: Secrets::default(),
            tokens: Tokens::default(),
            sessions: Sessions::default(),
            cors: Cors::default(),
            proxy: Proxy::default(),
            dialects: Dialects::default(),
            introspection: Introspection::default(),
            sync: Sync::default(),
            cleanup: Cleanup::default(),
            limits: Limits::default(),
            log: Log::default(),
        }
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
        Self { ttl: 7 * DAY, absolute_ttl: 30 * DAY }
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

/// What the configuration says, checked. It holds the database's password, and so has no `Debug`.
#[derive(Clone)]
pub struct Checked {
    /// See [`Config::issuer_url`].
    pub issuer_url: String,
    /// The issuer's URL as an audience.
    pub issuer_audience: Audience,
    /// See [`Introspection::audience`].
    pub introspection_audience: Audience,
    /// See [`Introspection::endpoint`].
    pub introspection_endpoint: Option<String>,
    /// See [`Tokens::default_audience`].
    pub default_audience: Audience,
    /// See [`Proxy::trusted_cidrs`].
    pub trusted_proxies: Vec<IpNet>,
    /// See [`Tokens::signing_alg`].
    pub signing_alg: Algorithm,
    /// See [`Database::url`].
    pub database_url: String,
    /// See [`Secrets::kek_file`].
    pub kek_file: PathBuf,
    /// Whether the key-encryption key may be made where it is missing: only at its default place.
    pub make_kek: bool,
}

/// Reads the configuration from a file, where one is named, and the environment.
///
/// # Errors
/// Every mistake in it.
pub fn load(file: Option<PathBuf>) -> Result<Config, ConfigErrors> {
    let sources = match file {
        Some(file) => Sources::new().file(file),
        None => Sources::new(),
    };
    let mut config: Config = tessera_kit::config::load(&sources.environment())?;
    // Not a key of the introspector's too, and so not one of `load`'s.
    if let Some(folder) = std::env::var_os("TESSERA_DATA_DIR").filter(|folder| !folder.is_empty()) {
        config.data_dir = folder.into();
    }
    config.check()?;
    Ok(config)
}

impl Config {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// Every value that is out of bounds.
    pub fn check(&self) -> Result<Checked, ConfigErrors> {
        let mut errors = Vec::new();
        let mut wrong = |key: &str, message: &str| {
            errors.push(ConfigError {
                origin: "configuration".to_owned(),
                key: key.to_owned(),
                message: message.to_owned(),
            });
        };
        let url_ok = is_issuer_url(&self.issuer_url);
        if !url_ok {
            wrong("issuer_url", "an http or https URL with a host, without query, fragment and a slash at its end");
        }
        let second = Duration::from_secs(1);
        let spans = [
            ("tokens.access_ttl", self.tokens.access_ttl, second..=DAY, "1s to 24h"),
            ("tokens.code_ttl", self.tokens.code_ttl, second..=60 * second, "1s to 60s"),
            ("tokens.refresh_ttl", self.tokens.refresh_ttl, 60 * second..=400 * DAY, "1m to 400d"),
            (
                "tokens.refresh_absolute_ttl",
                self.tokens.refresh_absolute_ttl,
                self.tokens.refresh_ttl..=3660 * DAY,
                "refresh_ttl to 3660d",
            ),
            ("tokens.refresh_reuse_grace", self.tokens.refresh_reuse_grace, Duration::ZERO..=60 * second, "0s to 60s"),
            ("sessions.ttl", self.sessions.ttl, 60 * second..=400 * DAY, "1m to 400d"),
            ("sessions.absolute_ttl", self.sessions.absolute_ttl, self.sessions.ttl..=400 * DAY, "ttl to 400d"),
        ];
        for (key, value, bounds, message) in spans {
            if !bounds.contains(&value) {
                wrong(key, message);
            }
        }
        if !(1..=1000).contains(&self.database.max_connections) {
            wrong("database.max_connections", "1 to 1000");
        }
        if self.sync.confirm_within.is_zero() || self.sync.confirm_within > Duration::from_secs(300) {
            wrong("sync.confirm_within", "more than 0s, at most 5m");
        }
        for (key, at_once) in
            [("limits.password_checks", self.limits.password_checks), ("limits.login_checks", self.limits.login_checks)]
        {
            if at_once > 1024 {
                wrong(key, "0 to 1024");
            }
        }
        if self.cors.origins.iter().any(|origin| !is_origin(origin)) {
            wrong(
                "cors.origins",
                "origins as browsers send them, for instance https://app.example.com; no path, no *, no null",
            );
        }
        if self.cleanup.interval < Duration::from_secs(1) || self.cleanup.interval > Duration::from_hours(1) {
            wrong("cleanup.interval", "1s to 1h");
        }
        if !(1..=10_000).contains(&self.cleanup.batch) {
            wrong("cleanup.batch", "1 to 10000");
        }
        if !(1000..=1_000_000_000).contains(&self.cleanup.keep_log) {
            wrong("cleanup.keep_log", "1000 to 1000000000");
        }
        let endpoint = Some(self.introspection.endpoint.clone()).filter(|url| !url.is_empty());
        if endpoint.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            wrong(
                "introspection.endpoint",
                "an http or https URL, for instance https://introspect.example.com/oauth2/introspect",
            );
        }
        let trusted_proxies: Result<Vec<IpNet>, _> =
            self.proxy.trusted_cidrs.iter().map(|text| network(text)).collect();
        if trusted_proxies.is_err() {
            wrong("proxy.trusted_cidrs", "networks such as 10.0.0.0/8, or addresses");
        }
        let signing_alg = self.tokens.signing_alg.parse();
        if signing_alg.is_err() {
            wrong("tokens.signing_alg", "RS256, ES256 or EdDSA");
        }
        let mut audience = |text: &str, key: &str| match text.parse::<Audience>() {
            Ok(audience) => Some(audience),
            Err(error) => {
                wrong(key, &error.to_string());
                None
            }
        };
        let issuer_audience = audience(&self.issuer_url, "issuer_url");
        let introspection_audience = audience(&self.introspection.audience, "introspection.audience");
        let default_audience = audience(&self.tokens.default_audience, "tokens.default_audience");
        match (issuer_audience, introspection_audience, default_audience, signing_alg) {
            (Some(issuer), Some(introspection), Some(default), Ok(signing_alg)) if errors.is_empty() => Ok(Checked {
                issuer_url: self.issuer_url.clone(),
                issuer_audience: issuer,
                introspection_audience: introspection,
                introspection_endpoint: endpoint,
                default_audience: default,
                trusted_proxies: trusted_proxies.unwrap_or_default(),
                signing_alg,
                database_url: self.database_url(),
                make_kek: self.secrets.kek_file.as_os_str().is_empty(),
                kek_file: self.kek_file(),
            }),
            _ => Err(ConfigErrors(errors)),
        }
    }

    fn database_url(&self) -> String {
        if self.database.url.is_empty() {
            format!("sqlite://{}?mode=rwc", self.data_dir.join("tessera.db").display())
        } else {
            self.database.url.clone()
        }
    }

    fn kek_file(&self) -> PathBuf {
        if self.secrets.kek_file.as_os_str().is_empty() {
            self.data_dir.join("kek")
        } else {
            self.secrets.kek_file.clone()
        }
    }
}

/// A network, or an address alone.
fn network(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    text.parse().or_else(|error| text.parse::<std::net::IpAddr>().map(IpNet::from).map_err(|_| error))
}

/// An origin in the form browsers send (RFC 6454 section 6.2): scheme, host and port in lower case, and nothing after.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
        !rest.is_empty() && rest.bytes().all(good)
    })
}

/// RFC 8414 section 2: a URL without query and fragment. Plain http is for loopback and for what stands behind a proxy.
fn is_issuer_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && !host.contains('@') && !url.contains(['?', '#', ' ']) && !url.ends_with('/')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        let checked = Config::default().check().expect("valid");
        assert_eq!(checked.issuer_audience.as_str(), DEFAULT_ISSUER_URL);
        assert!(checked.make_kek);
    }

    #[test]
    fn debug_shows_no_password() {
        let mut config = Config::default();
        config.database.url = "postgres://tessera:hunter2@db.example/tessera".to_owned();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let mut config = Config { issuer_url: "https://a.example/?x".to_owned(), ..Config::default() };
        config.tokens.access_ttl = Duration::ZERO;
        config.tokens.signing_alg = "HS256".to_owned();
        config.introspection.audience = "two words".to_owned();
        config.limits.login_checks = 1025;
        config.cleanup = Cleanup { interval: Duration::from_millis(10), batch: 0, keep_log: 999 };
        let errors = config.check().err().expect("eight mistakes");
        let keys: Vec<&str> = errors.0.iter().map(|error| error.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "issuer_url",
                "tokens.access_ttl",
                "limits.login_checks",
                "cleanup.interval",
                "cleanup.batch",
                "cleanup.keep_log",
                "tokens.signing_alg",
                "introspection.audience",
            ]
        );
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for good in ["https://app.example", "http://127.0.0.1:3000", "https://[::1]:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["", "*", "null", "app.example", "https://", "https://a.example/", "https://A.example", "https://*.a"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn an_issuer_url_has_a_host_and_nothing_after_its_path() {
        for good in ["https://id.example.com", "http://127.0.0.1:6400", "https://example.com/auth"] {
            assert!(is_issuer_url(good), "{good}");
        }
        for bad in
            ["", "id.example.com", "ftp://a", "https://", "https:///x", "https://a/", "https://a?b", "https://u@a"]
        {
            assert!(!is_issuer_url(bad), "{bad}");
        }
    }
}
