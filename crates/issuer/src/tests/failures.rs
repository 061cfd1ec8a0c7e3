//! What every failure says of itself.

use std::fmt::Write as _;
use std::time::Duration;

use tessera_check::CannotTell;
use tessera_types::error::is_description;
use tessera_types::{Epoch, Failure, GrantType, Revision};

use crate::client_auth::{ClientAuthError, Refusal};
use crate::grants::TokenError;
use crate::log::Unconfirmed;
use crate::minting::MintError;
use crate::operations::access::AccessError;
use crate::operations::clients::{AdminError, DraftError};
use crate::operations::introspect::IntrospectError;
use crate::operations::revoke::RevokeError;
use crate::passwords::PasswordError;

fn all() -> Vec<Box<dyn Failure>> {
    let unconfirmed = Unconfirmed { revision: Revision { epoch: Epoch(1), number: 1 } };
    vec![
        Box::new(ClientAuthError::Refused(Refusal::Unknown)),
        Box::new(ClientAuthError::Throttled(Duration::from_secs(3))),
        Box::new(ClientAuthError::Passwords(PasswordError::Busy)),
        Box::new(ClientAuthError::NotReady),
        Box::new(TokenError::GrantNotAllowed(GrantType::ClientCredentials)),
        Box::new(TokenError::PublicClient),
        Box::new(TokenError::ScopeNotAllowed),
        Box::new(TokenError::AudienceNotAllowed),
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
        Box::new(AdminError::SecretNotFound),
        Box::new(AdminError::ScopeReserved),
        Box::new(AdminError::ScopeInUse),
        Box::new(AdminError::PublicClient),
        Box::new(AdminError::Conflict),
        Box::new(DraftError::Name),
        Box::new(DraftError::Description),
        Box::new(DraftError::NoGrant),
        Box::new(DraftError::PublicClientCredentials),
        Box::new(DraftError::UnknownScope),
        Box::new(DraftError::DefaultScope),
        Box::new(DraftError::ReservedScope),
        Box::new(DraftError::Lifetime),
        Box::new(DraftError::TooMany),
        Box::new(DraftError::SecretOfPublicClient),
        Box::new(DraftError::Secret),
        Box::new(DraftError::Overlap),
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
