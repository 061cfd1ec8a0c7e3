//! What can go wrong in the store, whichever database it is.

use std::error::Error;

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{DbErr, RuntimeErr, SqlxError};
use tessera_types::{ErrorCode, Failure};

/// What the driver said. Logged, never shown to callers.
pub type Cause = Box<dyn Error + Send + Sync + 'static>;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is locked by somebody else, out of space, or gave no connection in time. Nothing was
    /// changed.
    #[error("the database is not available")]
    Unavailable(#[source] Cause),
    /// The connection was lost while the database committed: the change may or may not have happened. Asking again tells.
    #[error("the database did not say whether it committed")]
    OutcomeUnknown(#[source] Cause),
    /// There is one already.
    #[error("the {what} is taken")]
    Taken {
        /// What is taken.
        what: Unique,
    },
    /// What the row belongs to does not exist.
    #[error("what this belongs to does not exist")]
    Missing,
    /// Somebody else changed or deleted it meanwhile; nothing was changed.
    #[error("it was changed meanwhile")]
    Conflict,
    /// The database does not take such a value: a NUL in a text, for one.
    #[error("the database refuses the value")]
    Refused(#[source] Cause),
    /// The tables or the log's head are not there: the database has not been migrated or initialised.
    #[error("the database is not migrated or not initialised")]
    NotPrepared(#[source] Option<Cause>),
    /// A row does not say what a row of its table says.
    #[error("a row of {table} is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// A statement of the transaction failed before, so it cannot commit.
    #[error("the transaction failed before")]
    Broken,
    /// Anything else: our mistake.
    #[error("the database refuses the statement")]
    Internal(#[source] Cause),
}

/// What must be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// The identifier; for a scope, its name.
    Id,
    /// The name of a client or an organization.
    Name,
    /// The username of a user.
    Username,
    /// The e-mail address of a user.
    Email,
}

impl std::fmt::Display for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Id => "identifier",
            Self::Name => "name",
            Self::Username => "username",
            Self::Email => "e-mail address",
        })
    }
}

impl StoreError {
    pub(crate) fn corrupt(table: &'static str, source: impl Into<Cause>) -> Self {
        Self::Corrupt { table, source: source.into() }
    }
}

/// PostgreSQL has no room for a NUL in a text; neither shall SQLite.
pub(crate) fn storable<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<(), StoreError> {
    let nul = texts.into_iter().any(|text| text.contains('\0'));
    if nul { Err(StoreError::Refused("a NUL in a text".into())) } else { Ok(()) }
}

impl Failure for StoreError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) | Self::OutcomeUnknown(_) | Self::NotPrepared(_) => ErrorCode::TemporarilyUnavailable,
            Self::Taken { .. } => ErrorCode::AlreadyExists,
            Self::Missing => ErrorCode::NotFound,
            Self::Conflict => ErrorCode::Conflict,
            Self::Refused(_) => ErrorCode::InvalidRequest,
            Self::Corrupt { .. } | Self::Broken | Self::Internal(_) => ErrorCode::ServerError,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "STORE_UNAVAILABLE",
            Self::OutcomeUnknown(_) => "STORE_OUTCOME_UNKNOWN",
            Self::Taken { what: Unique::Id } => "ID_TAKEN",
            Self::Taken { what: Unique::Name } => "NAME_TAKEN",
            Self::Taken { what: Unique::Username } => "USERNAME_TAKEN",
            Self::Taken { what: Unique::Email } => "EMAIL_TAKEN",
            Self::Missing => "OWNER_MISSING",
            Self::Conflict => "CHANGED_MEANWHILE",
            Self::Refused(_) => "VALUE_REFUSED",
            Self::NotPrepared(_) => "STORE_NOT_PREPARED",
            Self::Corrupt { .. } => "STORE_CORRUPT",
            Self::Broken => "TRANSACTION_BROKEN",
            Self::Internal(_) => "STORE_INTERNAL",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "The server cannot reach its database. Try again shortly.",
            Self::OutcomeUnknown(_) => {
                "The server lost its database while it committed, and cannot say whether it did. Ask again."
            }
            Self::Taken { what: Unique::Id } => "The identifier is taken. Choose another one.",
            Self::Taken { what: Unique::Name } => "The name is taken. Choose another one.",
            Self::Taken { what: Unique::Username } => "The username is taken. Choose another one.",
            Self::Taken { what: Unique::Email } => "The e-mail address is another user's. Choose another one.",
            Self::Missing => "What this belongs to does not exist. Create it first.",
            Self::Conflict => "It was changed meanwhile. Read it again, then repeat the change.",
            Self::Refused(_) => "A value has a character that cannot be stored. Remove control characters.",
            Self::NotPrepared(_) => "The server's database is not set up. An operator must migrate it.",
            Self::Corrupt { .. } | Self::Broken | Self::Internal(_) => "The server failed. Its log says more.",
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        let kind = classify(&error);
        let cause = Box::new(error);
        match kind {
            Kind::Unavailable => Self::Unavailable(cause),
            Kind::Taken(what) => Self::Taken { what },
            Kind::Missing => Self::Missing,
            Kind::Refused => Self::Refused(cause),
            Kind::NotPrepared => Self::NotPrepared(Some(cause)),
            Kind::Corrupt => Self::Corrupt { table: "the database", source: cause },
            Kind::Internal => Self::Internal(cause),
        }
    }
}

