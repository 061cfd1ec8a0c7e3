//! What the two services share: configuration, clock and randomness, logs, metrics, health, serving, TLS, and the reading of HTTP
//! requests as OAuth wants them read.
//!
//! Nothing here knows a rule of issuing or checking tokens.

pub mod calls;
pub mod clock;
pub mod config;
pub mod health;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod ops;
pub mod random;
pub mod serve;
pub mod tls;
pub mod token_source;
pub mod trace;
