//! What somebody wants a user to be, and whether they may be so.

use tessera_store::User;
use tessera_types::{Email, ErrorCode, Failure, PasswordHash, PresentedSecret, Username};

/// The longest name, in characters.
const NAME_MAX: usize = 255;

/// The shortest password, in bytes (NIST SP 800-63B section 3.1.1.2).
pub(super) const PASSWORD_MIN: usize = 8;

/// A user to register.
#[derive(Clone, Debug)]
pub struct UserDraft {
    /// What they sign in with.
    pub username: Username,
    /// What people call them.
    pub name: String,
    /// Their e-mail address.
    pub email: Option<Email>,
    /// Their password; none, and they cannot sign in with one.
    pub password: Option<NewPassword>,
}

/// A password that is being set.
#[derive(Clone, Debug)]
pub enum NewPassword {
    /// Itself.
    Plain(PresentedSecret),
    /// The hash that another system kept of it.
    Imported(PasswordHash),
}

/// What to change of a user: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    /// What they sign in with.
    pub username: Option<Username>,
    /// What people call them.
    pub name: Option<String>,
    /// Their e-mail address; `Some(None)` takes it away.
    pub email: Option<Option<Email>>,
}

/// The fields in which two states of a user differ, as callers name them.
pub(super) fn changed_fields(before: &User, after: &User) -> Vec<&'static str> {
    let differs = [
        ("username", before.username != after.username),
        ("name", before.name != after.name),
        ("email", before.email != after.email),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

/// Why a user may not be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserDraftError {
    /// The name is too long or has control characters.
    #[error("name out of bounds")]
    Name,
    /// The password is too short.
    #[error("password too short")]
    Password,
}

impl Failure for UserDraftError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Name => "NAME_OUT_OF_BOUNDS",
            Self::Password => "PASSWORD_TOO_SHORT",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::Name => "A name has at most 255 characters, none of them a control character.",
            Self::Password => "A password has 8 to 1024 bytes, none of them a NUL.",
        }
    }

    fn field(&self) -> Option<&'static str> {
        Some(match self {
            Self::Name => "name",
            Self::Password => "password",
        })
    }
}

impl UserPatch {
    /// The user with the changes.
    ///
    /// # Errors
    /// [`UserDraftError::Name`].
    pub fn apply(self, before: User) -> Result<User, UserDraftError> {
        Ok(User {
            username: self.username.unwrap_or(before.username),
            name: self.name.map_or(Ok(before.name), name)?,
            email: self.email.unwrap_or(before.email),
            ..before
        })
    }
}

/// A name within bounds.
pub(super) fn name(text: String) -> Result<String, UserDraftError> {
    let well_formed = text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control);
    if well_formed { Ok(text) } else { Err(UserDraftError::Name) }
}

/// A password within bounds. What is too long is no [`PresentedSecret`]; a NUL stands for what never is one.
pub(super) fn check_password(password: &PresentedSecret) -> Result<(), UserDraftError> {
    let text = password.expose();
    if text.len() < PASSWORD_MIN || text.contains('\0') { Err(UserDraftError::Password) } else { Ok(()) }
}
