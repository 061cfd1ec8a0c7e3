//! The registered scopes (RFC 6749 section 3.3).

use std::collections::BTreeMap;

use tessera_store::{Action, ScopeRecord, Target};
use tessera_types::Scope;

use super::clients::AdminError;
use crate::context::Context;

/// Registers a scope.
///
/// # Errors
/// `ScopeReserved` for a name of the server's, `Taken`.
pub async fn create(
    cx: &Context,
    name: Scope,
    descriptions: BTreeMap<String, String>,
) -> Result<ScopeRecord, AdminError> {
    if name.is_reserved() {
        return Err(AdminError::ScopeReserved);
    }
    let record = ScopeRecord { name, descriptions, reserved: false, created: cx.clock.now() };
    let mut tx = cx.store.begin().await?;
    tx.scopes().insert(&record).await?;
    tx.audit(cx.did(Action::ScopeCreate).to(Target::Scope(record.name.clone())));
    tx.commit().await?;
    Ok(record)
}

/// One scope.
///
/// # Errors
/// `ScopeNotFound`.
pub async fn find(cx: &Context, name: &Scope) -> Result<ScopeRecord, AdminError> {
    cx.store.scopes().find(name).await?.ok_or(AdminError::ScopeNotFound)
}

/// A page of scopes by name.
///
/// # Errors
/// `Store`.
pub async fn list(cx: &Context, after: Option<&Scope>, limit: u64) -> Result<Vec<ScopeRecord>, AdminError> {
    Ok(cx.store.scopes().list(after, limit).await?)
}

/// Changes a scope's descriptions.
///
/// # Errors
/// `ScopeNotFound`.
pub async fn update(
    cx: &Context,
    name: &Scope,
    descriptions: BTreeMap<String, String>,
) -> Result<ScopeRecord, AdminError> {
    let mut tx = cx.store.begin().await?;
    let record = tx.scopes().find(name).await?.ok_or(AdminError::ScopeNotFound)?;
    let record = ScopeRecord { descriptions, ..record };
    tx.scopes().update(&record).await?;
    tx.audit(cx.did(Action::ScopeUpdate).to(Target::Scope(name.clone())).changing(&["descriptions"]));
    tx.commit().await?;
    Ok(record)
}

/// Removes a scope that no client has.
///
/// # Errors
/// `ScopeNotFound`, `ScopeReserved`, `ScopeInUse`.
pub async fn delete(cx: &Context, name: &Scope) -> Result<(), AdminError> {
    let mut tx = cx.store.begin().await?;
    // No client gets the scope meanwhile.
    tx.exclusive().await?;
    let record = tx.scopes().find(name).await?.ok_or(AdminError::ScopeNotFound)?;
    if record.reserved {
        return Err(AdminError::ScopeReserved);
    }
    if tx.clients().any_with_scope(name).await? {
        return Err(AdminError::ScopeInUse);
    }
    tx.scopes().delete(name).await?;
    tx.audit(cx.did(Action::ScopeDelete).to(Target::Scope(name.clone())));
    tx.commit().await?;
    Ok(())
}
