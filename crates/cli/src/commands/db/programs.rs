//! PostgreSQL's own programs, `pg_dump` and `pg_restore`: how they are told where the database is.
//!
//! The password goes by the environment, which on Linux none but the same user can read; a command line is everybody's.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;
use url::Url;

use crate::problem::Problem;

/// What of our URL's parameters libpq knows. It refuses what it does not.
const PARAMETERS: &[(&str, &str)] = &[
    ("sslmode", "sslmode"),
    ("ssl-mode", "sslmode"),
    ("sslrootcert", "sslrootcert"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("sslcert", "sslcert"),
    ("ssl-cert", "sslcert"),
    ("sslkey", "sslkey"),
    ("ssl-key", "sslkey"),
    ("host", "host"),
    ("hostaddr", "hostaddr"),
    ("port", "port"),
    ("dbname", "dbname"),
    ("user", "user"),
];

/// A database as libpq is told of it.
#[derive(PartialEq, Eq)]
pub(super) struct Target {
    /// Its URL, without a password.
    url: String,
    password: Option<String>,
}

impl Target {
    /// From the issuer's configuration.
    pub(super) fn new(database_url: &str) -> Result<Self, Problem> {
        let invalid = || Problem::usage("CONFIGURATION", "[database] url cannot be read");
        let mut url = Url::parse(database_url).map_err(|_| invalid())?;
        let mut password = url.password().map(percent_decoded);
        url.set_password(None).map_err(|()| invalid())?;
        let mut kept = Vec::new();
        for (key, value) in url.query_pairs() {
            if key == "password" {
                password = Some(value.into_owned());
            } else if let Some((_, known)) = PARAMETERS.iter().find(|(ours, _)| *ours == key) {
                kept.push((*known, value.into_owned()));
            }
        }
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        Ok(Self { url: url.into(), password })
    }

    /// Runs one of the programs to its end; what it wrote to stdout.
    pub(super) async fn run(&self, program: &str, arguments: &[&str], file: &Path) -> Result<Vec<u8>, Problem> {
        let mut command = Command::new(program);
        command.arg(format!("--dbname={}", self.url)).args(arguments).arg(file);
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        finish(program, command).await
    }
}

/// What `pg_restore` lists of a dump: that it can read it at all.
pub(super) async fn list(file: &Path) -> Result<String, Problem> {
    let mut command = Command::new("pg_restore");
    command.arg("--list").arg(file);
    Ok(String::from_utf8_lossy(&finish("pg_restore", command).await?).into_owned())
}

async fn finish(program: &str, mut command: Command) -> Result<Vec<u8>, Problem> {
    let output = command.env("LC_MESSAGES", "C").stdin(Stdio::null()).kill_on_drop(true).output().await;
    let Output { status, stdout, stderr } = output.map_err(|error| {
        Problem::usage("PROGRAM_MISSING", format!("{program} cannot be run: {error}"))
            .hint("install PostgreSQL's client programs, of the server's version or newer (Debian: postgresql-client)")
    })?;
    if status.success() {
        return Ok(stdout);
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(Problem::unavailable("PROGRAM_FAILED", format!("{program} ended with {status}:\n{}", said.trim()))
        .hint("what it says is PostgreSQL's; where versions differ, its programs must be as new as the server"))
}

/// A URL's part as it is meant; what is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_no_argument() {
        let named = "postgres://tessera:p%40ss%25@db.example:5433/t?sslmode=disable&statement-cache-capacity=1";
        let as_parameter = "postgres://tessera@db.example/t?password=p%40ss%25&ssl-mode=require";
        for (url, told) in [
            (named, "postgres://tessera@db.example:5433/t?sslmode=disable"),
            (as_parameter, "postgres://tessera@db.example/t?sslmode=require"),
        ] {
            let target = Target::new(url).expect("a URL");
            assert_eq!((target.url.as_str(), target.password.as_deref()), (told, Some("p@ss%")));
        }
        let bare = Target::new("postgres://db.example/t").expect("a URL");
        assert_eq!((bare.url.as_str(), bare.password), ("postgres://db.example/t", None));
    }
}
