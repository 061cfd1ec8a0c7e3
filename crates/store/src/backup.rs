//! What backup and restore need of a database, beside its tables: a whole copy at one place of the log, and whether anybody else is
//! at work in it.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, SqlxError, Statement, TryGetable,
};
use tessera_ledger::event::Position;

use crate::database::Database;
use crate::error::StoreError;
use crate::log::Log;
use crate::options::{ConnectError, DatabaseOptions, Kind};

/// How long a lock of SQLite's is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long sessions of PostgreSQL are waited for that may be ending.
const LINGERING: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A moment of a PostgreSQL that another session can read too, as long as this lives.
pub struct SharedMoment {
    transaction: DatabaseTransaction,
    /// Where the log stands in it.
    pub position: Position,
    /// What the other session names it by.
    pub id: String,
}

impl SharedMoment {
    /// Lets go of it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn end(self) -> Result<(), StoreError> {
        Ok(self.transaction.rollback().await?)
    }
}

impl Database {
    /// Holds a moment that `pg_dump --snapshot` can dump; `None` on SQLite.
    ///
    /// # Errors
    /// What the database says.
    pub async fn share_moment(&self) -> Result<Option<SharedMoment>, StoreError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let transaction = self.begin_snapshot().await?;
        // It sits there for as long as the dump takes.
        transaction.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        let position = Log::new((&transaction).into()).head().await?;
        let id: String = value(&transaction, "SELECT pg_export_snapshot()").await?;
        Ok(Some(SharedMoment { transaction, position, id }))
    }

    /// Whether any table is in it that a restore would meet.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let query = if self.is_postgres() {
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        } else {
            "SELECT count(*) FROM sqlite_master"
        };
        let transaction = self.begin_snapshot().await?;
        let tables: i64 = value(&transaction, query).await?;
        transaction.rollback().await?;
        Ok(tables == 0)
    }

    /// Opens a file that `VACUUM INTO` has made, to read it and nothing else: no other file appears beside it.
    ///
    /// # Errors
    /// Where it is no such file.
    pub async fn open_copy(path: &Path) -> Result<Self, ConnectError> {
        let options =
            SqliteConnectOptions::new().filename(path).read_only(true).immutable(true).disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool: DatabaseConnection = pool.map_err(|error| unreadable(path, error))?.into();
        Ok(Self::of(Kind::Sqlite, pool.clone(), pool))
    }
}

/// Writes the whole of a SQLite database to a file, as of one moment, while others read and write it. The file is there and empty.
///
/// # Errors
/// What SQLite says.
pub async fn copy_sqlite(options: &DatabaseOptions, to: &Path) -> Result<(), StoreError> {
    let mut connection = lone(options).await?;
    let done = sqlx::query("VACUUM INTO ?").bind(to.display().to_string()).execute(&mut connection).await;
    let closed = connection.close().await;
    done.map_err(broken)?;
    closed.map_err(broken)
}

/// Whether a SQLite file is whole, as SQLite itself checks it: pages, indexes, constraints.
///
/// # Errors
/// What is wrong with it.
pub async fn check_sqlite(path: &Path) -> Result<(), StoreError> {
    let options =
        SqliteConnectOptions::new().filename(path).read_only(true).immutable(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(broken)?;
    let row = connection.fetch_one("PRAGMA integrity_check").await.map_err(broken)?;
    let said: String = row.try_get(0).map_err(broken)?;
    connection.close().await.map_err(broken)?;
    if said == "ok" { Ok(()) } else { Err(StoreError::corrupt("the file", said)) }
}

/// Whether nobody else has the database open: an issuer above all. To be asked before [`Database::connect`].
///
/// # Errors
/// What the database says.
pub async fn is_alone(options: &DatabaseOptions) -> Result<bool, StoreError> {
    match options.kind().map_err(|error| StoreError::Unavailable(Box::new(error)))? {
        Kind::Sqlite => sqlite_is_alone(options).await,
        Kind::Postgres => postgres_is_alone(options).await,
    }
}

/// Whoever has a database in WAL mode open holds a lock that an exclusive one does not go with.
async fn sqlite_is_alone(options: &DatabaseOptions) -> Result<bool, StoreError> {
    let mut connection = lone(options).await?;
    // Only what was closed without an open transaction gives the lock back, so the connection goes whatever comes.
    let locked = connection.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK").await;
    let closed = connection.close().await;
    match locked {
        Ok(_) => closed.map(|()| true).map_err(broken),
        Err(SqlxError::Database(error)) if error.message().contains("locked") => Ok(false),
        Err(error) => Err(broken(error)),
    }
}

/// The server notices the end of a process a moment after it: sessions that go away within that time are nobody.
async fn postgres_is_alone(options: &DatabaseOptions) -> Result<bool, StoreError> {
    let one = DatabaseOptions { max_connections: 1, ..options.clone() };
    let database = Database::connect(&one).await.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let alone = async {
        loop {
            looks.tick().await;
            if other_sessions(&database).await? == 0 {
                return Ok(true);
            }
        }
    };
    let alone = tokio::time::timeout(LINGERING, alone).await.unwrap_or(Ok(false));
    database.close().await;
    alone
}

async fn other_sessions(database: &Database) -> Result<i64, StoreError> {
    let transaction = database.begin_snapshot().await?;
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name = 'tessera' AND pid <> pg_backend_pid()";
    let others: i64 = value(&transaction, others).await?;
    transaction.rollback().await?;
    Ok(others)
}

/// A connection of its own to a SQLite file that is there.
async fn lone(options: &DatabaseOptions) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::from_str(&options.url).map_err(broken)?;
    let options = options.create_if_missing(false).busy_timeout(PATIENCE).disable_statement_logging();
    options.connect().await.map_err(broken)
}

async fn value<T: TryGetable>(transaction: &DatabaseTransaction, query: &str) -> Result<T, StoreError> {
    let statement = Statement::from_string(transaction.get_database_backend(), query);
    let row = transaction.query_one_raw(statement).await?;
    let row = row.ok_or_else(|| StoreError::Internal("the database does not answer".into()))?;
    Ok(row.try_get_by_index(0)?)
}

fn unreadable(path: &Path, error: SqlxError) -> ConnectError {
    ConnectError::Unreachable { location: path.display().to_string(), source: Box::new(error) }
}

fn broken(error: SqlxError) -> StoreError {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))).into()
}
