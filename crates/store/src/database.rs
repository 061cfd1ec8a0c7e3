//! The connection to the database: one writer and many readers on SQLite, one pool on PostgreSQL.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{ConnectOptions as _, Executor as _};
use sea_orm::{
    AccessMode, ColumnTrait as _, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, EntityTrait as _,
    IsolationLevel, QueryFilter as _, SqliteTransactionMode, SqlxError, Statement, TransactionOptions,
    TransactionTrait as _,
};
use tessera_ledger::event::Position;
use tessera_types::{Epoch, Timestamp};
use tokio::sync::watch;

use crate::audit::Audit;
use crate::authorizations::Authorizations;
use crate::cleanup::Cleanup;
use crate::clients::Clients;
use crate::consents::Consents;
use crate::entities::log_head;
use crate::error::StoreError;
use crate::families::Families;
use crate::holders::Holders;
use crate::kept_secrets::KeptSecrets;
use crate::keys::Keys;
use crate::log::{self, WholeLog};
use crate::mails::Mails;
use crate::options::{ConnectError, DatabaseOptions, Kind};
use crate::organizations::Organizations;
use crate::scopes::Scopes;
use crate::sessions::Sessions;
use crate::transaction::Transaction;
use crate::users::Users;

/// How long PostgreSQL lets a session sit in a transaction: a stopped issuer must not hold the log's head for ever.
const IDLE_IN_TRANSACTION: &str = "30s";

/// The database. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    head: watch::Sender<u64>,
}

impl Database {
    /// Opens the database. On SQLite a missing file is made where the URL says `mode=rwc`.
    ///
    /// What SQLite has committed survives a power cut: WAL with `synchronous=FULL`. On PostgreSQL a session whose
    /// configuration would acknowledge commits before they are on disk is set right.
    pub async fn connect(options: &DatabaseOptions) -> Result<Self, ConnectError> {
        let kind = options.kind()?;
        let (writer, reader) = match kind {
            Kind::Sqlite => sqlite(options).await?,
            Kind::Postgres => postgres(options).await.map(|pool| (pool.clone(), pool))?,
        };
        Ok(Self::of(kind, writer, reader))
    }

    pub(crate) fn of(kind: Kind, writer: DatabaseConnection, reader: DatabaseConnection) -> Self {
        Self { shared: Arc::new(Shared { kind, writer, reader, head: watch::Sender::new(0) }) }
    }

    /// Makes the log's head, once: a database that has one keeps its epoch. Returns where the log stands.
    ///
    /// # Errors
    /// [`StoreError::NotPrepared`] where [`migrate`](Self::migrate) has not been called.
    pub async fn initialize(&self, epoch: Epoch) -> Result<Position, StoreError> {
        let transaction = self.begin_write().await?;
        log::append::make_head(&transaction, epoch).await?;
        transaction.commit().await?;
        self.refresh_head().await
    }

