//! What the issuer does, knowing neither gRPC nor HTTP nor SQL.

pub mod access;
pub mod authorization;
pub mod clients;
pub mod consents;
pub mod grants;
pub mod housekeeping;
pub mod introspect;
pub mod keys;
pub mod organizations;
pub mod restored;
pub mod revoke;
pub mod scopes;
pub mod sessions;
pub mod setup;
pub mod users;
