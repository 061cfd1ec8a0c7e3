//! Administration: who may, and what it refuses.

mod access;
mod applications;
mod clients;
mod files;
mod organizations;
mod scopes;
mod users;