/// What an error of the driver means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Unavailable,
    Taken(Unique),
    Missing,
    Refused,
    NotPrepared,
    Corrupt,
    Internal,
}

fn classify(error: &DbErr) -> Kind {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Kind::Unavailable,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => classify_sqlx(error),
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => Kind::Corrupt,
        _ => Kind::Internal,
    }
}

pub(crate) fn classify_sqlx(error: &SqlxError) -> Kind {
    match error {
        SqlxError::Database(error) => classify_database(error.as_ref()),
        // A connection that broke, or a driver thread that died with it. A garbled protocol is a broken connection too.
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed
        | SqlxError::BeginFailed => Kind::Unavailable,
        SqlxError::ColumnDecode { .. } | SqlxError::Decode(_) => Kind::Corrupt,
        SqlxError::Encode(_) => Kind::Refused,
        _ => Kind::Internal,
    }
}

fn classify_database(error: &dyn DatabaseError) -> Kind {
    if error.is_unique_violation() {
        return Kind::Taken(unique(error));
    }
    if error.is_foreign_key_violation() {
        return Kind::Missing;
    }
    let error = error.as_error();
    if let Some(postgres) = error.downcast_ref::<PgDatabaseError>() {
        return sqlstate(postgres.code());
    }
    match error.downcast_ref::<SqliteError>() {
        Some(sqlite) => sqlite_code(sqlite),
        None => Kind::Internal,
    }
}

/// PostgreSQL names the index, SQLite the columns.
fn unique(error: &dyn DatabaseError) -> Unique {
    let is = |index, column| error.constraint() == Some(index) || error.message().contains(column);
    match () {
        () if is("clients_name_key", "clients.name") => Unique::Name,
        // Over an expression, so that SQLite names the index too.
        () if is("clients_organization_name_key", "clients_organization_name_key") => Unique::Name,
        () if is("organizations_name_key", "organizations.name") => Unique::Name,
        () if is("users_username_key", "users.username_key") => Unique::Username,
        () if is("users_email_key", "users.email_key") => Unique::Email,
        () => Unique::Id,
    }
}

/// PostgreSQL's Appendix A: the first two characters are the class.
fn sqlstate(code: &str) -> Kind {
    match code {
        // Undefined table or column.
        "42P01" | "42703" => Kind::NotPrepared,
        // A read-only transaction (a standby); a session ended for idling in a transaction; serialisation, deadlock; a lock
        // that was not to be had in time.
        "25006" | "25P03" | "40001" | "40P01" | "55P03" => Kind::Unavailable,
        // Connection lost; not authorised to connect; no such database; resources; operator intervention and statement
        // timeout; I/O.
        _ if ["08", "28", "3D", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => Kind::Unavailable,
        _ if code.starts_with("22") => Kind::Refused,
        _ if code.starts_with("XX") => Kind::Corrupt,
        _ => Kind::Internal,
    }
}

/// SQLite's result codes; the low byte of an extended code is the primary one.
fn sqlite_code(error: &SqliteError) -> Kind {
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
    match code & 0xff {
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
        5 | 6 | 7 | 8 | 9 | 10 | 13 | 14 | 15 => Kind::Unavailable,
        // CORRUPT, NOTADB.
        11 | 26 => Kind::Corrupt,
        // TOOBIG, MISMATCH.
        18 | 20 => Kind::Refused,
        // The general code; only the text tells.
        1 if error.message().starts_with("no such table") || error.message().starts_with("no such column") => {
            Kind::NotPrepared
        }
        _ => Kind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_or_time_can_mend_is_unavailable() {
        for code in ["08006", "53300", "57P01", "57014", "40001", "55P03", "25006", "58030"] {
            assert_eq!(sqlstate(code), Kind::Unavailable, "{code}");
        }
        assert_eq!(classify_sqlx(&SqlxError::PoolTimedOut), Kind::Unavailable);
        assert_eq!(classify_sqlx(&SqlxError::WorkerCrashed), Kind::Unavailable);
        assert_eq!(classify_sqlx(&SqlxError::Io(std::io::ErrorKind::ConnectionReset.into())), Kind::Unavailable);
    }

    #[test]
    fn our_own_mistakes_are_not_called_unavailable() {
        for code in ["42601", "23502", "23514"] {
            assert_eq!(sqlstate(code), Kind::Internal, "{code}");
        }
        assert_eq!(sqlstate("22021"), Kind::Refused);
        assert_eq!(sqlstate("42P01"), Kind::NotPrepared);
    }

    #[test]
    fn what_callers_read_is_fixed_printable_text() {
        let all = [
            StoreError::Unavailable("x".into()),
            StoreError::OutcomeUnknown("x".into()),
            StoreError::Taken { what: Unique::Id },
            StoreError::Taken { what: Unique::Name },
            StoreError::Taken { what: Unique::Username },
            StoreError::Taken { what: Unique::Email },
            StoreError::Missing,
            StoreError::Conflict,
            StoreError::Refused("x".into()),
            StoreError::NotPrepared(None),
            StoreError::corrupt("clients", "x"),
            StoreError::Broken,
            StoreError::Internal("x".into()),
        ];
        for error in &all {
            assert!(tessera_types::error::is_description(error.advice()), "{error:?}");
            assert!(error.reason().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{error:?}");
        }
    }
}
