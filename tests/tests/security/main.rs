//! The requirements of a safe issuer, each with a test that fails without it, against real processes. `SECURITY.md` says which
//! attack each stands for; the numbers in the doc comments are those of the list the requirements come from.

mod administration;
mod bearer;
mod canary;
mod clients;
mod errors;
mod forge;
mod forwarding;
mod introspection;
mod lapses;
mod revocation;
mod secrets;
mod throttling;
mod tokens;
