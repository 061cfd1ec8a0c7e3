//! What users allowed clients: remembered for each client and its scopes, shown to them, and withdrawn.

use tessera_ledger::event::{Event, Subject};
use tessera_store::{Action, Actor, Client, Consent, StoreError, Target};
use tessera_types::{ClientId, ErrorCode, Failure, Revision, UserId};

use crate::context::Context;
use crate::log::Unconfirmed;

/// A client that a user has allowed something.
pub struct ConnectedApp {
    /// What was allowed.
    pub consent: Consent,
    /// The client.
    pub client: Client,
}

/// Why a consent was not withdrawn, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is withdrawn, but an introspector has not confirmed it in time.
    #[error(transparent)]
    Unconfirmed(#[from] Unconfirmed),
}

impl Failure for ConsentError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Unconfirmed(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Unconfirmed(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Store(error) => error.advice(),
            Self::Unconfirmed(error) => error.advice(),
        }
    }
}

/// The clients a user has allowed something.
///
/// # Errors
/// What the database says.
pub async fn list(cx: &Context, user: UserId) -> Result<Vec<ConnectedApp>, StoreError> {
    let found = cx.store.consents().with_clients(user).await?;
    Ok(found.into_iter().map(|(consent, client)| ConnectedApp { consent, client }).collect())
}

/// Withdraws what a user allowed a client: the client's codes, refresh tokens and access tokens for that user are dead once this has
/// returned.
///
/// # Errors
/// `Unconfirmed` where it is durable and not known everywhere.
pub async fn withdraw(cx: &Context, user: UserId, client: &ClientId) -> Result<Revision, ConsentError> {
    let mut tx = cx.store.begin().await?;
    tx.exclusive().await?;
    let allowed = tx.consents().delete(user, client).await?;
    let families = tx.families().delete_of_user(user, Some(client)).await?;
    let codes = tx.authorizations().delete_codes(user, client).await?;
    // A grant by password has no consent, and ends here all the same.
    if allowed || families + codes > 0 {
        tx.record(Event::WatermarkRaised(Subject::Consent { user: user.to_string().into(), client: client.clone() }));
        tx.audit(cx.did_as(Actor::User(user), Action::ConsentWithdraw).to(Target::Client(client.clone())));
    }
    // Where there was none, whoever withdrew it first may still be waiting: the head is confirmed all the same.
    let revision = cx.publication.commit(tx).await?.position.revision();
    cx.publication.confirm(revision, cx.policy.confirm_within).await?;
    tracing::info!(user_id = %user, client_id = %client, %revision, "consent withdrawn");
    Ok(revision)
}
