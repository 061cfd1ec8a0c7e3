//! Showing a configuration to people: every value, where it came from, and no secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

/// One key, its value and where that came from. Secrets are hidden, also within URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The key, dotted.
    pub key: String,
    /// The value, as TOML.
    pub value: String,
    /// A file with its line, an environment variable, or `default`.
    pub origin: String,
}

/// Every key.
///
/// # Errors
/// Where the type cannot be written as TOML.
pub fn settings<T: Serialize>(value: &T, origins: &BTreeMap<String, String>) -> Result<Vec<Setting>, toml::ser::Error> {
    let mut found = Vec::new();
    leaves("", &toml::Value::try_from(value)?, &mut |key, value| {
        let origin = origins.get(key).map_or("default", String::as_str).to_owned();
        found.push(Setting { key: key.to_owned(), value: shown(key, value), origin });
    });
    Ok(found)
}

/// One line per key: `key = value  # origin`. Secrets are hidden, also within URLs.
///
/// # Errors
/// Where the type cannot be written as TOML.
pub fn dump<T: Serialize>(value: &T, origins: &BTreeMap<String, String>) -> Result<String, toml::ser::Error> {
    let mut text = String::new();
    for Setting { key, value, origin } in settings(value, origins)? {
        let _ = writeln!(text, "{key} = {value}  # {origin}");
    }
    Ok(text)
}

/// The keys whose values differ, secrets among them.
///
/// # Errors
/// Where the type cannot be written as TOML.
pub fn changed<T: Serialize>(before: &T, now: &T) -> Result<Vec<String>, toml::ser::Error> {
    let flat = |value: &T| -> Result<BTreeMap<String, String>, toml::ser::Error> {
        let mut flat = BTreeMap::new();
        leaves("", &toml::Value::try_from(value)?, &mut |key, value| {
            flat.insert(key.to_owned(), value.to_string());
        });
        Ok(flat)
    };
    let (before, now) = (flat(before)?, flat(now)?);
    let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    Ok(keys.into_iter().filter(|key| before.get(*key) != now.get(*key)).cloned().collect())
}

fn leaves(path: &str, value: &toml::Value, visit: &mut impl FnMut(&str, &toml::Value)) {
    let toml::Value::Table(table) = value else { return visit(path, value) };
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        leaves(&path, value, visit);
    }
}

fn shown(key: &str, value: &toml::Value) -> String {
    match value {
        _ if is_secret(key) => "\"…\"".to_owned(),
        toml::Value::String(text) => toml::Value::String(without_password(text)).to_string(),
        other => other.to_string(),
    }
}

/// Whether a key's value is a secret itself, not the name of a file that holds one.
pub(super) fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    !last.ends_with("_file") && ["secret", "password", "private_key"].iter().any(|word| last.contains(word))
}

/// `scheme://user:password@host?password=…` without the passwords.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, format!("?{}", query.split('&').map(shown_pair).collect::<Vec<_>>().join("&"))),
        None => (rest, String::new()),
    };
    format!("{scheme}://{}{query}", without_user_password(rest))
}

fn shown_pair(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) if is_secret(&name.to_ascii_lowercase()) => format!("{name}=…"),
        _ => pair.to_owned(),
    }
}

fn without_user_password(rest: &str) -> String {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((user_info, _)) = authority.rsplit_once('@') else { return rest.to_owned() };
    let Some((user, _)) = user_info.split_once(':') else { return rest.to_owned() };
    format!("{user}:…{}", &rest[user_info.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Config {
        issuer_url: &'static str,
        database: Database,
        sync: Sync,
    }
    #[derive(Serialize)]
    struct Database {
        url: &'static str,
    }
    #[derive(Serialize)]
    struct Sync {
        client_secret: &'static str,
        client_secret_file: &'static str,
    }

    #[test]
    fn no_password_of_a_url_is_shown_wherever_it_stands() {
        for (url, expected) in [
            ("postgres://db/t?user=t&password=hunter2", "postgres://db/t?user=t&password=…"),
            (
                "postgres://u:hunter2@db/t?sslmode=require&sslpassword=hunter3",
                "postgres://u:…@db/t?sslmode=require&sslpassword=…",
            ),
            ("postgres://db/t?Password=hunter2", "postgres://db/t?Password=…"),
            ("https://id.example.com/a?b=c@d", "https://id.example.com/a?b=c@d"),
        ] {
            assert_eq!(without_password(url), expected);
        }
    }

    #[test]
    fn values_are_shown_with_their_origin_and_secrets_are_not() {
        let config = Config {
            issuer_url: "http://127.0.0.1:6400",
            database: Database { url: "postgres://tessera:hunter2@db/tessera?x=y@z" },
            sync: Sync { client_secret: "hunter3", client_secret_file: "/run/secret" },
        };
        let origins = BTreeMap::from([("database.url".to_owned(), "tessera.toml:4".to_owned())]);
        insta::assert_snapshot!(dump(&config, &origins).expect("TOML"), @r#"
        database.url = "postgres://tessera:…@db/tessera?x=y@z"  # tessera.toml:4
        issuer_url = "http://127.0.0.1:6400"  # default
        sync.client_secret = "…"  # default
        sync.client_secret_file = "/run/secret"  # default
        "#);
    }
}
