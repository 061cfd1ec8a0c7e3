//! The gRPC services: wire to typed request, the operation, typed answer to wire. No rules here.

mod access;
mod admin_audit;
mod admin_client;
mod admin_key;
mod admin_organization;
mod admin_scope;
mod admin_user;
mod authorization;
mod page;
mod sync;
mod token;
mod wire;

pub(crate) use admin_audit::AuditReading;
pub(crate) use admin_client::ClientAdministration;
pub(crate) use admin_key::KeyAdministration;
pub(crate) use admin_organization::OrganizationAdministration;
pub(crate) use admin_scope::ScopeAdministration;
pub(crate) use admin_user::UserAdministration;
pub(crate) use authorization::Authorizations;
pub(crate) use sync::Feed;
pub(crate) use token::Tokens;
