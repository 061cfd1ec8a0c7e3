//! What can go wrong when administering.

use std::time::Duration;

use tessera_store::{StoreError, Unique};
use tessera_types::{ErrorCode, Failure};

use super::{DraftError, OwnerError};
use crate::log::Unconfirmed;
use crate::operations::users::UserDraftError;
use crate::passwords::PasswordError;

/// Why an administrative change was not made, or is not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such client.
    #[error("no such client")]
    ClientNotFound,
    /// There is no such scope.
    #[error("no such scope")]
    ScopeNotFound,
    /// There is no such user.
    #[error("no such user")]
    UserNotFound,
    /// There is no such organization.
    #[error("no such organization")]
    OrganizationNotFound,
    /// The user is not a member.
    #[error("no such membership")]
    MemberNotFound,
    /// There is no such secret.
    #[error("no such secret")]
    SecretNotFound,
    /// The scope is one the server itself gives a meaning.
    #[error("the scope is reserved")]
    ScopeReserved,
    /// A client still has the scope.
    #[error("the scope is in use")]
    ScopeInUse,
    /// Public clients have no secrets.
    #[error("a public client has no secret")]
    PublicClient,
    /// What was sent is not a valid client or scope.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// What was sent is not a valid organization.
    #[error("an organization's name is out of bounds")]
    OrganizationName,
    /// What was sent is not a valid user.
    #[error(transparent)]
    User(#[from] UserDraftError),
    /// It is not its owner's to do.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// Somebody else changed it meanwhile.
    #[error("changed meanwhile")]
    Conflict,
    /// The database refused or did not answer.
    #[error(transparent)]
    Store(StoreError),
    /// The secret could not be hashed.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The change is durable, but an introspector has not confirmed it in time.
    #[error(transparent)]
    Unconfirmed(#[from] Unconfirmed),
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl AdminError {
    fn taken(&self) -> Option<Unique> {
        match self {
            Self::Store(StoreError::Taken { what }) => Some(*what),
            _ => None,
        }
    }
}

impl Failure for AdminError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::ClientNotFound
            | Self::ScopeNotFound
            | Self::UserNotFound
            | Self::OrganizationNotFound
            | Self::MemberNotFound
            | Self::SecretNotFound => ErrorCode::NotFound,
            Self::ScopeReserved | Self::Draft(_) | Self::User(_) | Self::OrganizationName => ErrorCode::InvalidRequest,
            Self::ScopeInUse | Self::PublicClient => ErrorCode::FailedPrecondition,
            Self::Owner(error) => error.code(),
            Self::Conflict => ErrorCode::Conflict,
            Self::Store(error) => error.code(),
            Self::Passwords(_) => ErrorCode::TemporarilyUnavailable,
            Self::Unconfirmed(error) => error.code(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ClientNotFound => "CLIENT_NOT_FOUND",
            Self::ScopeNotFound => "SCOPE_NOT_FOUND",
            Self::UserNotFound => "USER_NOT_FOUND",
            Self::OrganizationNotFound => "ORGANIZATION_NOT_FOUND",
            Self::MemberNotFound => "MEMBER_NOT_FOUND",
            Self::SecretNotFound => "SECRET_NOT_FOUND",
            Self::ScopeReserved => "SCOPE_RESERVED",
            Self::ScopeInUse => "SCOPE_IN_USE",
            Self::PublicClient => "PUBLIC_CLIENT",
            Self::OrganizationName => "NAME_OUT_OF_BOUNDS",
            Self::Draft(error) => error.reason(),
            Self::User(error) => error.reason(),
            Self::Owner(error) => error.reason(),
            Self::Conflict => "CHANGED_MEANWHILE",
            Self::Store(error) => error.reason(),
            Self::Passwords(_) => "PASSWORD_CHECKS_BUSY",
            Self::Unconfirmed(error) => error.reason(),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::ClientNotFound => "There is no client with this id. List the clients to see which there are.",
            Self::ScopeNotFound => "There is no scope of this name. List the scopes to see which there are.",
            Self::UserNotFound => "There is no such user. List the users to see which there are.",
            Self::OrganizationNotFound => "There is no such organization. List them to see which there are.",
            Self::MemberNotFound => "The user is not a member. List the members to see who is.",
            Self::SecretNotFound => "The client has no secret with this id. List its secrets to see which it has.",
            Self::ScopeReserved => "The names introspect and tessera.* are reserved. Choose another name.",
            Self::ScopeInUse => "A client still has this scope. Take it away from the client first.",
            Self::PublicClient => "A public client has no secrets.",
            Self::OrganizationName => "A name has 1 to 255 characters, none of them a control character.",
            Self::Draft(error) => error.advice(),
            Self::User(error) => error.advice(),
            Self::Owner(error) => error.advice(),
            Self::Conflict => "It was changed meanwhile. Read it again and repeat the change.",
            Self::Store(error) => match self.taken() {
                Some(Unique::Name) => "The name is taken. Choose another.",
                Some(Unique::Id) => "The id is taken. Choose another.",
                _ => error.advice(),
            },
            Self::Passwords(_) => "The server is checking too many passwords. Try again.",
            Self::Unconfirmed(error) => error.advice(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Store(error) => error.retry_after(),
            Self::Unconfirmed(error) => error.retry_after(),
            Self::Passwords(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    fn field(&self) -> Option<&'static str> {
        match self {
            Self::Draft(error) => error.field(),
            Self::User(error) => error.field(),
            Self::OrganizationName => Some("name"),
            _ => None,
        }
    }
}
