//! The store as its users see it. Every test runs on SQLite and on PostgreSQL.

mod audit;
mod authorizations;
mod backup;
mod cleanup;
mod clients;
mod consents;
mod database;
mod families;
mod harness;
mod holders;
mod keys;
mod log;
mod mails;
mod organizations;
mod previous;
mod scopes;
mod sessions;
mod transactions;
mod users;