    /// Begins a transaction that may write. On SQLite it holds the one write lock from here on.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(Transaction::new(self.clone(), self.begin_write().await?))
    }

    /// Reads clients.
    #[must_use]
    pub fn clients(&self) -> Clients<'_> {
        Clients::new((&self.shared.reader).into())
    }

    /// Reads scopes.
    #[must_use]
    pub fn scopes(&self) -> Scopes<'_> {
        Scopes::new((&self.shared.reader).into())
    }

    /// Reads signing keys.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys::new((&self.shared.reader).into())
    }

    /// Reads the secrets the issuer keeps for itself.
    #[must_use]
    pub fn kept_secrets(&self) -> KeptSecrets<'_> {
        KeptSecrets::new((&self.shared.reader).into())
    }

    /// Reads the audit.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit::new((&self.shared.reader).into())
    }

    /// Reads authorization requests and codes.
    #[must_use]
    pub fn authorizations(&self) -> Authorizations<'_> {
        Authorizations::new((&self.shared.reader).into())
    }

    /// Reads consents.
    #[must_use]
    pub fn consents(&self) -> Consents<'_> {
        Consents::new((&self.shared.reader).into())
    }

    /// Reads families of refresh tokens.
    #[must_use]
    pub fn families(&self) -> Families<'_> {
        Families::new((&self.shared.reader).into())
    }

    /// Reads sessions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions::new((&self.shared.reader).into())
    }

    /// Reads organizations.
    #[must_use]
    pub fn organizations(&self) -> Organizations<'_> {
        Organizations::new((&self.shared.reader).into())
    }

    /// Reads users.
    #[must_use]
    pub fn users(&self) -> Users<'_> {
        Users::new((&self.shared.reader).into())
    }

    /// Takes and deletes mails.
    #[must_use]
    pub fn mails(&self) -> Mails<'_> {
        Mails::new(&self.shared.reader, &self.shared.writer)
    }

    /// Reads and writes holders.
    #[must_use]
    pub fn holders(&self) -> Holders<'_> {
        Holders::new(&self.shared.reader, &self.shared.writer)
    }

    /// Deletes what is over.
    #[must_use]
    pub fn cleanup(&self) -> Cleanup<'_> {
        Cleanup::new(self)
    }

    /// What the database's clock says: on PostgreSQL its server's, on SQLite this machine's.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let query = match self.shared.kind {
            Kind::Sqlite => "SELECT unixepoch()",
            Kind::Postgres => "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint",
        };
        let query = Statement::from_string(self.shared.reader.get_database_backend(), query);
        let row = self.shared.reader.query_one_raw(query).await?;
        let row = row.ok_or_else(|| StoreError::Internal("the database does not tell the time".into()))?;
        Ok(Timestamp(row.try_get_by_index(0)?))
    }

    /// Reads the log.
    #[must_use]
    pub fn log(&self) -> WholeLog<'_> {
        WholeLog::new(self)
    }

    /// Tells when the log's head rises: by a commit here, or by what [`refresh_head`](Self::refresh_head) found. Begins at 0
    /// and never falls.
    #[must_use]
    pub fn head_watch(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }

    /// Reads the head and wakes whoever watches it: for what another process has committed.
    pub async fn refresh_head(&self) -> Result<Position, StoreError> {
        let head = self.log().head().await?;
        self.announce(head.revision);
        Ok(head)
    }

    /// Whether the database takes writes now. For readiness; changes nothing.
    pub async fn is_writable(&self) -> bool {
        self.check_writable().await.is_ok()
    }

    /// As [`is_writable`](Self::is_writable), with the reason.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        let transaction = self.begin_write().await?;
        // No such row, so nobody's append waits for it; a standby or a read-only file refuses the statement nevertheless.
        log_head::Entity::delete_many().filter(log_head::Column::Id.eq(0)).exec(&transaction).await?;
        transaction.rollback().await?;
        Ok(())
    }

    /// Closes every connection after waiting for those in use. What comes later is [`StoreError::Unavailable`].
    pub async fn close(&self) {
        // Closing a pool does not fail; what remains open goes with the process.
        let _ = self.shared.writer.close_by_ref().await;
        let _ = self.shared.reader.close_by_ref().await;
    }

    /// On PostgreSQL, takes the time limit of statements off the COMMIT that follows. The server answers a COMMIT that is cancelled while
    /// it waits for a synchronous standby with a warning and success, though a failover may lose it.
    pub(crate) async fn prepare_commit(&self, transaction: &DatabaseTransaction) -> Result<(), StoreError> {
        if self.is_postgres() {
            transaction.execute_unprepared("SET LOCAL statement_timeout = 0").await?;
        }
        Ok(())
    }

    pub(crate) fn announce(&self, revision: u64) {
        self.shared.head.send_if_modified(|head| {
            let rises = revision > *head;
            *head = revision.max(*head);
            rises
        });
    }

    pub(crate) fn reader(&self) -> &DatabaseConnection {
        &self.shared.reader
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.shared.kind == Kind::Postgres
    }

    /// `BEGIN IMMEDIATE` on SQLite: a deferred transaction that turns to writing fails at once if another one wrote meanwhile.
    pub(crate) async fn begin_write(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = match self.shared.kind {
            Kind::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            },
            // Said outright, since a server may be configured otherwise: the append relies on waiting for the head's row.
            Kind::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::ReadCommitted),
                ..TransactionOptions::default()
            },
        };
        Ok(self.shared.writer.begin_with_options(options).await?)
    }

    /// A transaction whose reads all see one moment.
    pub(crate) async fn begin_snapshot(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = match self.shared.kind {
            Kind::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
                ..TransactionOptions::default()
            },
            Kind::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        Ok(self.shared.reader.begin_with_options(options).await?)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("kind", &self.shared.kind).finish_non_exhaustive()
    }
}

