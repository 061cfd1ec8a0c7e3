//! What the issuer does, knowing neither gRPC nor HTTP nor SQL.

pub mod access;
pub mod clients;
pub mod introspect;
pub mod keys;
pub mod revoke;
pub mod scopes;
pub mod setup;
