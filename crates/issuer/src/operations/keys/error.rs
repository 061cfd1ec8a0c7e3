//! What can go wrong with keys.

use std::time::Duration;

use tessera_keys::{KeyError, SealError};
use tessera_store::StoreError;
use tessera_types::{ErrorCode, Failure};

use crate::log::Unconfirmed;
use crate::operations::clients::AdminError;

/// Why a key was not changed, or the change is not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    /// There is no such key.
    #[error("no such key")]
    NotFound,
    /// No key waits to sign.
    #[error("no key waits to sign")]
    NoNext,
    /// A key waits to sign already.
    #[error("a key waits to sign already")]
    NextExists,
    /// The key has not been published for long enough.
    #[error("the key is not published for long enough")]
    TooYoung,
    /// The key is retired, and stays so.
    #[error("the key is retired")]
    Retired,
    /// The key signs.
    #[error("the key signs")]
    Active,
    /// The operator gives the keys.
    #[error("the keys come from files")]
    FromFiles,
    /// Somebody else was faster.
    #[error("changed meanwhile")]
    Conflict,
    /// A key could not be made or opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something does not open under any of the key-encryption keys there are.
    #[error("{what} does not open under the key-encryption keys there are")]
    Sealed {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// The database refused or did not answer.
    #[error(transparent)]
    Store(StoreError),
    /// The change is durable, but an introspector has not confirmed it in time.
    #[error(transparent)]
    Unconfirmed(#[from] Unconfirmed),
}

impl From<StoreError> for KeyChangeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl KeyChangeError {
    /// What [`begin`](crate::operations::clients::begin) may say.
    pub(super) fn of_transaction(error: AdminError) -> Self {
        match error {
            AdminError::Store(error) => Self::Store(error),
            AdminError::Unconfirmed(error) => Self::Unconfirmed(error),
            _ => Self::Conflict,
        }
    }
}

impl Failure for KeyChangeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::NotFound,
            Self::NextExists => ErrorCode::AlreadyExists,
            Self::NoNext | Self::TooYoung | Self::Retired | Self::Active | Self::FromFiles | Self::Sealed { .. } => {
                ErrorCode::FailedPrecondition
            }
            Self::Conflict => ErrorCode::Conflict,
            Self::Key(_) => ErrorCode::ServerError,
            Self::Store(error) => error.code(),
            Self::Unconfirmed(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound => "KEY_NOT_FOUND",
            Self::NoNext => "NO_NEXT_KEY",
            Self::NextExists => "NEXT_KEY_EXISTS",
            Self::TooYoung => "KEY_TOO_YOUNG",
            Self::Retired => "KEY_RETIRED",
            Self::Active => "KEY_ACTIVE",
            Self::FromFiles => "KEYS_FROM_FILES",
            Self::Conflict => "CHANGED_MEANWHILE",
            Self::Key(_) => "KEY_UNUSABLE",
            Self::Sealed { .. } => "KEK_MISSING",
            Self::Store(error) => error.reason(),
            Self::Unconfirmed(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::NotFound => "There is no key with this id. List the keys to see which there are.",
            Self::NoNext => "No key waits to sign. Rotate first: that publishes one.",
            Self::NextExists => {
                "A key is published already and will sign by itself. Promote it, or retire it to have another made."
            }
            Self::TooYoung => {
                "The key is not published for as long as [keys] publish_for says: who keeps the key set may not know it. Wait, or promote it now."
            }
            Self::Retired => "The key is retired, and so are its tokens. Rotate to have another made.",
            Self::Active => {
                "This key signs, and something has to. Let another one sign first (rotate; where keys come from files, put another pair there and promote it), then retire this one."
            }
            Self::FromFiles => {
                "The keys come from files ([keys] source). Put another pair there: it is published, and signs in time."
            }
            Self::Conflict => "It was changed meanwhile. List the keys and repeat the change.",
            Self::Key(_) => "The server failed. Its log says more.",
            Self::Sealed { .. } => {
                "Something is sealed under a key-encryption key that the issuer does not have. Name its file in [secrets] old_kek_files and restart; the log says what it is."
            }
            Self::Store(error) => error.advice(),
            Self::Unconfirmed(error) => error.advice(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Store(error) => error.retry_after(),
            Self::Unconfirmed(error) => error.retry_after(),
            _ => None,
        }
    }
}
