//! The store as its users see it. Every test runs on SQLite and on PostgreSQL.

mod clients;
mod database;
mod harness;
mod holders;
mod keys;
mod log;
mod scopes;
mod transactions;
