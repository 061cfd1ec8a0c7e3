//! Whether the configuration is within its bounds, and what follows from it.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tessera_kit::config::{ConfigError, ConfigErrors, MappedIdentity, connections_mistake};
use tessera_kit::tls::Identities;
use tessera_store::DatabaseOptions;
use tessera_types::scope::reserved;
use tessera_types::{Algorithm, Audience, ScopeSet};

use super::Config;
use crate::mail::MailOptions;
use crate::operations::access::Holder;
use crate::operations::keys::{KeyPolicy, Schedule};

/// What the configuration says, checked. It holds the database's password, and so has no `Debug`.
#[derive(Clone)]
pub struct Checked {
    /// See [`Config::issuer_url`](super::Config::issuer_url).
    pub issuer_url: String,
    /// The issuer's URL as an audience.
    pub issuer_audience: Audience,
    /// See [`Introspection::audience`](super::Introspection::audience).
    pub introspection_audience: Audience,
    /// See [`Introspection::endpoint`](super::Introspection::endpoint).
    pub introspection_endpoint: Option<String>,
    /// See [`Tokens::default_audience`](super::Tokens::default_audience).
    pub default_audience: Audience,
    /// See [`Proxy::trusted_cidrs`](super::Proxy::trusted_cidrs).
    pub trusted_proxies: Vec<IpNet>,
    /// See [`Keys`](super::Keys) and [`Tokens::signing_alg`](super::Tokens::signing_alg).
    pub keys: KeyPolicy,
    /// See [`Applications::scopes`](super::Applications::scopes).
    pub owner_scopes: ScopeSet,
    /// See [`Mail`](super::Mail); none where it is off.
    pub mail: Option<MailOptions>,
    /// See [`Database::url`](super::Database::url).
    pub database_url: String,
    /// See [`Secrets::kek_file`](super::Secrets::kek_file).
    pub kek_file: PathBuf,
    /// See [`Secrets::old_kek_files`](super::Secrets::old_kek_files).
    pub old_kek_files: Vec<PathBuf>,
    /// Who the holders of certificates are, by name.
    pub identities: Identities<Holder>,
    /// Whether the key-encryption key may be made where it is missing: only at its default place.
    pub make_kek: bool,
}

impl Config {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// Every value that is out of bounds.
    pub fn check(&self) -> Result<Checked, ConfigErrors> {
        let mut wrong = Mistakes::default();
        wrong.unless(
            is_issuer_url(&self.issuer_url),
            "issuer_url",
            "an http or https URL with a host, without query, fragment and a slash at its end",
        );
        self.check_spans(&mut wrong);
        self.check_counts(&mut wrong);
        wrong.0.extend(self.stop.mistakes());
        wrong.0.extend(self.log.mistakes());
        wrong.0.extend(self.listen.mistakes());
        wrong.0.extend(connections_mistake(self.limits.connections));
        wrong.unless(
            self.cors.origins.iter().all(|origin| is_origin(origin)),
            "cors.origins",
            "origins as browsers send them, for instance https://app.example.com; no path, no *, no null",
        );
        wrong.0.extend(self.telemetry.mistakes());
        let endpoint = Some(self.introspection.endpoint.clone()).filter(|url| !url.is_empty());
        wrong.unless(
            endpoint.as_ref().is_none_or(|url| url.starts_with("http://") || url.starts_with("https://")),
            "introspection.endpoint",
            "an http or https URL, for instance https://introspect.example.com/oauth2/introspect",
        );
        let networks: Option<Vec<IpNet>> = self.proxy.trusted_cidrs.iter().map(|text| network(text)).collect();
        wrong.unless(networks.is_some(), "proxy.trusted_cidrs", "networks such as 10.0.0.0/8, or addresses");
        self.keys.check(self.tokens.access_ttl, &mut wrong);
        wrong.unless(
            !self.secrets.old_kek_files.iter().any(|path| path.as_os_str().is_empty()),
            "secrets.old_kek_files",
            "paths of key-encryption keys, or an empty list",
        );
        let owner_scopes = self.applications.check(&mut wrong);
        wrong.0.extend(self.tls.mistakes(&self.listen.listeners()));
        let (identities, mistakes) = self.identities();
        wrong.0.extend(mistakes);
        if let Err(error) = DatabaseOptions::new(self.database_url()).check() {
            wrong.told("database.url", error.to_string());
        }
        let mail = self.mail.check(&self.data_dir, &mut wrong);
        let signing_alg: Option<Algorithm> = self.tokens.signing_alg.parse().ok();
        wrong.unless(signing_alg.is_some(), "tokens.signing_alg", "RS256, ES256 or EdDSA");
        let issuer = wrong.audience(&self.issuer_url, "issuer_url");
        let introspection = wrong.audience(&self.introspection.audience, "introspection.audience");
        let default = wrong.audience(&self.tokens.default_audience, "tokens.default_audience");
        match (issuer, introspection, default, signing_alg, networks) {
            (Some(issuer), Some(introspection), Some(default), Some(signing_alg), Some(networks))
                if wrong.0.is_empty() =>
            {
                Ok(Checked {
                    issuer_url: self.issuer_url.clone(),
                    issuer_audience: issuer,
                    introspection_audience: introspection,
                    introspection_endpoint: endpoint,
                    default_audience: default,
                    owner_scopes,
                    mail,
                    trusted_proxies: networks,
                    identities,
                    keys: self.key_policy(signing_alg),
                    database_url: self.database_url(),
                    make_kek: self.secrets.kek_file.as_os_str().is_empty(),
                    kek_file: self.kek_file(),
                    old_kek_files: self.secrets.old_kek_files.clone(),
                })
            }
            _ => Err(ConfigErrors(wrong.0)),
        }
    }

