//! Transactions: what changes together, and what the log says of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sea_query::LockType;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait as _, QuerySelect as _};
use tessera_ledger::event::{Event, Position};
use tessera_types::Epoch;

use crate::audit::{self, Audit, NewRecord};
use crate::authorizations::AuthorizationWrites;
use crate::clients::ClientWrites;
use crate::consents::ConsentWrites;
use crate::database::Database;
use crate::entities::log_head;
use crate::error::StoreError;
use crate::families::FamilyWrites;
use crate::holders::{self, HolderRecord};
use crate::kept_secrets::KeptSecretWrites;
use crate::keys::KeyWrites;
use crate::log::{self, Log};
use crate::mails::MailWrites;
use crate::organizations::OrganizationWrites;
use crate::scopes::ScopeWrites;
use crate::sessions::SessionWrites;
use crate::users::UserWrites;

/// How long a COMMIT may take before nobody waits for it any more. What became of it is then unknown.
const COMMIT_WITHIN: Duration = Duration::from_secs(10);

/// A transaction that may write. Dropped, it rolls back.
///
/// After a write failed it can only roll back, on either database; [`StoreError::Conflict`] alone is an answer, not a failure.
pub struct Transaction {
    database: Database,
    inner: DatabaseTransaction,
    events: Vec<Event>,
    audit: Vec<audit::Pending>,
    failed: AtomicBool,
}

/// What a commit left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The log's head as this transaction left it. Where nothing was recorded: the head it read last, which is at or after
    /// whatever it has seen.
    pub position: Position,
    /// The revision of the first recorded event.
    pub first: Option<u64>,
    /// The revisions of the recorded events, in their order.
    pub recorded: Vec<u64>,
}

impl Transaction {
    pub(crate) fn new(database: Database, inner: DatabaseTransaction) -> Self {
        Self { database, inner, events: Vec::new(), audit: Vec::new(), failed: AtomicBool::new(false) }
    }

