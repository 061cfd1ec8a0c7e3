//! OAuth 2.0 protocol words.
//!
//! What exists as one of these types is valid: parsing is the only way to make one (RFC 6749, 7662, 9068). Nothing here
//! does I/O; clock and randomness are traits that the edges implement.

#[macro_use]
mod words;
#[macro_use]
pub mod token;

pub mod audience;
pub mod client;
pub mod error;
pub mod key;
pub mod opaque;
pub mod organization;
pub mod password;
pub mod pkce;
pub mod random;
pub mod redirect;
pub mod revision;
pub mod scope;
pub mod secret;
pub mod time;
pub mod user;

pub use audience::Audience;
pub use client::{ClaimsProfile, ClientId, ClientType, GrantType};
pub use error::{ErrorCode, Failure};
pub use key::{Algorithm, KeyId, KeyState};
pub use opaque::{AuthorizationCode, OpaqueHash, RefreshToken, RequestToken, SessionToken};
pub use organization::OrganizationId;
pub use password::PasswordHash;
pub use pkce::{CodeChallenge, CodeVerifier};
pub use random::Randomness;
pub use redirect::{RedirectUri, WebUrl};
pub use revision::{Epoch, Revision};
pub use scope::{Scope, ScopeSet};
pub use secret::{PresentedSecret, SecretHash};
pub use time::{Clock, Timestamp};
pub use token::{GrantId, TokenId};
pub use user::{Email, LoginKey, UserId, Username};
pub use words::UnknownWord;
