//! Deletes what is over, a few rows at a time.
//!
//! Each call is a short transaction of its own, so that nobody waits for it long, however much there is to delete. Two processes may
//! do it at once: on PostgreSQL each passes over the rows that the other one holds.

use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait, IntoSimpleExpr, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    TryGetable, Value,
};
use tessera_ledger::replica::forgotten_before;
use tessera_types::Timestamp;
use uuid::Uuid;

use crate::database::Database;
use crate::entities::{
    audit_record, authorization_code, authorization_request, client_secret, log_fact, refresh_family, session,
};
use crate::error::StoreError;
use crate::log::{append, signed};

/// Deletes what is over. Each function deletes at most `limit` rows, those that were over first, and says how many: fewer than `limit`
/// mean that nothing more is due, or that another process is at it.
pub struct Cleanup<'a> {
    database: &'a Database,
}

impl<'a> Cleanup<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database }
    }

    /// Authorization requests that ended at this moment or before.
    pub async fn authorization_requests(&self, ended: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use authorization_request::{Column, Entity};
        self.delete::<Entity, String>(Column::TokenHash, Column::Expires, Column::Expires.lte(ended.0), limit).await
    }

    /// Codes that ended at this moment or before, redeemed or not.
    pub async fn authorization_codes(&self, ended: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use authorization_code::{Column, Entity};
        self.delete::<Entity, String>(Column::CodeHash, Column::Expires, Column::Expires.lte(ended.0), limit).await
    }

    /// Families of refresh tokens that ended at this moment or before: for want of use, or in any case.
    pub async fn refresh_families(&self, ended: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use refresh_family::{Column, Entity};
        // Not by one condition: each has an index of its own.
        let unused = self
            .delete::<Entity, String>(Column::GrantId, Column::Expires, Column::Expires.lte(ended.0), limit)
            .await?;
        let rest = limit.saturating_sub(unused);
        let over =
            self.delete::<Entity, String>(Column::GrantId, Column::Ends, Column::Ends.lte(ended.0), rest).await?;
        Ok(unused + over)
    }

    /// Sessions that ended at this moment or before.
    pub async fn sessions(&self, ended: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use session::{Column, Entity};
        self.delete::<Entity, String>(Column::Id, Column::Expires, Column::Expires.lte(ended.0), limit).await
    }

    /// Clients' secrets that ended at this moment or before. One without an end stays.
    pub async fn client_secrets(&self, ended: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use client_secret::{Column, Entity};
        self.delete::<Entity, Uuid>(Column::Id, Column::Expires, Column::Expires.lte(ended.0), limit).await
    }

    /// Records of the audit from this moment or before.
    pub async fn audit_records(&self, recorded: Timestamp, limit: u64) -> Result<u64, StoreError> {
        use audit_record::{Column, Entity};
        self.delete::<Entity, i64>(Column::Id, Column::Time, Column::Time.lte(recorded.0), limit).await
    }

    /// Revocations that every replica forgets under the log's floor; none while there is no floor. The floor, which is in every
    /// snapshot, answers for them.
    pub async fn revocations(&self, limit: u64) -> Result<u64, StoreError> {
        use log_fact::{Column, Entity};
        let Some((_, floor)) = self.database.log().floor().await? else { return Ok(0) };
        let forgotten = Column::ExpiresAt.lt(forgotten_before(floor).0);
        self.delete::<Entity, String>(Column::About, Column::ExpiresAt, forgotten, limit).await
    }

    /// Entries of the log but for the newest `keep`. Who is further behind gets a snapshot.
    pub async fn log_entries(&self, keep: u64, limit: u64) -> Result<u64, StoreError> {
        let head = self.database.log().head_row().await?;
        let through = head.revision.saturating_sub(signed(keep)?).min(head.compacted.saturating_add(signed(limit)?));
        if through <= head.compacted {
            return Ok(0);
        }
        let transaction = self.database.begin_write().await?;
        let gone = append::compact(&transaction, through.cast_unsigned()).await?;
        transaction.commit().await?;
        Ok(gone)
    }

    /// Two statements, since PostgreSQL may run a sub-select with a limit and a lock more than once.
    async fn delete<E, K>(
        &self,
        key: E::Column,
        order: E::Column,
        due: impl IntoSimpleExpr,
        limit: u64,
    ) -> Result<u64, StoreError>
    where
        E: EntityTrait,
        K: TryGetable + Into<Value> + Send,
    {
        if limit == 0 {
            return Ok(0);
        }
        let transaction = self.database.begin_write().await?;
        let keys: Vec<K> = E::find()
            .select_only()
            .column(key)
            .filter(Condition::all().add(due.into_simple_expr()))
            .order_by_asc(order)
            .limit(limit)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_tuple()
            .all(&transaction)
            .await?;
        if keys.is_empty() {
            transaction.rollback().await?;
            return Ok(0);
        }
        let gone = E::delete_many().filter(key.is_in(keys)).exec(&transaction).await?;
        transaction.commit().await?;
        Ok(gone.rows_affected)
    }
}
