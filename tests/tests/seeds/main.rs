//! The systems of the five documents the product was asked for with: their clients' requests as they stand there, and what comes back.
//!
//! `docs/seeds.md` says which test shows which sentence.

mod answers;
mod cast;
mod claims;
mod configured;
mod failures;
mod https;
mod oracles;
mod oro;
mod refreshing;
mod rules;
mod scopes;
mod verbatim;
