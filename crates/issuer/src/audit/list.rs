//! Reading the audit.

use tessera_store::{AuditFilter, AuditRecord, StoreError};

use crate::context::Context;

/// In which order, and from where on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first: from the newest there is, or from before this one.
    NewestFirst {
        /// A record's number.
        before: Option<u64>,
    },
    /// The oldest first: from the oldest there is, or from after this one.
    OldestFirst {
        /// A record's number.
        after: Option<u64>,
    },
}

/// A page of records.
///
/// # Errors
/// What the database says.
pub async fn list(
    cx: &Context,
    filter: &AuditFilter,
    order: Order,
    limit: u64,
) -> Result<Vec<AuditRecord>, StoreError> {
    let audit = cx.store.audit();
    match order {
        Order::NewestFirst { before } => audit.before(filter, before, limit).await,
        Order::OldestFirst { after } => audit.after(filter, after.unwrap_or(0), limit).await,
    }
}
