//! The introspector: tells resource servers whether a token is active, from memory (RFC 7662).
//!
//! It has no database. It follows the issuer's log through `tessera.sync.v1.SyncService.Watch`, holds keys, revocations and
//! client states in a [`Replica`](tessera_ledger::Replica), and answers over gRPC and HTTP. Where it cannot know, because it
//! is not synchronized or has been out of touch for too long, it says so (UNAVAILABLE, 503): never active, never inactive.
//!
//! A call goes [`grpc`] or [`http`] → [`callers`] → [`introspection`] → [`consistency`] → `tessera_check` → the replica.

pub mod callers;
pub mod config;
pub mod consistency;
pub mod grpc;
pub mod http;
pub mod introspection;
mod measure;
mod report;
mod start;

pub use config::Config;
pub use start::{Deps, Running, StartError, start};