    /// Who the holders of certificates are, and what is wrong with that.
    pub(crate) fn identities(&self) -> (Identities<Holder>, Vec<ConfigError>) {
        self.tls.identities(holder)
    }

    fn check_spans(&self, wrong: &mut Mistakes) {
        const SECOND: Duration = Duration::from_secs(1);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let (tokens, sessions) = (&self.tokens, &self.sessions);
        let spans = [
            ("tokens.access_ttl", tokens.access_ttl, SECOND..=DAY, "1s to 24h"),
            ("tokens.code_ttl", tokens.code_ttl, SECOND..=60 * SECOND, "1s to 60s"),
            ("tokens.refresh_ttl", tokens.refresh_ttl, 60 * SECOND..=400 * DAY, "1m to 400d"),
            (
                "tokens.refresh_absolute_ttl",
                tokens.refresh_absolute_ttl,
                tokens.refresh_ttl..=3660 * DAY,
                "refresh_ttl to 3660d",
            ),
            ("tokens.refresh_reuse_grace", tokens.refresh_reuse_grace, Duration::ZERO..=60 * SECOND, "0s to 60s"),
            ("sessions.ttl", sessions.ttl, 60 * SECOND..=400 * DAY, "1m to 400d"),
            ("sessions.absolute_ttl", sessions.absolute_ttl, sessions.ttl..=400 * DAY, "ttl to 400d"),
            (
                "sync.confirm_within",
                self.sync.confirm_within,
                Duration::from_nanos(1)..=300 * SECOND,
                "more than 0s, at most 5m",
            ),
            ("cleanup.interval", self.cleanup.interval, SECOND..=3600 * SECOND, "1s to 1h"),
        ];
        for (key, value, bounds, message) in spans {
            wrong.unless(bounds.contains(&value), key, message);
        }
        wrong.unless(self.audit.is_sound(), "audit.keep", "1d to 3660d, or 0s for ever");
    }

    fn check_counts(&self, wrong: &mut Mistakes) {
        let at_once = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let counts = [
            ("database.max_connections", u64::from(self.database.max_connections), 1..=1000, "1 to 1000"),
            ("limits.password_checks", at_once(self.limits.password_checks), 0..=1024, "0 to 1024"),
            ("limits.login_checks", at_once(self.limits.login_checks), 0..=1024, "0 to 1024"),
            ("cleanup.batch", self.cleanup.batch, 1..=10_000, "1 to 10000"),
            ("cleanup.keep_log", self.cleanup.keep_log, 1000..=1_000_000_000, "1000 to 1000000000"),
        ];
        for (key, value, bounds, message) in counts {
            wrong.unless(bounds.contains(&value), key, message);
        }
    }

    fn database_url(&self) -> String {
        if self.database.url.is_empty() {
            format!("sqlite://{}?mode=rwc", self.data_dir.join("tessera.db").display())
        } else {
            self.database.url.clone()
        }
    }

    fn key_policy(&self, algorithm: Algorithm) -> KeyPolicy {
        let files = self.keys.files();
        let schedule = Schedule {
            // Keys from files follow one another when the operator says so.
            rotate_after: Some(self.keys.rotate_after).filter(|span| !span.is_zero() && files.is_none()),
            publish_for: self.keys.publish_for,
            retire_after: self.keys.retire_after,
        };
        KeyPolicy { algorithm, files, schedule }
    }

    fn kek_file(&self) -> PathBuf {
        if self.secrets.kek_file.as_os_str().is_empty() {
            self.data_dir.join("kek")
        } else {
            self.secrets.kek_file.clone()
        }
    }
}

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Mistakes(pub(super) Vec<ConfigError>);

impl Mistakes {
    /// What the value must be, unless it is right.
    pub(super) fn unless(&mut self, right: bool, key: &str, what: &str) {
        if !right {
            self.told(key, format!("must be {what}"));
        }
    }

    pub(super) fn told(&mut self, key: &str, message: String) {
        self.0.push(ConfigError { origin: String::new(), key: key.to_owned(), message });
    }

    fn audience(&mut self, text: &str, key: &str) -> Option<Audience> {
        match text.parse() {
            Ok(audience) => Some(audience),
            Err(error) => {
                let error: tessera_types::audience::InvalidAudience = error;
                self.told(key, error.to_string());
                None
            }
        }
    }
}

/// What a certificate may stand for: what clients' own tokens do, and people's never (security.md, item 44).
const CERTIFIABLE: [&str; 3] = [reserved::ADMIN, reserved::ADMIN_READ, reserved::SYNC];

fn holder(entry: &MappedIdentity) -> Result<Holder, &'static str> {
    let known = |scope: &String| CERTIFIABLE.into_iter().find(|known| known == scope);
    let scopes: Option<Vec<_>> = entry.scopes.iter().map(known).collect();
    let scopes = scopes
        .ok_or("has a scope that a certificate cannot have: tessera.admin, tessera.admin.read or tessera.sync")?;
    let client = entry.client()?;
    if scopes.is_empty() && client.is_none() {
        return Err(
            "needs scopes (tessera.admin, tessera.admin.read or tessera.sync), or a client_id: the client whose resources its holder may ask about",
        );
    }
    Ok(Holder { scopes, client })
}

/// A network, or an address alone.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Cleanup, Config, DEFAULT_ISSUER_URL};

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
        config.audit.keep = Duration::from_secs(1);
        let errors = config.check().err().expect("nine mistakes");
        let keys: Vec<&str> = errors.0.iter().map(|error| error.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "issuer_url",
                "tokens.access_ttl",
                "cleanup.interval",
                "audit.keep",
                "limits.login_checks",
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