    /// Reads and writes clients.
    #[must_use]
    pub fn clients(&self) -> ClientWrites<'_> {
        ClientWrites::new(self)
    }

    /// Reads and writes scopes.
    #[must_use]
    pub fn scopes(&self) -> ScopeWrites<'_> {
        ScopeWrites::new(self)
    }

    /// Reads and writes signing keys.
    #[must_use]
    pub fn keys(&self) -> KeyWrites<'_> {
        KeyWrites::new(self)
    }

    /// Reads and writes the secrets the issuer keeps for itself.
    #[must_use]
    pub fn kept_secrets(&self) -> KeptSecretWrites<'_> {
        KeptSecretWrites::new(self)
    }

    /// Reads and writes authorization requests and codes.
    #[must_use]
    pub fn authorizations(&self) -> AuthorizationWrites<'_> {
        AuthorizationWrites::new(self)
    }

    /// Reads and writes consents.
    #[must_use]
    pub fn consents(&self) -> ConsentWrites<'_> {
        ConsentWrites::new(self)
    }

    /// Reads and writes families of refresh tokens.
    #[must_use]
    pub fn families(&self) -> FamilyWrites<'_> {
        FamilyWrites::new(self)
    }

    /// Reads and writes organizations.
    #[must_use]
    pub fn organizations(&self) -> OrganizationWrites<'_> {
        OrganizationWrites::new(self)
    }

    /// Writes mails.
    #[must_use]
    pub fn mails(&self) -> MailWrites<'_> {
        MailWrites::new(self)
    }

    /// Reads and writes sessions.
    #[must_use]
    pub fn sessions(&self) -> SessionWrites<'_> {
        SessionWrites::new(self)
    }

    /// Reads and writes users.
    #[must_use]
    pub fn users(&self) -> UserWrites<'_> {
        UserWrites::new(self)
    }

    /// Reads the audit, without what this transaction has added so far.
    #[must_use]
    pub fn audited(&self) -> Audit<'_> {
        Audit::new((&self.inner).into())
    }

    /// Reads the log, without what this transaction has recorded so far.
    #[must_use]
    pub fn log(&self) -> Log<'_> {
        Log::new((&self.inner).into())
    }

    /// Waits until no other transaction that appends is open, and keeps others out until this one ends. For rules such as
    /// "there is one already". On SQLite every transaction does so from its beginning.
    pub async fn exclusive(&self) -> Result<(), StoreError> {
        if self.database.is_postgres() {
            log_head::Entity::find().lock(LockType::Update).one(&self.inner).await.map_err(|error| self.fail(error))?;
        }
        Ok(())
    }

    /// Records an event. It gets its revision at the commit; events keep their order.
    pub fn record(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Gives the log another epoch: what this transaction records is the first of it. For a database that was restored from a backup
    /// alone, with nobody at work in it.
    pub async fn begin_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        log::append::set_epoch(&self.inner, epoch).await.inspect_err(|_| self.mark_failed())
    }

    /// Forgets every introspector, and keeps this one record in their place.
    pub async fn replace_holders(&self, record: &HolderRecord) -> Result<(), StoreError> {
        holders::replace(&self.inner, record).await.inspect_err(|_| self.mark_failed())
    }

    /// Adds a record to the audit, of the events recorded just before it, where there are some. It is written with the commit: what it
    /// tells of and the record are both there, or neither.
    pub fn audit(&mut self, record: NewRecord) {
        self.audit.push(audit::Pending { record, events: self.events.len() });
    }

    /// What will be appended.
    #[must_use]
    pub fn recorded(&self) -> &[Event] {
        &self.events
    }

    /// Forgets the log's entries up to a revision; the facts stay. Who is behind it gets a snapshot. Returns how many went.
    pub async fn compact(&self, through: u64) -> Result<u64, StoreError> {
        log::append::compact(&self.inner, through).await.inspect_err(|_| self.mark_failed())
    }

    /// Appends what was recorded, to the log and then to the audit, and commits. Then those who watch the head are woken.
    ///
    /// A caller that goes away meanwhile does not interrupt it.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] if the database went away while it committed; after every other error nothing has
    /// changed.
    pub async fn commit(self) -> Result<Committed, StoreError> {
        // A task of its own: a commit whose waiter was cancelled must still wake those who follow the log.
        match tokio::spawn(self.finish()).await {
            Ok(result) => result,
            // The task panicked, or the runtime is ending.
            Err(error) => Err(StoreError::OutcomeUnknown(Box::new(error))),
        }
    }

    /// Undoes everything.
    pub async fn rollback(self) -> Result<(), StoreError> {
        Ok(self.inner.rollback().await?)
    }

    async fn finish(self) -> Result<Committed, StoreError> {
        if self.failed.into_inner() {
            self.inner.rollback().await?;
            return Err(StoreError::Broken);
        }
        // A statement before COMMIT in any case: PostgreSQL answers COMMIT of a failed transaction with a silent rollback.
        let committed = if self.events.is_empty() {
            let position = Log::new((&self.inner).into()).head().await?;
            Committed { position, first: None, recorded: Vec::new() }
        } else {
            log::append::append(&self.inner, &self.events).await?
        };
        // After the log: everybody takes the two rows that are waited for in this order.
        audit::append(&self.inner, &self.audit, &committed).await?;
        self.database.prepare_commit(&self.inner).await?;
        match tokio::time::timeout(COMMIT_WITHIN, self.inner.commit()).await {
            Ok(result) => result.map_err(commit_error)?,
            Err(late) => return Err(StoreError::OutcomeUnknown(Box::new(late))),
        }
        self.database.announce(committed.position.revision);
        Ok(committed)
    }

    pub(crate) fn inner(&self) -> &DatabaseTransaction {
        &self.inner
    }

    pub(crate) fn fail(&self, error: DbErr) -> StoreError {
        self.mark_failed();
        error.into()
    }

    fn mark_failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// What the database itself refused did not happen. Where it fell silent nobody knows.
fn commit_error(error: DbErr) -> StoreError {
    let answered = error.sql_err().is_some()
        || matches!(&error, DbErr::Exec(sea_orm::RuntimeErr::SqlxError(e)) | DbErr::Query(sea_orm::RuntimeErr::SqlxError(e))
            if matches!(&**e, sea_orm::SqlxError::Database(_)));
    if answered { error.into() } else { StoreError::OutcomeUnknown(Box::new(error)) }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("events", &self.events.len()).finish_non_exhaustive()
    }
}