async fn sqlite(options: &DatabaseOptions) -> Result<(DatabaseConnection, DatabaseConnection), ConnectError> {
    let common = SqliteConnectOptions::from_str(&options.url)
        .map_err(|error| ConnectError::InvalidUrl(Box::new(error)))?
        .foreign_keys(true)
        .busy_timeout(options.acquire_timeout)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    // One connection writes and lives as long as the process: SQLite has one write lock, and waiting for it in a queue here is
    // cheaper than polling for it. It comes first, since it makes the file and turns WAL on.
    let writer = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(options.acquire_timeout)
        .connect_with(common.clone().journal_mode(SqliteJournalMode::Wal))
        .await
        .map_err(|error| unreachable(options, error))?;
    let reader = SqlitePoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .connect_with(common.create_if_missing(false).pragma("query_only", "ON"))
        .await
        .map_err(|error| unreachable(options, error))?;
    Ok((writer.into(), reader.into()))
}

async fn postgres(options: &DatabaseOptions) -> Result<DatabaseConnection, ConnectError> {
    let timeout = options.statement_timeout.as_millis().to_string();
    let connection = PgConnectOptions::from_str(&options.url)
        .map_err(|error| ConnectError::InvalidUrl(Box::new(error)))?
        .application_name("tessera")
        .options([
            ("statement_timeout", timeout.as_str()),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ])
        .disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // A revocation that was confirmed must not be lost, not even to a failover where there is a synchronous standby.
                // A stronger setting (remote_apply) is left alone.
                let durable = "SELECT set_config('synchronous_commit', 'on', false) \
                               WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";
                connection.execute(durable).await.map(drop)
            })
        })
        .connect_with(connection)
        .await
        .map(Into::into)
        .map_err(|error| unreachable(options, error))
}

fn unreachable(options: &DatabaseOptions, error: SqlxError) -> ConnectError {
    ConnectError::Unreachable { location: options.location(), source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::*;

    async fn pragma(connection: &DatabaseConnection, name: &str) -> String {
        let query = Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let row = connection.query_one_raw(query).await.expect("a pragma answers").expect("a row");
        row.try_get_by_index::<i64>(0)
            .map_or_else(|_| row.try_get_by_index(0).expect("a text or a number"), |number| number.to_string())
    }

    #[tokio::test]
    async fn what_sqlite_has_committed_is_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("t.db").display());
        let db = Database::connect(&DatabaseOptions::new(url)).await.expect("opens");
        for connection in [&db.shared.writer, &db.shared.reader] {
            assert_eq!(pragma(connection, "journal_mode").await, "wal");
            assert_eq!(pragma(connection, "synchronous").await, "2", "FULL: an fsync for each commit");
            assert_eq!(pragma(connection, "foreign_keys").await, "1");
            assert_eq!(pragma(connection, "busy_timeout").await, "5000");
        }
        assert_eq!(pragma(&db.shared.writer, "query_only").await, "0");
        assert_eq!(pragma(&db.shared.reader, "query_only").await, "1", "readers cannot write by mistake");
        db.close().await;
    }
}
