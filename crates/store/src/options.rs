//! Where the database is and how it is used.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use crate::error::Cause;

/// Which database, and how many connections to it.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// `sqlite://path?mode=rwc` or `postgres://user:password@host/name`.
    pub url: String,
    /// The most connections at once. On SQLite these are readers; one more writes.
    pub max_connections: u32,
    /// How long an operation waits for a connection, and on SQLite for another process's write, before it fails as
    /// unavailable.
    pub acquire_timeout: Duration,
    /// How long one statement may run on PostgreSQL. Migrations are exempt.
    pub statement_timeout: Duration,
}

impl DatabaseOptions {
    /// A database with the usual limits: 10 connections, 5 seconds to get one, 10 seconds for a statement.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
        }
    }

    /// The URL without user, password and parameters: fit for logs.
    #[must_use]
    pub fn location(&self) -> String {
        let url = self.url.split(['?', '#']).next().unwrap_or_default();
        match url.split_once("://") {
            Some((scheme, rest)) => {
                // A password may hold an `@` that nobody escaped: what counts is the last one.
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                format!("{scheme}://{place}")
            }
            None => {
                url.split_once(':').map_or_else(|| "(no URL)".to_owned(), |(scheme, rest)| format!("{scheme}:{rest}"))
            }
        }
    }

    /// The database's file, where it is SQLite.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let options = SqliteConnectOptions::from_str(&self.url).ok().filter(|_| self.url.starts_with("sqlite:"))?;
        Some(options.get_filename().to_owned())
    }

    /// Whether the URL is of a database that can be used, as far as that is seen without asking it.
    ///
    /// # Errors
    /// Every [`ConnectError`] but [`Unreachable`](ConnectError::Unreachable). None shows the URL.
    pub fn check(&self) -> Result<(), ConnectError> {
        self.kind().map(drop)
    }

    pub(crate) fn kind(&self) -> Result<Kind, ConnectError> {
        if self.url.starts_with("sqlite:") {
            // Every connection to memory is a database of its own, and none survives a restart.
            let memory = self.url.contains(":memory:") || self.url.contains("mode=memory");
            return if memory { Err(ConnectError::InMemory) } else { Ok(Kind::Sqlite) };
        }
        if self.url.starts_with("postgres://") || self.url.starts_with("postgresql://") {
            return Ok(Kind::Postgres);
        }
        Err(ConnectError::UnknownScheme)
    }
}

impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseOptions")
            .field("location", &self.location())
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is of no database that this store speaks to.
    #[error("the database URL must start with sqlite:// or postgres://")]
    UnknownScheme,
    /// The URL asks for a database in memory.
    #[error(
        "a database in memory would lose every revocation: name a file, as in sqlite:///var/lib/tessera/tessera.db?mode=rwc"
    )]
    InMemory,
    /// The URL cannot be read.
    #[error("the database URL cannot be read")]
    InvalidUrl(#[source] Cause),
    /// The database does not answer, or refuses us.
    #[error("cannot open the database {location}")]
    Unreachable {
        /// Where it should be, without credentials.
        location: String,
        /// What the driver said.
        #[source]
        source: Cause,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for url in ["postgres://u:hunter2@db.example/t?password=hunter2", "postgres://u:hunter2@x@db.example/t"] {
            let options = DatabaseOptions::new(url);
            assert_eq!(options.location(), "postgres://db.example/t");
            assert!(!format!("{options:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_database_in_memory_is_refused() {
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://x?mode=memory"] {
            assert!(matches!(DatabaseOptions::new(url).kind(), Err(ConnectError::InMemory)), "{url}");
        }
        assert!(matches!(DatabaseOptions::new("mysql://x/y").kind(), Err(ConnectError::UnknownScheme)));
    }
}
