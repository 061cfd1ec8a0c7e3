//! What the issuer does, knowing neither gRPC nor HTTP nor SQL.

pub mod authorize;
pub mod clients;
pub mod housekeeping;
pub mod introspect;
pub mod keys;
pub mod revoke;
pub mod scopes;
pub mod setup;
