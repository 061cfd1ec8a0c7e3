//! Showing a configuration to people: every value, where it came from, and no secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

/// One line per key: `key = value  # origin`. Secrets are hidden, also within URLs.
///
/// # Errors
/// Where the type cannot be written as TOML.
pub fn dump<T: Serialize>(value: &T, origins: &BTreeMap<String, String>) -> Result<String, toml::ser::Error> {
    let mut text = String::new();
    show("", &toml::Value::try_from(value)?, origins, &mut text);
    Ok(text)
}

fn show(path: &str, value: &toml::Value, origins: &BTreeMap<String, String>, text: &mut String) {
    if let toml::Value::Table(table) = value {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            show(&path, value, origins, text);
        }
        return;
    }
    let shown = match value {
        _ if is_secret(path) => "\"…\"".to_owned(),
        toml::Value::String(text) => toml::Value::String(without_password(text)).to_string(),
        other => other.to_string(),
    };
    let origin = origins.get(path).map_or("default", String::as_str);
    let _ = writeln!(text, "{path} = {shown}  # {origin}");
}

/// Whether a key's value is a secret itself, not the name of a file that holds one.
pub(super) fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    !last.ends_with("_file") && ["secret", "password", "private_key"].iter().any(|word| last.contains(word))
}

/// `scheme://user:password@host` without the password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let Some((user_info, _)) = authority.rsplit_once('@') else { return text.to_owned() };
    let Some((user, _)) = user_info.split_once(':') else { return text.to_owned() };
    format!("{scheme}://{user}:…{}", &rest[user_info.len()..])
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
