//! What every failure says of itself.

use std::fmt::Write as _;
use std::time::Duration;

use tessera_check::CannotTell;
use tessera_types::error::is_description;
use tessera_types::{Epoch, Failure, GrantType, Revision};

use crate::client_auth::{ClientAuthError, Refusal};
use crate::grants::authorization_code::CodeError;
use crate::grants::refresh_token::RefreshError;
use crate::grants::{ParameterError, TokenError};
use crate::log::Unconfirmed;
use crate::minting::MintError;
use crate::operations::access::AccessError;
use crate::operations::authorization::{DecideError, Mistake, Untrusted};
use crate::operations::clients::{AdminError, DraftError, OwnerError};
use crate::operations::introspect::IntrospectError;
use crate::operations::revoke::RevokeError;
use crate::operations::sessions::SessionError;
use crate::operations::users::UserDraftError;
use crate::passwords::PasswordError;
use crate::user_auth::{self, UserAuthError};

fn all() -> Vec<Box<dyn Failure>> {
    let unconfirmed = Unconfirmed { revision: Revision { epoch: Epoch(1), number: 1 } };
    vec![
        Box::new(ClientAuthError::Refused(Refusal::Unknown)),
        Box::new(ClientAuthError::Throttled(Duration::from_secs(3))),
        Box::new(ClientAuthError::Passwords(PasswordError::Busy)),
        Box::new(ClientAuthError::NotReady),
        Box::new(TokenError::GrantNotAllowed(GrantType::ClientCredentials)),
        Box::new(TokenError::PublicClient),
        Box::new(TokenError::ScopeNotAllowed("a".parse().expect("a scope"))),
        Box::new(TokenError::AudienceNotAllowed),
        Box::new(TokenError::GrantOff),
        Box::new(TokenError::NotReady),
        Box::new(ParameterError::Missing("username")),
        Box::new(ParameterError::Missing("password")),
        Box::new(ParameterError::Missing("refresh_token")),
        Box::new(ParameterError::Missing("code")),
        Box::new(UserAuthError::Refused(user_auth::Refusal::Unknown)),
        Box::new(UserAuthError::Throttled(Duration::from_secs(10))),
        Box::new(UserAuthError::Passwords(PasswordError::Busy)),
        Box::new(UserAuthError::NotReady),
        Box::new(RefreshError::Unknown),
        Box::new(RefreshError::NotYours),
        Box::new(RefreshError::Expired),
        Box::new(RefreshError::Revoked),
        Box::new(RefreshError::Reused),
        Box::new(CodeError::Unknown),
        Box::new(CodeError::NotYours),
        Box::new(CodeError::Expired),
        Box::new(CodeError::RedirectUri),
        Box::new(CodeError::Verifier),
        Box::new(CodeError::Revoked),
        Box::new(CodeError::Replayed),
        Box::new(Untrusted::Client),
        Box::new(Untrusted::RedirectUri),
        Box::new(Untrusted::NoRedirectUri),
        Box::new(Untrusted::Malformed),
        Box::new(Mistake::ResponseTypeMissing),
        Box::new(Mistake::ResponseType),
        Box::new(Mistake::ResponseMode),
        Box::new(Mistake::GrantNotAllowed),
        Box::new(Mistake::Scope),
        Box::new(Mistake::Audience),
        Box::new(Mistake::ChallengeMissing),
        Box::new(Mistake::ChallengeMethod),
        Box::new(Mistake::Challenge),
        Box::new(Mistake::State),
        Box::new(Mistake::Repeated),
        Box::new(Mistake::RequestObject),
        Box::new(DecideError::Gone),
        Box::new(DecideError::SignedOut),
        Box::new(DecideError::NotReady),
        Box::new(SessionError::NotReady),
        Box::new(UserDraftError::Name),
        Box::new(UserDraftError::Password),
        Box::new(MintError::NoKey),
        Box::new(RevokeError::NotYours),
        Box::new(unconfirmed),
        Box::new(AccessError::NoToken),
        Box::new(AccessError::InvalidToken),
        Box::new(AccessError::InsufficientScope("tessera.admin")),
        Box::new(AccessError::CannotTell(CannotTell::NotReady)),
        Box::new(AccessError::CannotTell(CannotTell::Busy)),
        Box::new(IntrospectError::NoResources),
        Box::new(AdminError::ClientNotFound),
        Box::new(AdminError::ScopeNotFound),
        Box::new(AdminError::UserNotFound),
        Box::new(AdminError::SecretNotFound),
        Box::new(AdminError::ScopeReserved),
        Box::new(AdminError::ScopeInUse),
        Box::new(AdminError::PublicClient),
        Box::new(AdminError::Conflict),
        Box::new(OwnerError::NotOfOrganization),
        Box::new(OwnerError::Scope),
        Box::new(OwnerError::Administered),
        Box::new(OwnerError::DisabledByAdministrator),
        Box::new(OwnerError::TooMany),
        Box::new(OwnerError::TooManyToday),
        Box::new(DraftError::Name),
        Box::new(DraftError::Description),
        Box::new(DraftError::NoGrant),
        Box::new(DraftError::PublicClientCredentials),
        Box::new(DraftError::UnknownScope),
        Box::new(DraftError::DefaultScope),
        Box::new(DraftError::ReservedScope),
        Box::new(DraftError::Lifetime),
        Box::new(DraftError::OutlivesKeys),
        Box::new(DraftError::TooMany),
        Box::new(DraftError::SecretOfPublicClient),
        Box::new(DraftError::Secret),
        Box::new(DraftError::Overlap),
        Box::new(DraftError::IdOfAUser),
        Box::new(DraftError::NoRedirectUri),
    ]
}

#[test]
fn the_table_of_failures() {
    let mut table = String::new();
    for failure in all() {
        let retry = failure.retry_after().map_or(String::new(), |after| format!(" · again after {after:?}"));
        writeln!(table, "{} · {}{retry}", failure.reason(), failure.code().as_str()).expect("a string");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn what_callers_read_is_printable_and_says_something() {
    for failure in all() {
        assert!(is_description(failure.advice()), "{}", failure.advice());
        assert!(failure.advice().ends_with('.'), "{}", failure.advice());
    }
}
