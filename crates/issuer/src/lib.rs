//! The issuer: holds clients and keys, implements the grants, and owns the revocation log. gRPC and HTTP in front of the same
//! operations; a database behind them.

pub mod audit;
pub mod client_auth;
pub mod config;
pub mod context;
pub mod grants;
mod grpc;
pub mod http;
mod last_used;
pub mod log;
pub mod mail;
pub mod minting;
pub mod operations;
pub mod passwords;
mod report;
pub mod server;
pub mod standing;
mod telemetry;
#[cfg(test)]
mod tests;
mod throttle;
pub mod user_auth;

pub use config::Config;
pub use server::{Deps, Running, StartError, StartOptions, start};
